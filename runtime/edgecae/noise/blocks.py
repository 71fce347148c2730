"""What blocks of 8×8 pixels show of a picture and its noise, in the bands of the Haar wavelet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError

__all__ = ["BLOCK", "Blocks", "Floats", "look", "tiles"]

Floats = NDArray[np.floating]

BLOCK = 8
"""Pixels on each side of a block."""

MOST_BLOCKS = 16384
"""Of a frame; of larger ones, only every so many rows of blocks are looked at."""


class Blocks(NamedTuple):
    """What each block of a frame shows; all float32, N×3."""

    level: Floats
    """Mean."""
    low: Floats
    """Mean of the darkest 2×2 pixels."""
    high: Floats
    """Mean of the brightest."""
    variance: Floats
    """Of the noise, with that of rounding."""
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


def tiles(frame: NDArray[np.uint8]) -> Floats:
    """A frame in blocks: rows, columns, 4, 4, 2, 2, 3, the last two pairs inside a block."""
    if frame.ndim == 2:
        frame = frame[..., None]
    rows, columns = frame.shape[0] // BLOCK, frame.shape[1] // BLOCK
    if not rows or not columns:
        raise NoiseError(
            f"a picture of {frame.shape[1]}×{frame.shape[0]} pixels is too small to measure noise"
        )
    strips = frame[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns * BLOCK, -1)
    strips = strips[:: math.ceil(rows * columns / MOST_BLOCKS)]
    cells = strips.reshape(len(strips), BLOCK // 2, 2, columns, BLOCK // 2, 2, -1)
    cut = cells.transpose(0, 3, 1, 4, 2, 5, 6).astype(np.float32)
    return np.broadcast_to(cut, (*cut.shape[:-1], 3))


def look(picture: Floats, noise: Floats | None = None) -> Blocks:
    """Look at the tiles of a picture, and at those of its noise where that is known apart."""
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
