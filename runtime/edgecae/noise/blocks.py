"""Statistics of blocks of 8×8 pixels: a picture and its noise in the bands of the Haar wavelet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError

__all__ = ["BLOCK", "Blocks", "Floats", "split", "statistics"]

Floats = NDArray[np.floating]

BLOCK = 8
"""Pixels on each side of a block."""

MAX_BLOCKS = 16384
"""Blocks of a frame that are measured; of larger frames, evenly spaced rows of blocks."""


class Blocks(NamedTuple):
    """Statistics of each block of a frame and each channel, all float32, N×3."""

    level: Floats
    """Mean."""
    low: Floats
    """Mean of the darkest 2×2 pixels."""
    high: Floats
    """Mean of the brightest."""
    variance: Floats
    """Variance of the noise, with that of rounding."""
    detail: Floats
    """Mean square in the horizontal and vertical band, without its mean in the block."""
    coarse: Floats
    """Mean square of the picture's second differences in the low-pass band, scaled alike."""
    diagonal: Floats
    """Mean square in the diagonal band."""

    def where(self, chosen: NDArray[np.bool_]) -> Blocks:
        """The blocks chosen, N."""
        return Blocks(*(each[chosen] for each in self))

    @staticmethod
    def joined(parts: Sequence[Blocks]) -> Blocks:
        """Those of several frames together."""
        return Blocks(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def split(frame: NDArray[np.uint8]) -> Floats:
    """Split a frame into blocks.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W.

    Returns:
        float32; rows and columns of blocks, rows and columns of 2×2 cells in a block (4, 4), rows
        and columns of pixels in a cell (2, 2), channels (3).

    Raises:
        NoiseError: the frame is smaller than a block.
    """
    if frame.ndim == 2:
        frame = frame[..., None]
    rows, columns = frame.shape[0] // BLOCK, frame.shape[1] // BLOCK
    if not rows or not columns:
        raise NoiseError(
            f"a picture of {frame.shape[1]}×{frame.shape[0]} pixels is too small to measure noise"
        )
    strips = frame[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns * BLOCK, -1)
    strips = strips[:: math.ceil(rows * columns / MAX_BLOCKS)]
    cells = strips.reshape(len(strips), BLOCK // 2, 2, columns, BLOCK // 2, 2, -1)
    cut = cells.transpose(0, 3, 1, 4, 2, 5, 6).astype(np.float32)
    return np.broadcast_to(cut, (*cut.shape[:-1], 3))


def statistics(picture: Floats, noise: Floats | None = None) -> Blocks:
    """Measure each block of a picture.

    Args:
        picture: from :func:`split`.
        noise: the same of the noise, where it is known apart from the picture.
    """
    a, b, c, d = (picture[..., i, j, :] for i in (0, 1) for j in (0, 1))
    low_pass = (a + b + c + d) / 4
    shown = picture if noise is None else noise
    a, b, c, d = (shown[..., i, j, :] for i in (0, 1) for j in (0, 1))
    inside = (2, 3)
    diagonal = np.square((a - b - c + d) / 2).mean(inside)
    count = a.shape[2] * a.shape[3]
    # A plane is constant in these bands: less their mean, a soft gradient does not count.
    down, across = (band.var(inside) for band in ((a + b - c - d) / 2, (a - b + c - d) / 2))
    bent = sum(np.square(np.diff(2 * low_pass, 2, axis)).mean(inside) for axis in inside)
    if noise is None:
        variance = diagonal
    else:
        pixels = 4 * count
        # Less the mean again: a lamp that flickers is no noise of the camera.
        variance = noise.var((2, 3, 4, 5)) * (pixels / (pixels - 1))
    each = (
        low_pass.mean(inside),
        low_pass.min(inside),
        low_pass.max(inside),
        variance,
        (down + across) / 2 * (count / (count - 1)),
        bent / 12,  # two sums, and the squares of 1, −2, 1 add up to 6
        diagonal,
    )
    return Blocks(*(values.reshape(-1, 3) for values in each))
