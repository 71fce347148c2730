"""Find the part of a pixel that is left of a motion after whole pixels.

From gradients, by least squares (Lucas and Kanade, "An iterative image registration technique with
an application to stereo vision", 1981), of some lines of blocks of pixels. Both pictures are noisy.
So slopes of the one are multiplied with those of the other: their products have no power of the
noise, which would make every motion look too small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.kept import Kept

__all__ = ["STEPS", "part_of_a_pixel"]

Floats = NDArray[np.floating[Any]]

LINES = 64
"""Lines of blocks that are looked at, about."""
MIN_BLOCKS = 8
"""Of a side, below which nothing is looked for."""
STEPS = 16
"""A pixel has so many parts."""
MIN_PART = 1 / 8
"""Pixels that are moved at least: each time, the picture that is kept gets softer by it."""
OUTLYING = 3.0
"""Times the mean difference, from where on a difference counts for less."""
CELLS = 8
"""The picture is judged in so many parts in each direction."""
CLEARLY = 3.0
"""Standard errors that the mean gain of the parts is above 0, if there is a motion."""
MOST = 0.7
"""Share of the picture's slopes that lie in parts which gain, if it is not a thing that moves."""


def part_of_a_pixel(
    green: NDArray[np.uint8], kept: Kept, shift: tuple[int, int]
) -> tuple[float, float]:
    """Find what is left of a motion.

    Args:
        green: of a frame, H×W, 0–255.
        kept: of the frames before it.
        shift: whole pixels that the frame has moved, rows and columns.

    Returns:
        Rows and columns that it has moved further, −1 to 1, in sixteenths; 0 where that is little
        or uncertain.
    """
    pair = _lines(green, kept, shift)
    if pair is None:
        return 0.0, 0.0
    now, before = (_smoothed(_smoothed(each, 0), 2) for each in pair)
    slopes, slopes_before = (
        ((each[2, :, 1:-1] - each[0, :, 1:-1]) / 2, (each[1, :, 2:] - each[1, :, :-2]) / 2)
        for each in (now, before)
    )
    away = now[1, :, 1:-1] - before[1, :, 1:-1]
    weights = 1 / (1 + np.square(away / (OUTLYING * np.abs(away).mean() + 1e-6)))

    def sums(one: Floats, two: Floats) -> Floats:
        """Of products, for each part of the picture."""
        tall, wide = (side // CELLS for side in away.shape)
        product = (weights * one * two)[: tall * CELLS, : wide * CELLS]
        total: Floats = product.reshape(CELLS, tall, CELLS, wide).sum(axis=(1, 3), dtype=float)
        return total

    crossed = (sums(slopes[0], slopes_before[1]) + sums(slopes[1], slopes_before[0])) / 2
    cells = np.array(
        [
            [sums(slopes[0], slopes_before[0]), crossed],
            [crossed, sums(slopes[1], slopes_before[1])],
        ]
    )
    toward = np.array(
        [sums(one + two, away) / 2 for one, two in zip(slopes, slopes_before, strict=True)]
    )
    matrix = cells.sum(axis=(2, 3))
    if np.linalg.eigvalsh(matrix)[0] <= 0:
        return 0.0, 0.0
    found = np.linalg.solve(matrix, toward.sum(axis=(1, 2)))
    # What the motion changes in each part, squared, and by how much the squared difference falls.
    change = np.maximum(np.einsum("i,ijab,j->ab", found, cells, found), 0)
    gain = 2 * np.tensordot(found, toward, 1) - change
    if gain.mean() <= CLEARLY * gain.std() / np.sqrt(gain.size - 1):
        return 0.0, 0.0
    if change[gain > 0].sum() < MOST * change.sum():
        return 0.0, 0.0
    down, right = (float(by) for by in np.clip(found * kept.block, -1, 1))
    if max(abs(down), abs(right)) < MIN_PART:
        return 0.0, 0.0
    return round(down * STEPS) / STEPS, round(right * STEPS) / STEPS


def _lines(
    green: NDArray[np.uint8], kept: Kept, shift: tuple[int, int]
) -> tuple[Floats, Floats] | None:
    """Five neighbouring lines of blocks, at several places: of a frame, and of what is kept.

    Returns:
        Two arrays of 5×places×columns; None: the picture is too small.
    """
    block = kept.block
    # Blocks of what is kept, and where they begin in the frame, once it is moved by whole pixels.
    sides = []
    for start, by, side in zip((kept.top, kept.left), shift, green.shape, strict=True):
        first = -(-(start + max(0, by)) // block)
        stop = (start + min(side, side + by)) // block
        sides.append((first, stop - first, first * block - start - by))
    (top, tall, row), (left, wide, column) = sides
    if min(tall, wide) < MIN_BLOCKS + 4:
        return None
    step = max(1, (tall - 4) // LINES)
    count = (tall - 5) // step + 1
    if count < CELLS:
        return None
    frames, states = [], []
    for line in range(5):
        total = np.zeros((count, wide), np.float32)
        for inside in range(block):
            pixels = green[row + line * block + inside :: step * block][:count]
            for place in range(block):
                total += pixels[:, column + place : column + wide * block : block]
        frames.append(total / np.float32(block**2))
        states.append(kept.lines(top + line, step, count)[:, left : left + wide])
    return np.stack(frames), np.stack(states)


def _smoothed(picture: Floats, axis: int) -> Floats:
    """Binomial means of three; the result is shorter by 2."""
    size = picture.shape[axis]
    before, middle, after = (
        picture[(slice(None),) * axis + (slice(by, size - 2 + by),)] for by in range(3)
    )
    return (before + 2 * middle + after) / 4
