"""Move a picture that is kept in blocks by parts of a pixel.

Windowed sinc interpolation (Lanczos), rows first, then columns. All numbers are whole ones that
float32 holds exactly, so a part of a picture comes out as it does in the whole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TAPS", "kernel", "moved"]

TAPS = 8
"""Pixels that a new one is made of, in each direction."""
BEFORE = TAPS // 2 - 1
"""Of these, how many lie before the one that it begins from."""
UNIT = 256
"""Sum of a kernel."""
FINER = 4
"""By which steps between the two directions are smaller than those of the picture."""
ROWS = 32
"""That are made at once, so that they stay in the processor's cache."""

Blocks = NDArray[np.int8]
Plane = NDArray[np.float32]


def kernel(part: float) -> Plane:
    """Weights of the pixels at −3 … 4 for a place between 0 and 1: whole numbers with sum 256."""
    away = np.arange(-BEFORE, TAPS - BEFORE) - part
    weights = np.sinc(away) * np.sinc(away / (TAPS // 2))
    whole = np.rint(weights * (UNIT / weights.sum()))
    whole[np.argmax(whole)] += UNIT - whole.sum()
    rounded: Plane = whole.astype(np.float32)
    return rounded


def _interpolated(source: Plane, part: float, axis: int, step: int) -> Plane:
    """Interpolate along an axis of H×(W·step), step elements a pixel along the second.

    The result is shorter by ``TAPS - 1`` pixels.
    """
    apart = step if axis else 1
    length = source.shape[axis] - (TAPS - 1) * apart
    shape = (source.shape[0], length) if axis else (length, source.shape[1])
    result, product = np.zeros(shape, np.float32), np.empty(shape, np.float32)
    for tap, weight in enumerate(kernel(part)):
        beside = slice(tap * apart, tap * apart + length)
        np.multiply(source[:, beside] if axis else source[beside], weight, out=product)
        result += product
    return result


def _pixels(high: Blocks, low: Blocks, fine: int, block: int) -> Plane:
    """Unfold blocks into pixels, H×(W·C), in steps of 1/fine level from black."""
    steps = high.astype(np.int16)
    steps += 128
    steps *= fine
    steps += low
    rows, columns, channels = high.shape
    each = channels // block**2
    result = np.empty((rows * block, columns * block, each), np.float32)
    # Element by element of a block: quicker than a transposition.
    for channel in range(channels):
        row, column = divmod(channel // each, block)
        result[row::block, column::block, channel % each] = steps[..., channel]
    return result.reshape(rows * block, columns * block * each)


def _fold(pixels: Plane, high: Blocks, low: Blocks, fine: int, block: int) -> None:
    """Undo :func:`_pixels`."""
    channels = high.shape[2]
    each = channels // block**2
    cells = pixels.reshape(len(pixels), -1, each)
    steps = np.empty(high.shape, np.int16)
    for channel in range(channels):
        row, column = divmod(channel // each, block)
        steps[..., channel] = cells[row::block, column::block, channel % each]
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
        fine: see there; at most 16.
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
    for top in range(0, height, ROWS):
        tall = min(ROWS, height - top)
        needed = rows[top : top + tall + TAPS - 1]
        above = int(needed[0]) // block
        cells = np.s_[above : int(needed[-1]) // block + 1, first:last]
        band = _pixels(high[cells], low[cells], fine, block)
        band = _taken(band, needed - above * block)
        band = _taken(band.T, columns - first * block, each).T
        if part[0]:
            band = _interpolated(band, part[0], 0, each)
            band *= np.float32(FINER / UNIT)
            np.rint(band, out=band)
        else:
            band = band[BEFORE : BEFORE + tall] * np.float32(FINER)
        if part[1]:
            band = _interpolated(band, part[1], 1, each)
            band *= np.float32(1 / (FINER * UNIT))
        else:
            band = band[:, BEFORE * each : (BEFORE + width) * each] * np.float32(1 / FINER)
        np.rint(band, out=band)
        np.clip(band, 0, 255 * fine, out=band)
        done = np.s_[top // block : (top + tall) // block]
        _fold(band, results[0][done], results[1][done], fine, block)
    return results[0], results[1]


def _taken(pixels: Plane, numbers: NDArray[np.int64], step: int = 1) -> Plane:
    """Take rows that follow one another, of ``step`` each, where the first and last may repeat."""
    first, last = int(numbers[0]), int(numbers[-1])
    view = pixels[first * step : (last + 1) * step]
    missing = len(numbers) - (last + 1 - first)
    if not missing:
        return view
    before = min(missing, int(np.count_nonzero(numbers == first)) - 1)
    ends = [view[:step]] * before, [view[-step:]] * (missing - before)
    return np.concatenate([*ends[0], view, *ends[1]])
