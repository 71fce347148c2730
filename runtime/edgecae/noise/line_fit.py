"""The line of variance over mean through what blocks show, and which blocks lie on it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise.blocks import Blocks, Floats

__all__ = ["Fit", "bin_by_level", "fit_line", "not_clipped", "robust_line"]

MIN_BLOCKS = 12
"""Blocks that a channel must have."""

BIN = 8
"""Levels of brightness that are averaged into one point before the fit."""

MIN_LEVEL_RANGE = 24
"""Levels; points that lie closer together than this don't tell gain and read apart."""


def robust_line(
    level: Floats, variance: Floats, weight: Floats, envelope: bool = False
) -> tuple[float, float]:
    """Gain and read², neither negative, by least squares of relative distances.

    A level of brightness where nothing is still or flat must not bend the line: Huber's weights.
    For the lower envelope, points above the line have Cauchy's, which fall to nothing.
    """
    gain, offset = 0.0, float(variance.min() if envelope else np.average(variance, weights=weight))
    if offset <= 0 or np.ptp(level) < MIN_LEVEL_RANGE:
        return gain, max(0.0, offset)
    least = offset / 100
    for _ in range(30):
        expected = np.maximum(gain * level + offset, least)
        off = (variance / expected - 1) / 0.1
        trust = 1 / (1 + np.maximum(off, 0) ** 2) if envelope else 1 / np.maximum(1, np.abs(off))
        w = weight / expected**2 * trust
        x, y = np.average(level, weights=w), np.average(variance, weights=w)
        gain = float((w * (level - x) * (variance - y)).sum() / (w * (level - x) ** 2).sum())
        offset = float(y - gain * x)
        if gain < 0:
            gain, offset = 0.0, float(y)
        elif offset < 0:
            gain, offset = float((w * level * variance).sum() / (w * level**2).sum()), 0.0
    return gain, offset


def bin_by_level(
    level: Floats, variance: Floats, quantile: float | None
) -> tuple[Floats, Floats, Floats]:
    """Mean level, mean (or a quantile of the) variance, and blocks of each brightness."""
    bins = (level / BIN).astype(int)
    least = 1 if quantile is None else 3
    points = []
    for each in np.unique(bins):
        inside = bins == each
        count = int(np.count_nonzero(inside))
        if count >= least:
            values = variance[inside]
            middle = float(values.mean() if quantile is None else np.quantile(values, quantile))
            points.append((level[inside].mean(), middle, count))
    levels, variances, counts = np.array(points, np.float64).reshape(-1, 3).T
    return levels, variances, counts


class Fit(NamedTuple):
    """The line of one channel, and what it rests on.

    Attributes:
        gain: variance for each level of brightness.
        offset: variance in the dark, with that of rounding.
        kept: the blocks on the line, N.
        share: of them among those that are neither black nor white.
        error: relative distance of σ at each brightness from the line's, root of the mean square.
        clipped: whether blocks had to serve whose noise is cut off at black or white.
        narrow: whether they are all of one brightness.
    """

    gain: float
    offset: float
    kept: NDArray[np.bool_]
    share: float
    error: float
    clipped: bool
    narrow: bool


def not_clipped(
    blocks: Blocks, gain: float, offset: float, channel: int, margin: float
) -> NDArray[np.bool_]:
    """Blocks whose pixels lie ``margin`` σ of the given line from black and white, N."""
    low, high = blocks.low[:, channel], blocks.high[:, channel]
    dark, bright = (np.sqrt(np.maximum(gain * at + offset, 0)) for at in (low, high))
    inside: NDArray[np.bool_] = (low - margin * dark >= 0.5) & (high + margin * bright <= 254.5)
    return inside


def fit_line(blocks: Blocks, channel: int, degrees: int) -> Fit:
    """Lay the line through the blocks of a channel, and leave out those that are far off.

    Args:
        blocks: candidates.
        channel: of them.
        degrees: of freedom of a block's variance, which say how far it strays by chance.

    Raises:
        NoiseError: too few blocks are neither black nor white.
    """
    spread = math.sqrt(2 / degrees)
    level, variance = blocks.level[:, channel], blocks.variance[:, channel]
    inside = (blocks.low[:, channel] >= 16) & (blocks.high[:, channel] <= 239)
    if np.count_nonzero(inside) < MIN_BLOCKS:
        inside = (level >= 0.5) & (level <= 254.5)
    gain, offset = 0.0, 0.0
    margin = 3.0
    kept = inside
    # The lower quartile holds where three quarters of a brightness move.
    points = bin_by_level(level[inside], variance[inside], 0.25)
    if points[0].size:
        gain, offset = robust_line(points[0], points[1] / (1 - 0.674 * spread), points[2])
    for _ in range(6):
        for margin in (3.0, 2.0, 1.0):
            inside = not_clipped(blocks, gain, offset, channel, margin)
            if np.count_nonzero(inside) >= MIN_BLOCKS:
                break
        expected = gain * level + offset
        kept = inside & (np.abs(variance - expected) <= 4 * spread * expected)
        points = bin_by_level(level[kept], variance[kept], None)
        if not points[0].size:
            break
        gain, offset = robust_line(*points)
    if np.count_nonzero(kept) < MIN_BLOCKS:
        raise NoiseError(
            "nothing to measure: too few blocks of 8×8 pixels are neither black nor white and "
            "show only noise; take pictures of something plain that has dark and bright parts"
        )
    expected = np.maximum(gain * points[0] + offset, 1e-9)
    off = np.sqrt(points[1] / expected) - 1
    error = math.sqrt(float(np.average(off**2, weights=points[2])))
    share = int(np.count_nonzero(kept)) / max(1, int(np.count_nonzero(inside)))
    return Fit(
        gain, offset, kept, share, error, margin < 3, bool(np.ptp(points[0]) < MIN_LEVEL_RANGE)
    )
