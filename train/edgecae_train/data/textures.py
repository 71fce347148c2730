"""Textures for the built-in training images, each a periodic gray field.

Photos are full of detail that hangs together: cloth, bark, grass, gravel. A network that never saw
any takes it for noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["grain", "texture"]

Field = NDArray[np.float32]

MAX_GRAINS = 6000


def texture(rng: np.random.Generator, size: int) -> Field:
    """One texture, or two of them in one.

    Args:
        rng: chooses.
        size: height and width in pixels, even.

    Returns:
        size×size, zero mean, unit deviation.
    """
    field = _one(rng, size)
    if rng.random() < 0.5:
        share = rng.uniform(0.15, 0.5)
        field = _normalized((1 - share) * field + 2 * share * _one(rng, size))
    return field


def grain(rng: np.random.Generator, size: int) -> Field:
    """Noise like that of film, which is part of a photo: fine, more of brightness than of colour.

    Args:
        rng: chooses.
        size: height and width in pixels.

    Returns:
        size×size×3, zero mean, unit deviation.
    """
    radius = rng.uniform(0.3, 0.7)
    gauss = np.exp(-2 * np.pi**2 * radius**2 * np.hypot(*_frequencies(size)) ** 2)
    planes = [_filtered(rng.standard_normal((size, size)), gauss) for _ in range(4)]
    colour = rng.uniform(0, 0.6)
    return _normalized((1 - colour) * planes[0][..., None] + colour * np.stack(planes[1:], axis=2))


def _one(rng: np.random.Generator, size: int) -> Field:
    half = size // 2
    kind = rng.random()
    if kind < 0.5:
        return np.tile(_strokes(rng, half), (2, 2))
    if kind < 0.7:
        return np.tile(_grains(rng, half), (2, 2))
    noise = np.tile(_noise(rng, half), (2, 2))
    return _stripes(rng, noise) if kind < 0.88 else noise


def _normalized(field: NDArray[Any]) -> Field:
    field = field - field.mean()
    return np.asarray(field / (field.std() + 1e-9), np.float32)


def _frequencies(size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Down and across, in cycles a pixel, as :func:`_filtered` has them: size×1 and 1×n."""
    return np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]


def _filtered(values: NDArray[np.float64], response: NDArray[Any]) -> Field:
    """Filter a periodic field by its response to each frequency, and normalize it."""
    return _normalized(np.fft.irfft2(np.fft.rfft2(values) * response, values.shape))


def _noise(rng: np.random.Generator, size: int) -> Field:
    """Isotropic noise of spectrum 1/f^β."""
    frequency = np.hypot(*_frequencies(size))
    frequency[0, 0] = 1
    beta = rng.uniform(0.4, 2.2)
    return _filtered(rng.standard_normal((size, size)), frequency**-beta)


def _stripes(rng: np.random.Generator, noise: Field) -> Field:
    """Stripes, bent by noise; they may break at the edges of the field."""
    down, across = np.mgrid[: len(noise), : len(noise)].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(3), np.log(40)))
    place = (across * np.cos(angle) + down * np.sin(angle)) / period
    stripes = np.sin(2 * np.pi * (place + rng.uniform(0, 0.6) * noise))
    if rng.random() < 0.3:
        stripes = np.sign(stripes) * np.abs(stripes) ** 0.3
    return _normalized(stripes)


def _strokes(rng: np.random.Generator, size: int) -> Field:
    """Grass, fur, bark: sparse points, drawn out along directions that vary about one."""
    direction, spread = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(0.05), np.log(1.5)))
    thickness = np.exp(rng.uniform(np.log(0.5), np.log(2.5)))
    length = np.exp(rng.uniform(np.log(2), np.log(14)))  # in units of thickness
    down, across = _frequencies(size)
    total = np.zeros((size, size))
    for _ in range(6):
        angle = direction + rng.normal(0, spread)
        width = thickness * np.exp(rng.normal(0, 0.3))
        along = across * np.cos(angle) + down * np.sin(angle)
        beside = down * np.cos(angle) - across * np.sin(angle)
        spectrum = np.exp(-2 * np.pi**2 * width**2 * ((along * length) ** 2 + beside**2)) + 0j
        if rng.random() < 0.5:  # bright on one side, dark on the other
            spectrum *= 1j * beside
        density = np.exp(rng.uniform(np.log(0.002), np.log(0.3)))
        points = rng.standard_normal((size, size)) * (rng.random((size, size)) < density)
        total += _filtered(points, spectrum) * rng.uniform(0.3, 1)
    return _normalized(total)


def _grains(rng: np.random.Generator, size: int) -> Field:
    """Gravel, foliage: small leaves over each other, more or less in one direction."""
    scale = np.exp(rng.uniform(np.log(1.2), np.log(7)))
    count = min(int(2.5 * size**2 / (3 * scale**2)), MAX_GRAINS)
    corners = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    outline = np.stack([np.cos(corners), rng.uniform(0.25, 1) * np.sin(corners)], axis=1)
    direction, spread = rng.uniform(0, np.pi, 2)
    turns = direction + rng.uniform(-spread, spread, count)
    turned = np.stack([np.cos(turns), -np.sin(turns), np.sin(turns), np.cos(turns)], axis=1)
    radii = scale * np.exp(rng.normal(0, 0.4, count))
    places = rng.uniform(0, size, (count, 1, 2))
    leaves = outline @ turned.reshape(-1, 2, 2) * radii[:, None, None] + places
    image = Image.new("F", (size, size), 0.0)
    draw = ImageDraw.Draw(image)
    for leaf, value in zip(leaves, rng.normal(0, 1, count), strict=True):
        draw.polygon([(x, y) for x, y in leaf.tolist()], fill=float(value))
    return _normalized(np.asarray(image))
