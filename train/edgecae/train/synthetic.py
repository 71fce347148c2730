"""The built-in training images: dead leaves with textures, gradients and blur.

Occluding shapes whose sizes follow a power law have the edges, scales and statistics of natural
images (Lee, Mumford and Huang, "Occlusion models for natural images", 2001), and networks trained
on them denoise photos (Achddou, Gousseau and Ladjal, "Synthetic images as a regularity prior for
image restoration neural networks", 2021). Radii follow density r⁻³ between two bounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["SIZE", "generate"]

SIZE = 512
"""Height and width of a generated image."""

_OVERSAMPLING = 2
"""Shapes are drawn this much larger, so that reduction smooths their edges."""

_TEXTURES = 6
_MOST_LEAVES = 3000
_COVERAGE = 2.2
"""How many leaves lie over a point on average, if the largest number of leaves allows."""

_SMALLEST = (3.0, 30.0)
"""Bounds of the smallest radius of an image, in drawn pixels."""

_LARGEST = 420.0


def _spectral(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Isotropic noise of spectrum 1/f^β, zero mean, unit deviation, periodic, size×size."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    beta = rng.uniform(0.4, 2.2)
    phase = np.exp(2j * np.pi * rng.random(frequency.shape))
    field = np.fft.irfft2(phase * frequency**-beta, (size, size))
    field -= field.mean()
    return np.asarray(field / (field.std() + 1e-9), np.float32)


def _texture(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """One texture, zero mean, about unit deviation, size×size."""
    half = _spectral(rng, size // 2)
    noise = np.tile(half, (2, 2))
    if rng.random() < 0.5:
        return noise
    # Stripes, bent by the noise.
    y, x = np.mgrid[:size, :size].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(3), np.log(40)))
    phase = (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 0.6) * noise
    stripes = np.sin(2 * np.pi * phase)
    if rng.random() < 0.3:
        stripes = np.sign(stripes) * np.abs(stripes) ** 0.3
    return np.asarray(stripes * 1.2, np.float32)


def _palette(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Colours that go together: a few hues of one scene under one light, count×3 in 0–255."""
    centres = rng.integers(2, 7)
    luminance = rng.uniform(15, 240, centres)
    chroma = rng.normal(0, rng.uniform(4, 40), (centres, 3))
    chroma -= chroma.mean(0) * 0.7
    light = rng.normal(1, 0.06, 3)
    pick = rng.integers(0, centres, count)
    colours = luminance[pick, None] + chroma[pick] + rng.normal(0, 14, (count, 1))
    return np.clip((colours + rng.normal(0, 7, (count, 3))) * light, 0, 255)


def _radii(rng: np.random.Generator, area: int) -> NDArray[np.float64]:
    """Draw radii of density r⁻³, by inverting the distribution, enough to cover an area."""
    smallest = np.exp(rng.uniform(*np.log(_SMALLEST)))
    mean_square = 2 * smallest**2 * np.log(_LARGEST / smallest)
    count = min(_MOST_LEAVES, int(_COVERAGE * area / (1.5 * mean_square)))
    u = rng.random(count)
    return np.asarray((smallest**-2 - u * (smallest**-2 - _LARGEST**-2)) ** -0.5)


def _outline(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """Corners of one leaf around the origin, n×2."""
    kind = rng.random()
    if kind < 0.45:  # ellipse
        angle = np.linspace(0, 2 * np.pi, 16 if radius < 40 else 48, endpoint=False)
        points = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.3, 1)], 1)
    elif kind < 0.7:  # rectangle, often long and thin
        aspect = rng.uniform(0.05, 1)
        points = np.array([[-1, -aspect], [1, -aspect], [1, aspect], [-1, aspect]])
    else:  # polygon
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(0.5, 1, (len(angle), 1))
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation * radius)


def generate(seed: int, index: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Make one image.

    Args:
        seed: chooses the series.
        index: chooses the image in the series; the same pair gives the same image.
        size: height and width in pixels, a multiple of 4.

    Returns:
        uint8, size×size×3, RGB.
    """
    rng = np.random.default_rng([seed, index])
    large = size * _OVERSAMPLING
    # The large leaves come first, hence lie below, with some disorder: in a scene that is seen
    # from in front, few large things cover small ones entirely.
    radii = _radii(rng, large * large)
    leaves = len(radii)
    radii = radii[np.argsort(-radii * np.exp(rng.normal(0, 1.0, leaves)))]
    colours = _palette(rng, leaves + 2)
    places = rng.uniform(-0.05, 1.05, (leaves, 2)) * large
    textures = rng.integers(1, _TEXTURES + 1, leaves)
    textures[rng.random(leaves) < rng.uniform(0.2, 0.7)] = 0

    colour = Image.new("RGB", (large, large), tuple(int(c) for c in colours[-1]))
    texture = Image.new("L", (large, large), int(rng.integers(0, _TEXTURES + 1)))
    draw_colour, draw_texture = ImageDraw.Draw(colour), ImageDraw.Draw(texture)
    for radius, place, rgb, kind in zip(radii, places, colours, textures, strict=False):
        corners = [(float(x), float(y)) for x, y in _outline(rng, radius) + place]
        draw_colour.polygon(corners, fill=(int(rgb[0]), int(rgb[1]), int(rgb[2])))
        draw_texture.polygon(corners, fill=int(kind))

    picture = np.asarray(colour.reduce(_OVERSAMPLING), np.float32).copy()
    kinds = np.asarray(texture)[::_OVERSAMPLING, ::_OVERSAMPLING]
    for kind in range(1, _TEXTURES + 1):
        amplitude = np.exp(rng.uniform(np.log(2), np.log(40)))
        tint = (rng.normal(1, 0.15, 3) * amplitude).astype(np.float32)
        where = kinds == kind
        picture[where] += _texture(rng, size)[where][:, None] * tint
    # Light that changes slowly across the scene.
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    slope = rng.normal(0, 0.15, 2)
    picture *= (1 + slope[0] * x + slope[1] * y)[..., None]
    picture = np.clip(picture, 0, 255)
    if rng.random() < 0.5:  # exposure
        gamma = np.float32(np.exp(rng.normal(0, 0.3)))
        picture = np.asarray(255 * (picture / 255) ** gamma, np.float32)
    image = Image.fromarray(picture.astype(np.uint8))
    if rng.random() < 0.25:  # out of focus
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.5))))
    return np.asarray(image)
