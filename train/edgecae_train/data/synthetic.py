"""The built-in training images: dead leaves with textures, shading, depth and grain.

Occluding shapes whose sizes follow a power law have the edges, scales and statistics of natural
images (Lee, Mumford and Huang, "Occlusion models for natural images", 2001), and networks trained
on them denoise photos (Achddou, Gousseau and Ladjal, "Synthetic images as a regularity prior for
image restoration neural networks", 2021; with textures and depth: Achddou et al., "VibrantLeaves",
2025). Radii follow density r⁻³ between two bounds. Fine detail comes from textures rather than
from small leaves: in photos it lies together, and what lies alone in a smooth place is noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edgecae_train.data.textures import grain, texture

__all__ = ["SIZE", "generate"]

SIZE = 512
"""Height and width of a generated image."""

_OVERSAMPLING = 2
"""Shapes are drawn this much larger, so that reduction smooths their edges."""

_TEXTURES = 6
_MAX_LEAVES = 3000
_COVERAGE = 2.2
"""How many leaves lie over a point on average, if the largest number of leaves allows."""

_SMALLEST = (20.0, 250.0)
"""Bounds of the smallest radius of an image, in drawn pixels."""

_LARGEST = 420.0

Floats = NDArray[np.float32]


def _palette(rng: np.random.Generator, count: int) -> Floats:
    """Colours that go together: a few hues of one scene under one light, count×3 in 0–255."""
    centres = rng.integers(2, 7)
    luminance = rng.uniform(15, 240, centres)
    chroma = rng.normal(0, rng.uniform(4, 40), (centres, 3))
    chroma -= chroma.mean(0) * 0.7
    light = rng.normal(1, 0.06, 3)
    pick = rng.integers(0, centres, count)
    colours = luminance[pick, None] + chroma[pick] + rng.normal(0, 14, (count, 1))
    colours = (colours + rng.normal(0, 7, (count, 3))) * light
    return np.asarray(np.clip(colours, 0, 255), np.float32)


def _radii(rng: np.random.Generator, area: int) -> NDArray[np.float64]:
    """Draw radii of density r⁻³, by inverting the distribution, enough to cover an area."""
    smallest = np.exp(rng.uniform(*np.log(_SMALLEST)))
    mean_square = 2 * smallest**2 * np.log(_LARGEST / smallest)
    count = min(_MAX_LEAVES, int(_COVERAGE * area / (1.5 * mean_square)))
    u = rng.random(count)
    return np.asarray((smallest**-2 - u * (smallest**-2 - _LARGEST**-2)) ** -0.5)


def _outline(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """Corners of one leaf around the origin, n×2."""
    kind = rng.random()
    if kind < 0.1:
        points = _curve(rng, radius)
    elif kind < 0.4:
        points = _blob(rng, radius)
    elif kind < 0.67:  # ellipse
        angle = np.linspace(0, 2 * np.pi, 16 if radius < 40 else 48, endpoint=False)
        points = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.3, 1)], 1)
    elif kind < 0.82:  # rectangle, often long and thin
        aspect = rng.uniform(0.05, 1)
        points = np.array([[-1, -aspect], [1, -aspect], [1, aspect], [-1, aspect]])
    else:  # polygon
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(0.5, 1, (len(angle), 1))
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation * radius)


def _curve(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """A thin, bent band: a wire, a twig, a contour."""
    along = np.linspace(-1, 1, 12)
    bend, twist = rng.normal(0, [0.5, 0.3])
    middle = np.stack([along, bend * along**2 + twist * along**3], 1)
    half = np.array([0, max(1.2 / radius, rng.uniform(0.01, 0.06))])
    return np.concatenate([middle + half, middle[::-1] - half])


def _blob(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """A shape with smooth bays, by a few harmonics of its outline."""
    angle = np.linspace(0, 2 * np.pi, 20 if radius < 40 else 64, endpoint=False)
    order = np.arange(2, 8)
    cosines, sines = rng.normal(0, 1, (2, 6)) * 1.5 * rng.uniform(0.05, 0.35) / order**0.7
    waves = np.cos(np.outer(angle, order)) @ cosines + np.sin(np.outer(angle, order)) @ sines
    distance = np.clip(1 + waves, 0.15, 2)
    flat = rng.uniform(0.4, 1)
    return np.stack([np.cos(angle) * distance, np.sin(angle) * distance * flat], 1)


def _layer(
    rng: np.random.Generator, radii: NDArray[np.float64], textures: Floats
) -> tuple[Floats, Floats]:
    """Draw leaves, the first lowest.

    Args:
        rng: chooses their places, shapes, colours, shading and textures.
        radii: of the leaves, in drawn pixels.
        textures: to choose from, count×size×size.

    Returns:
        The picture, size×size×3, and how much of each pixel leaves cover, size×size, 0–1.
    """
    size, kinds = textures.shape[1], len(textures)
    large, count = size * _OVERSAMPLING, len(radii) + 1  # the first is the ground
    centres = rng.uniform(-0.05, 1.05, (len(radii), 2)) * large
    drawn = Image.new("I", (large, large), 0)
    draw = ImageDraw.Draw(drawn)
    for leaf, (radius, centre) in enumerate(zip(radii, centres, strict=True), start=1):
        corners = _outline(rng, radius) + centre
        draw.polygon([(x, y) for x, y in corners.tolist()], fill=leaf)
    leaves = np.asarray(drawn)

    slopes = rng.normal(0, 12, (count, 2)) * (rng.random((count, 1)) > 0.3)
    slopes /= np.concatenate([[large / 2], radii])[:, None]
    middle = np.concatenate([[[large / 2, large / 2]], centres])
    offsets = -(slopes * middle).sum(1).astype(np.float32)
    across, down = slopes.T.astype(np.float32)
    place = np.arange(large, dtype=np.float32)
    shading = across[leaves] * place + down[leaves] * place[:, None] + offsets[leaves]
    picture = _palette(rng, count)[leaves] + shading[..., None]
    blocks = size, _OVERSAMPLING, size, _OVERSAMPLING
    picture = picture.reshape(*blocks, 3).mean((1, 3))
    cover = (leaves > 0).reshape(blocks).mean((1, 3), dtype=np.float32)

    leaves = leaves[::_OVERSAMPLING, ::_OVERSAMPLING]
    kind = rng.integers(0, kinds, count)
    strength = np.exp(rng.uniform(np.log(4), np.log(60), kinds))[kind]
    strength *= np.exp(rng.normal(0, 0.5, count))
    strength[rng.random(count) < rng.uniform(0.2, 0.7)] = 0
    tint = np.clip(rng.normal(1, 0.08, (count, 3)), 0, None) * strength[:, None]
    shift = rng.integers(0, size, (2, count))  # no two leaves are cut from the same place
    row, column = np.ogrid[:size, :size]
    field = textures[
        kind[leaves], (row + shift[0][leaves]) % size, (column + shift[1][leaves]) % size
    ]
    picture += field[..., None] * tint.astype(np.float32)[leaves]
    return picture, cover


def _blurred(picture: Floats, radius: float) -> Floats:
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)


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
    # The large leaves come first, hence lie below, with some disorder: in a scene that is seen
    # from in front, few large things cover small ones entirely.
    radii = _radii(rng, (size * _OVERSAMPLING) ** 2)
    radii = radii[np.argsort(-radii * np.exp(rng.normal(0, 1.0, len(radii))))]
    textures = np.stack([texture(rng, size) for _ in range(_TEXTURES)])
    far = int(len(radii) * rng.uniform(0.2, 0.8)) if rng.random() < 0.2 else 0
    picture, cover = _layer(rng, radii[far:], textures)
    if far:  # behind, out of focus
        behind, _ = _layer(rng, radii[:far], textures)
        behind = _blurred(behind, float(np.exp(rng.uniform(np.log(0.7), np.log(6)))))
        picture = behind + cover[..., None] * (picture - behind)
    # Light that changes slowly across the scene.
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    slope = rng.normal(0, 0.15, 2)
    picture *= (1 + slope[0] * x + slope[1] * y)[..., None]
    picture = np.clip(picture, 0, 255)
    if rng.random() < 0.5:  # exposure
        gamma = np.float32(np.exp(rng.normal(0, 0.3)))
        picture = np.asarray(255 * (picture / 255) ** gamma, np.float32)
    if rng.random() < 0.25:
        picture = _blurred(picture, float(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.7:
        picture += grain(rng, size) * rng.uniform(0.3, 4)
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)
