"""Move a picture that is kept in blocks by parts of a pixel.

Windowed sinc interpolation (Lanczos), rows first, then columns, as products of matrices: a library
makes those quicker than sums of shifted pictures are. All numbers are multiples of 1/1024 that
float32 holds exactly, so the order of a sum changes nothing, and a part of a picture comes out as
it does in the whole.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["MAX_FINE", "TAPS", "kernel", "moved"]

TAPS = 16
"""Pixels that a new one is made of, in each direction. A picture is moved in each frame anew: with
half as many, it gets visibly softer."""
BEFORE = TAPS // 2 - 1
"""Of these, how many lie before the one that it begins from."""
UNIT = 256
"""Sum of a kernel."""
FINER = 4
"""By which steps between the two directions are smaller than those of the picture."""
MAX_FINE = 12
"""Steps of a level, with which sums of the sharpest pictures stay below 2²⁴ of 1/1024."""
SIDE = 32
"""Rows and columns that one product makes: the rows stay in the processor's cache, and OpenBLAS
makes so small a product in one thread."""

Blocks = NDArray[np.int8]
Planes = NDArray[np.float32]
"""Channels×rows×columns, in steps of 1/fine level from black."""


def kernel(part: float) -> Planes:
    """Weights of the pixels at −7 … 8 for a place between 0 and 1: whole numbers with sum 256."""
    away = np.arange(-BEFORE, TAPS - BEFORE) - part
    weights = np.sinc(away) * np.sinc(away / (TAPS // 2))
    whole = np.rint(weights * (UNIT / weights.sum()))
    whole[np.argmax(whole)] += UNIT - whole.sum()
    rounded: Planes = whole.astype(np.float32)
    return rounded


def _weights(part: float, scale: float) -> Planes:
    """Weights of ``SIDE + TAPS - 1`` pixels in a line for each of ``SIDE`` new ones."""
    result = np.zeros((SIDE, SIDE + TAPS - 1), np.float32)
    line = kernel(part) * np.float32(scale)
    for place in range(SIDE):
        result[place, place : place + TAPS] = line
    return result


def _unfold(high: Blocks, low: Blocks, fine: int, block: int, planes: Planes) -> None:
    """Write blocks as pixels: C×(rows·block)×(columns·block)."""
    steps = high.astype(np.int16)
    steps += 128
    steps *= fine
    steps += low
    # Element by element of a block: quicker than a transposition.
    for channel in range(high.shape[2]):
        place, plane = divmod(channel, len(planes))
        row, column = divmod(place, block)
        planes[plane, row::block, column::block] = steps[..., channel]


def _fold(planes: Planes, high: Blocks, low: Blocks, fine: int, block: int) -> None:
    """Undo :func:`_unfold`."""
    steps = np.empty(high.shape, np.int16)
    for channel in range(high.shape[2]):
        place, plane = divmod(channel, len(planes))
        row, column = divmod(place, block)
        steps[..., channel] = planes[plane, row::block, column::block]
    levels = (steps + fine // 2) // fine
    np.subtract(levels, 128, out=high, casting="unsafe")
    np.subtract(steps, fine * levels, out=low, casting="unsafe")


def moved(
    high: Blocks,
    low: Blocks,
    fine: int,
    block: int,
    inside: tuple[range, range],
    place: tuple[range, range],
    part: tuple[float, float],
) -> tuple[Blocks, Blocks]:
    """Read a part of a picture between its pixels.

    Args:
        high: the picture after space-to-depth, H/block×W/block×(block²·C): levels less 128.
        low: what is left of it, alike, in steps of 1/fine level.
        fine: see there; at most ``MAX_FINE``.
        block: side of a block.
        inside: rows and columns of the picture that are read; those at its sides stand for all
            that lie beyond.
        place: rows and columns of the picture where the part would lie if ``part`` were 0; of
            whole blocks. It may begin anywhere.
        part: how much further down and to the right it lies, 0 to 1, less than 1.

    Returns:
        The part of the picture as ``high`` and ``low``.
    """
    each = high.shape[2] // block**2
    height, width = (len(side) for side in place)
    results = [np.empty((height // block, width // block, high.shape[2]), np.int8) for _ in "hl"]
    rows, columns = (
        np.clip(
            np.arange(side.start - BEFORE, side.stop + TAPS - 1 - BEFORE),
            within.start,
            within.stop - 1,
        )
        for side, within in zip(place, inside, strict=True)
    )
    first, last = int(columns[0]) // block, int(columns[-1]) // block + 1
    down, right = _weights(part[0], FINER / UNIT), _weights(part[1], 1 / (FINER * UNIT))
    # What no pixel fills must be finite: 0 times what is not a number is none, too.
    wide = -(-width // SIDE) * SIDE
    pixels = np.zeros((each, SIDE + TAPS + 2 * block, wide + SIDE + 2 * block), np.float32)
    between = np.zeros((each, SIDE, wide + SIDE), np.float32)
    made = np.empty((each, SIDE, wide), np.float32)
    across = _unfolded(columns, block)
    for top in range(0, height, SIDE):
        tall = min(SIDE, height - top)
        needed = rows[top : top + tall + TAPS - 1]
        above, below = int(needed[0]) // block, int(needed[-1]) // block + 1
        cells = np.s_[above:below, first:last]
        _unfold(high[cells], low[cells], fine, block, pixels[:, _unfolded(needed, block), across])
        _repeat_ends(pixels.swapaxes(0, 1)[block:], needed)
        _repeat_ends(pixels.swapaxes(0, 2)[block:], columns)
        source = pixels[:, block : block + tall + TAPS - 1, block : block + wide + SIDE]
        np.matmul(down[:tall, : tall + TAPS - 1], _spans(source), out=_spans(between[:, :tall]))
        np.rint(between, out=between)
        windows = sliding_window_view(between, SIDE + TAPS - 1, 2)[:, :, ::SIDE]
        np.matmul(windows.swapaxes(1, 2), right.T, out=_spans(made))
        np.rint(made, out=made)
        np.clip(made, 0, 255 * fine, out=made)
        done = np.s_[top // block : (top + tall) // block]
        _fold(made[:, :tall, :width], results[0][done], results[1][done], fine, block)
    return results[0], results[1]


def _spans(planes: Planes) -> Planes:
    """See planes as C×spans×H×``SIDE``."""
    return planes.reshape(*planes.shape[:2], -1, SIDE).swapaxes(1, 2)


def _repeats(numbers: NDArray[np.int64]) -> tuple[int, int]:
    """How often the first and the last of lines that follow one another are there again."""
    missing = len(numbers) - 1 - int(numbers[-1] - numbers[0])
    before = min(missing, int(np.count_nonzero(numbers == numbers[0])) - 1)
    return before, missing - before


def _unfolded(numbers: NDArray[np.int64], block: int) -> slice:
    """Where the blocks that hold some lines are to lie, for the lines to begin at ``block``."""
    start = block + _repeats(numbers)[0] - int(numbers[0]) % block
    blocks = int(numbers[-1]) // block - int(numbers[0]) // block + 1
    return np.s_[start : start + blocks * block]


def _repeat_ends(lines: Planes, numbers: NDArray[np.int64]) -> None:
    """Write the first and the last line again, where they stand for those beyond."""
    before, after = _repeats(numbers)
    last = len(numbers) - after
    lines[:before] = lines[before]
    lines[last : last + after] = lines[last - 1]
