"""How alike the noise of two shots of one still scene looks, as video leaves it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.coding import colour_matrices

__all__ = ["SEGMENT", "Look", "distance", "look"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

SEGMENT = 12
"""Frames that are looked at together: how strong noise looks depends on for how long one looks."""

FAR, NEAR = SEGMENT // 2, (1, 2, 4)
"""Frames so far apart count as different, those so near as alike."""

BLOCK = 8
BINS, MIN_PIXELS = 8, 500
"""Of brightness; pixels below which one is not looked at."""

MIN_VARIANCE = 0.02
WEIGHTS = np.array([2.0, 0.5, 0.5])
"""Of luma and two channels of chroma."""
SKEW_WEIGHT, TIME_WEIGHT = 4.0, 20.0
"""A distance of 1 is a σ that is off by a third, say."""


@dataclass(frozen=True, eq=False)
class Look:
    """What noise looks like; B bins of brightness, luma and two channels of chroma.

    Attributes:
        pixels: of each bin, B.
        variance: of frames that are far apart, 3×B.
        skewness: of luma, B.
        time: correlation with the frames :data:`NEAR` after it, 3×3.
        detail: energy of a frame's cosine transform in blocks of 8×8, relative to white noise,
            8×8×3.
    """

    pixels: Floats
    variance: Floats
    skewness: Floats
    time: Floats
    detail: Floats


@functools.cache
def _cosines() -> Floats:
    """The orthonormal cosine transform of eight values, 8×8."""
    rows, columns = np.mgrid[:BLOCK, :BLOCK]
    waves = np.cos(math.pi * (2 * columns + 1) * rows / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    waves[0] /= math.sqrt(2)
    return np.asarray(waves, np.float32)


def look(frames: Sequence[Pixels]) -> Look:
    """Look at still frames.

    Args:
        frames: at least :data:`SEGMENT`, uint8, H×W×3, of one size, 8×8 or larger.
    """
    found = [
        _look(np.stack(frames[first : first + SEGMENT]).astype(np.float32))
        for first in range(0, len(frames) - SEGMENT + 1, SEGMENT)
    ]
    return Look(*(np.mean([getattr(each, n) for each in found], axis=0) for n in vars(found[0])))


def _look(frames: Floats) -> Look:
    planes = frames @ colour_matrices(601)[0].T
    mean = planes.mean(0)
    bins = np.clip(mean[..., 0] * BINS / 256, 0, BINS - 1).astype(int)
    pixels = np.bincount(bins.ravel(), minlength=BINS)

    def by_level(values: Floats) -> Floats:
        return np.bincount(bins.ravel(), values.ravel(), BINS) / np.maximum(pixels, 1)

    change = (planes[FAR:] - planes[:-FAR]) / math.sqrt(2)
    far = np.square(change).mean(0)
    variance = np.stack([by_level(far[..., plane]) for plane in range(3)])
    third = by_level(((planes[..., 0] - mean[..., 0]) ** 3).mean(0))
    whole = np.maximum(far.mean((0, 1)), MIN_VARIANCE)
    near = [0.5 * np.square(planes[lag:] - planes[:-lag]).mean((0, 1, 2)) for lag in NEAR]
    change /= np.sqrt(np.maximum(variance.T[bins], MIN_VARIANCE))
    height, width = (size // BLOCK for size in change.shape[1:3])
    blocks = change[:, : height * BLOCK, : width * BLOCK]
    blocks = blocks.reshape(len(change), height, BLOCK, width, BLOCK, 3)
    waves = np.einsum("ab,nibjcp,dc->nijadp", _cosines(), blocks, _cosines(), optimize=True)
    return Look(
        pixels=pixels.astype(np.float64),
        variance=variance,
        skewness=third / np.maximum(variance[0], MIN_VARIANCE) ** 1.5,
        time=1 - np.stack(near) / whole,
        detail=np.square(waves).mean((0, 1, 2)),
    )


def distance(one: Look, other: Look) -> float:
    """How unalike two looks are, from 0 on.

    Logarithms of variance and detail, skewness and correlation in time are compared, brightness by
    brightness with the weight of its pixels.
    """
    pixels = np.minimum(one.pixels, other.pixels)
    weight = pixels * (pixels >= MIN_PIXELS)
    if not weight.any():
        return math.inf
    weight = weight / weight.sum()

    def off(of_one: Floats, of_other: Floats) -> Floats:
        logarithms = [np.log(np.maximum(each, MIN_VARIANCE)) for each in (of_one, of_other)]
        return np.asarray(np.square(logarithms[0] - logarithms[1]))

    parts = (
        (off(one.variance, other.variance) @ weight) @ WEIGHTS,
        off(one.detail, other.detail).mean((0, 1)) @ WEIGHTS,
        SKEW_WEIGHT * np.square(one.skewness - other.skewness) @ weight,
        TIME_WEIGHT * np.square(one.time - other.time).mean(),
    )
    return float(sum(parts))
