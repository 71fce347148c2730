"""Large frames in tiles: which part of a frame goes through the network at a time.

Neighbouring tiles overlap by what a pixel's result depends on, so that the results that are kept
are those of the whole frame, byte for byte. That needs three things: an inner border has at least
``halo`` pixels of the frame beyond what is kept; tiles start at multiples of ``stride``, where a
convolution of stride 2 meets the same pixels as in the whole frame; and the borders of the frame,
padded to the stride, are borders of tiles, with the same zeros behind them.

All tiles have one size, since planning an interpreter anew takes longer than a small tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeptRows", "Plan", "Span", "pad_edges", "padded_size", "plan"]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def padded_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """The smallest height and width, both multiples of ``stride``, that hold a frame."""
    return _up(height, stride), _up(width, stride)


def pad_edges(plane: NDArray[Any], height: int, width: int) -> None:
    """Repeat the last column and row of the frame in the upper left corner, in place.

    Args:
        plane: H×W×C, of which ``plane[:height, :width]`` is filled.
        height: of the filled part.
        width: likewise.
    """
    plane[:height, width:] = plane[:height, width - 1 : width]
    plane[height:] = plane[height - 1 : height]


@dataclass(frozen=True)
class Span:
    """One tile's place along one side of a frame, in pixels of the frame.

    Attributes:
        start: where the tile starts; it ends one tile later, which may be in the padding.
        first: where its results start to be kept.
        stop: where they cease to.
    """

    start: int
    first: int
    stop: int

    @property
    def kept(self) -> slice:
        """What is kept, counted from the start of the tile."""
        return slice(self.first - self.start, self.stop - self.start)


@dataclass(frozen=True)
class Plan:
    """The tiles of a frame.

    Attributes:
        height: of each tile, a multiple of the stride.
        width: likewise.
        rows: places from top to bottom; what they keep adds up to the frame's height.
        columns: the same from left to right.
    """

    height: int
    width: int
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def tiles(self) -> int:
        """How many there are."""
        return len(self.rows) * len(self.columns)


def _spans(length: int, size: int, overlap: int, stride: int) -> tuple[Span, ...]:
    """Cover ``length`` with spans of ``size``, ``overlap`` pixels unused at each inner end."""
    padded = _up(length, stride)
    spans: list[Span] = []
    while not spans or spans[-1].stop < length:
        first = spans[-1].stop if spans else 0
        start = min(max(0, first - overlap), padded - size)
        end = start + size
        spans.append(Span(start, first, length if end == padded else end - overlap))
    return tuple(spans)


def _sizes(length: int, overlap: int, stride: int) -> list[int]:
    """Sizes that cover ``length`` without waste, the largest first: in one, in two …"""
    sizes = [_up(length, stride)]
    smallest = 2 * overlap + stride
    for count in range(2, sizes[0] // stride + 1):
        size = max(_up(-(-(length + (count - 1) * 2 * overlap) // count), stride), smallest)
        if size < sizes[-1]:
            sizes.append(size)
        if size == smallest:
            break
    return sizes


def plan(height: int, width: int, stride: int, halo: int, largest_area: int) -> Plan:
    """Choose the tiles that compute the least.

    Args:
        height: of the frame.
        width: of the frame.
        stride: of the network.
        halo: pixels at each side that the result of a pixel depends on.
        largest_area: pixels that a tile may have. Where the overlap leaves none so small, the
            smallest possible is taken.
    """
    overlap = _up(halo, stride)
    heights, widths = (_sizes(side, overlap, stride) for side in (height, width))
    fitting = []
    for tall in heights:
        wide = next((w for w in widths if tall * w <= largest_area), None)
        if wide is not None:
            fitting.append((tall, wide))
    candidates = [
        Plan(
            tall, wide, _spans(height, tall, overlap, stride), _spans(width, wide, overlap, stride)
        )
        for tall, wide in fitting or [(heights[-1], widths[-1])]
    ]
    # Among equals the fewest tiles.
    return min(candidates, key=lambda p: (p.tiles * p.height * p.width, p.tiles))


class KeptRows:
    """Rows of a frame as they came, kept while results are written over them.

    Holds as many rows as a tile has, and its memory from frame to frame.
    """

    def __init__(self) -> None:
        self._array = np.empty((0, 0, 0), np.uint8)
        self._start = self._stop = 0

    def begin(self, height: int, frame: NDArray[np.uint8]) -> None:
        """Start on a frame, H×W×C, of which ``height`` rows are needed at a time."""
        shape = (height, *frame.shape[1:])
        if self._array.shape != shape:
            self._array = np.empty(shape, np.uint8)
        self._start = self._stop = 0

    def take(self, frame: NDArray[np.uint8], start: int, stop: int) -> NDArray[np.uint8]:
        """Rows ``start`` to ``stop`` as they came.

        Call it from top to bottom, each time before anything is written below the rows that were
        taken last.
        """
        kept = max(0, self._stop - start)
        moved = start - self._start
        if moved:
            # One row at a time: source and destination may overlap.
            for row in range(kept):
                self._array[row] = self._array[row + moved]
        self._array[kept : stop - start] = frame[start + kept : stop]
        self._start, self._stop = start, stop
        return self._array[: stop - start]
