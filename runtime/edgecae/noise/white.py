"""The strength of white noise in one frame: of noise that no two pixels share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["white_sigma"]

SAMPLED_PIXELS = 64 * 640
"""About so many pixels of a frame are used, whatever its size."""

BLOCK_COLUMNS = 16
"""Columns of a block. Its rows are two pairs of neighbouring ones."""

ROUNDING = 1 / 12
"""Variance of rounding to whole numbers."""


def _block_statistics(
    frame: NDArray[np.uint8],
) -> tuple[NDArray[np.floating], NDArray[np.floating], int]:
    """Measure each block of a frame.

    Returns:
        Variance of the noise in each block, float32, N; mean of each block, float32, N; number of
        differences that a block's variance is the mean square of.
    """
    height, width = frame.shape[:2]
    channels = frame.shape[2] if frame.ndim == 3 else 1
    step = max(2, height * width // SAMPLED_PIXELS)
    pairs = height // step or 1
    tall = 2 if pairs > 1 else 1
    pairs -= pairs % tall
    upper, lower = (
        frame[first::step][:pairs].reshape(pairs, -1).astype(np.int16) for first in (0, 1)
    )
    down = upper - lower
    across = 2 * down[:, channels:-channels]
    across -= down[:, : -2 * channels]
    across -= down[:, 2 * channels :]
    wide = min(BLOCK_COLUMNS, width - 2)
    many = (width - 2) // wide
    used, each = many * wide * channels, wide * channels
    differences = across[:, :used].astype(np.float32).reshape(pairs // tall, tall, many, each)
    count = tall * each
    # 1, −2, 1 along two rows: the squares of the six factors add up to 12.
    variance = np.einsum("rpmk,rpmk->rm", differences, differences) / (12 * count)
    level = upper[::tall, :used].astype(np.float32).reshape(pairs // tall, many, each)
    return variance.ravel(), (level @ np.full(each, 1 / each, np.float32)).ravel(), count


def white_sigma(frame: NDArray[np.uint8]) -> float:
    """Estimate the noise of a frame, if it is white.

    Differences that no plane leaves anything in (Immerkær, "Fast noise variance estimation", 1996,
    with a first difference down for his second) are squared and averaged in small blocks, and the
    blocks that show no more than noise, by a threshold that follows from the estimate itself, say
    how much it is (after Liu, Tanaka and Okutomi, "Single-image noise level estimation for blind
    denoising", 2013, who sort textured blocks out so). Blocks so dark or bright that their noise
    is clipped are left out as long as there are others.

    Looks at some 40 000 pixels, whatever the size. The finest texture of a clean photo counts as
    noise of σ 0.2 to 1; noise that neighbouring pixels share, as in compressed video, shows less
    than it is.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255.

    Returns:
        σ on the 0–255 scale; 0 for frames of less than 2×3 pixels.
    """
    if frame.shape[0] < 2 or frame.shape[1] < 3:
        return 0.0
    variance, level, count = _block_statistics(frame)
    # Relative spread of a block's variance; the differences overlap, hence 3 for 1.
    spread = math.sqrt(2 * 3 / count)
    enough = min(16, variance.size)
    chosen = variance
    margin, found = 16.0, 0.0
    for attempt in range(4):
        inside = variance[(level >= margin) & (level <= 255 - margin)]
        if inside.size >= enough:
            chosen = inside
        if not attempt:
            rank = chosen.size // 20
            # What the quietest twentieth of blocks shows of pure noise, and not below a third.
            found = float(np.partition(chosen, rank)[rank]) / max(1 - 1.3 * spread, 1 / 3)
        quiet = chosen[chosen <= found * (1 + 1.5 * spread)]
        found = float(quiet.mean()) if quiet.size else found
        margin = min(2 * math.sqrt(found), 110.0)
    return math.sqrt(max(0.0, found - ROUNDING))
