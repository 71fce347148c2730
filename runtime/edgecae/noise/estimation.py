"""The strength of the noise in one frame, white or not."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.bands import BLOCK, COUNT, band_levels
from edgecae.noise.white import estimate_white

__all__ = [
    "FEATURES",
    "WEIGHTS",
    "estimate",
    "features",
    "from_features",
    "sigma_of",
    "target_of",
]

WEIGHTS = Path(__file__).with_name("estimator.npz")
"""Made by ``benchmarks/estimator.py``: ``mean`` and ``spread`` of the features; ``kernel_I`` and
``bias_I`` of each layer."""

FEATURES = COUNT + 4
"""How many numbers :func:`features` returns."""

AGREEMENT = 1.25
"""Where both estimates differ by no more than this factor, the one of white noise is taken."""

_LEAST = 0.25
"""Variance that is added before the logarithm: what is less does not matter."""


def features(frame: NDArray[np.uint8], white: float) -> NDArray[np.float32]:
    """Describe a frame in numbers that tell how strong its noise is.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255; H and W are :data:`BLOCK` or more.
        white: what :func:`edgecae.noise.white.estimate_white` says of it.

    Returns:
        float32, :data:`FEATURES` of them: :func:`edgecae.noise.bands.band_levels`, ``white``, the
        brightness, and how much of the frame is black or white.
    """
    step = max(1, math.isqrt(frame.shape[0] * frame.shape[1] // 4096))
    some = frame[::step, ::step]
    others = (
        math.log(white**2 + 0.1),
        math.log(float(some.mean()) + 8),
        float((some < 8).mean()),
        float((some > 247).mean()),
    )
    return np.concatenate([band_levels(frame), np.array(others, np.float32)])


def target_of(sigma: NDArray[np.floating]) -> NDArray[np.floating]:
    """What the estimator learns to say of noise of σ."""
    return np.log(np.square(sigma) + _LEAST) / 2


def sigma_of(target: NDArray[np.floating]) -> NDArray[np.floating]:
    """The σ of what the estimator says."""
    return np.sqrt(np.maximum(0, np.exp(2 * target) - _LEAST))


@functools.cache
def _layers() -> tuple[NDArray[np.float32], NDArray[np.float32], list[NDArray[np.float32]]]:
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        pairs = (len(stored.files) - 2) // 2
        layers = [stored[f"{kind}_{i}"] for i in range(pairs) for kind in ("kernel", "bias")]
        return stored["mean"], stored["spread"], layers


def estimate(frame: NDArray[np.uint8]) -> float:
    """Estimate the noise of a frame: white, or as cameras and video leave it.

    A small network (two layers of ReLU) reads how much detail the frame has, by size and by
    quietness of blocks, of brightness and colours. It learned that from ``gaussian:``,
    ``poisson-gaussian:`` and ``camera:`` noise on photos. Where it agrees with
    :func:`edgecae.noise.white.estimate_white`, that is taken: it is more exact for white noise.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255.

    Returns:
        σ on the 0–255 scale, the root of the mean square over all pixels and channels. 0 for frames
        of less than 2×3 pixels; of those with a side of less than 16, that of white noise.
    """
    white = estimate_white(frame)
    if min(frame.shape[:2]) < BLOCK:
        return white
    return from_features(features(frame, white), white)


def from_features(described: NDArray[np.float32], white: float) -> float:
    """The estimate of a frame by what :func:`features` says, with the same ``white``."""
    if (described[:COUNT] == described[0]).all():  # nothing in it differs
        return 0.0
    mean, spread, layers = _layers()
    values = (described - mean) / spread
    for kernel, bias in zip(layers[::2], layers[1::2], strict=True):
        values = values @ kernel + bias
        if kernel is not layers[-2]:
            values = np.maximum(values, 0)
    found = float(sigma_of(values)[0])
    return white if white < AGREEMENT * found and found < AGREEMENT * white else found
