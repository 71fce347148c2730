"""Take away what the cut of noise at black and white adds to the mean of many frames.

Noise that is cut at black has a mean above zero, so the mean of frames is too bright there; at
white it is too dark. How much, the mean and the deviation of the frames tell together, for noise
that was normal before the cut (Foi, "Clipped noisy images: heteroskedastic modeling and practical
denoising", 2009).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.blend import SIGN_BIT

__all__ = ["Declipping", "added_by_cut"]

LEVELS = 256
STEP = 4
"""Each so many blocks, one is looked at."""
MAX_GAIN = 0.25
"""Of blocks that are looked at: others have no mean of frames yet, or moved."""
KEPT = 0.9
"""Share of what was seen before that still counts with the next frame."""
NEAR = 3
"""Levels, each way, that speak for a level."""
MIN_SEEN = 100.0
"""Pixels that tell of a level at least."""
LEAST = 0.5
"""Levels, below which a correction is none."""
CLASSES = 16
"""Gains are put into so many."""

Kept = NDArray[np.int8]


def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Deviation over mean of noise cut at black, rising, and the mean's share that the cut adds."""
    ratios, shares = [], []
    for clean in np.linspace(0, 4, 201):  # in standard deviations above black
        normal = math.exp(-(clean**2) / 2) / math.sqrt(2 * math.pi)
        mean = normal + clean * (1 + math.erf(clean / math.sqrt(2))) / 2
        away = mean - clean
        above = (
            math.exp(-(away**2) / 2) / math.sqrt(2 * math.pi)
            - away * (1 - math.erf(away / math.sqrt(2))) / 2
        )
        ratios.append(2 * above / mean)
        shares.append(away / mean)
    return np.array(ratios[::-1]), np.array(shares[::-1])


RATIOS, SHARES = _table()


def added_by_cut(seen: NDArray[np.float64], away: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the cut adds to the mean of frames, in levels, negative near white.

    Args:
        seen: how many pixels tell of a level, channels × 256; each level takes those near it.
        away: sum of their absolute distances from the mean, in levels, likewise.

    Returns:
        Channels × 256, by level of the mean; 0 where too few pixels tell.
    """
    sums = np.pad(np.stack([seen, away]), ((0, 0), (0, 0), (NEAR + 1, NEAR)))
    around = np.cumsum(sums, axis=2)
    count, total = around[..., 2 * NEAR + 1 :] - around[..., : -2 * NEAR - 1]
    deviation = np.where(count >= MIN_SEEN, total / np.maximum(count, 1), 0)
    level = np.arange(LEVELS, dtype=np.float64)
    black, white = (
        side * np.interp(deviation / np.maximum(side, 0.5), RATIOS, SHARES, left=0)
        for side in (level, LEVELS - 1 - level)
    )
    return np.asarray(black - white)


class Declipping:
    """Learns from the frames of one sequence what the cut adds to each level, and takes it away."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 3, LEVELS))
        self._tables: NDArray[np.uint8] | None = None
        self._seen = np.empty((0, 0, 3), np.int16)
        self._first = 0

    def reset(self) -> None:
        """Forget the sequence."""
        self._sums[:] = 0
        self._tables = None

    @property
    def needed(self) -> bool:
        """Whether any level is to be corrected."""
        return self._tables is not None

    def see(self, frame: NDArray[np.uint8], block: int, top: int) -> None:
        """Look at a frame, before it is denoised.

        Args:
            frame: uint8, H×W×3 or H×W×1.
            block: side of the blocks of pixels that :meth:`learn` is given.
            top: row, and column, of their plane where the frame begins.
        """
        self._first, step = -(-top // block), STEP * block
        start = self._first * block - top
        self._seen = frame[start::step, start::step].astype(np.int16)

    def learn(self, mean: Kept, gain: Kept) -> None:
        """Compare the last frame with what is kept after it.

        Args:
            mean: int8, the mean of the frames in blocks, levels less 128.
            gain: int8, k of each block times 256, less 128.
        """
        tall, wide = self._seen.shape[:2]
        cells = np.s_[self._first :: STEP, self._first :: STEP]
        gains = (gain[cells][:tall, :wide, 0].astype(np.float32) + 128) / 256
        known = gains <= MAX_GAIN
        levels = mean[cells][:tall, :wide, :3][known].astype(np.int16) + 128
        away = np.abs(self._seen[known] - levels)
        # A frame is a part of the mean, which is nearer to it by that.
        weights = 1 / np.sqrt(1 - gains[known])
        self._sums *= KEPT
        for channel in range(3):
            at = levels[:, channel]
            self._sums[0, channel] += np.bincount(at, minlength=LEVELS)
            self._sums[1, channel] += np.bincount(at, away[:, channel] * weights, LEVELS)
        self._tables = self._made()

    def _made(self) -> NDArray[np.uint8] | None:
        """Tables of levels without what the cut added, classes of gain × channels × levels."""
        added = added_by_cut(*self._sums)
        if np.abs(added).max() < LEAST:
            return None
        gains = (np.arange(CLASSES) + 0.5) / CLASSES
        left = added * (1 - np.sqrt(gains))[:, None, None]
        tables: NDArray[np.uint8] = np.clip(np.rint(np.arange(LEVELS) - left), 0, 255).astype(
            np.uint8
        )
        return tables

    def corrected(self, result: Kept, gain: Kept, block: int) -> Kept:
        """Correct a result.

        Args:
            result: int8, H×W×3, levels less 128, in whole blocks.
            gain: of its blocks, see :meth:`learn`.
            block: side of a block.

        Returns:
            An array like ``result``, or that.
        """
        if self._tables is None:
            return result
        classes = ((gain[..., 0].astype(np.int16) + 128) * CLASSES // 256).astype(np.uint16)
        base = np.repeat(np.repeat(classes * LEVELS, block, 0), block, 1)
        levels = result.view(np.uint8) ^ SIGN_BIT
        found = np.empty_like(levels)
        for channel in range(3):
            table = self._tables[:, channel].reshape(-1)
            np.take(table, base + levels[..., channel], out=found[..., channel])
        return (found ^ SIGN_BIT).view(np.int8)
