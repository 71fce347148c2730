"""Large frames in tiles: which part of a frame goes through the network at a time.

Neighbouring tiles overlap by what a pixel's result depends on, so that the results that are kept
are those of the whole frame, byte for byte. That needs three things: an inner border has at least
``halo`` pixels of the frame beyond what is kept; tiles start at multiples of ``stride``, where a
convolution of stride 2 meets the same pixels as in the whole frame; and the frame's mirrored border
(:func:`border`) ends where a tile ends, with the same zeros behind it.

All tiles have one size, since planning an interpreter anew takes longer than a small tile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BORDER", "KeptRows", "Plan", "Span", "border", "pad_edges", "padded_size", "plan"]

BORDER = 8
"""Pixels of a frame that are mirrored beyond its edge, see :func:`border`."""


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def border(stride: int, halo: int) -> int:
    """Pixels that are added at each side of a frame before it goes through a network.

    A convolution reads zeros beyond the edge of what it is given, which is black to it. With the
    frame mirrored there, the zeros are so far away that hardly a pixel of the frame sees them.

    Args:
        stride: of the network.
        halo: pixels at each side that the result of a pixel depends on: more is never needed.

    Returns:
        ``BORDER``, or less where the halo is smaller, rounded up to a multiple of the stride.
    """
    return _up(min(BORDER, halo), stride)


def padded_size(height: int, width: int, stride: int, border: int = 0) -> tuple[int, int]:
    """Height and width of what holds a frame and its border, both multiples of ``stride``.

    Args:
        height: of the frame.
        width: likewise.
        stride: of the network.
        border: pixels at each side, see :func:`border`; what the stride needs on top of it is added
            at the right and the bottom.
    """
    return _up(height + 2 * border, stride), _up(width + 2 * border, stride)


def pad_edges(plane: NDArray[Any], height: int, width: int, top: int = 0, left: int = 0) -> None:
    """Mirror a part of a plane into the rest of it, in place; nothing is allocated.

    The pixels at the edge are repeated (``symmetric`` in :func:`numpy.pad`), and where the part is
    smaller than the rest, it is mirrored again and again.

    Args:
        plane: H×W×C, of which ``plane[top : top + height, left : left + width]`` is filled.
        height: of the filled part, 1 or more.
        width: likewise.
        top: rows above it.
        left: columns left of it.
    """
    inside = plane[top : top + height]
    for column in (*range(left), *range(left + width, plane.shape[1])):
        inside[:, column] = inside[:, left + _mirrored(column - left, width)]
    for row in (*range(top), *range(top + height, plane.shape[0])):
        plane[row] = plane[top + _mirrored(row - top, height)]


def _mirrored(place: int, length: int) -> int:
    """Where a place outside of ``range(length)`` comes to lie when it is mirrored at the ends."""
    place %= 2 * length
    return min(place, 2 * length - 1 - place)


@dataclass(frozen=True)
class Span:
    """One tile's place along one side of a frame, in pixels of the frame.

    Attributes:
        start: where the tile starts; it may lie in the border, as may the end, one tile later.
        first: where its results start to be kept.
        stop: where they cease to.
        plane: the same in pixels of the plane, which is the frame with its border, and with the
            border's part of what is kept; None unless :meth:`Plan.placed` made it.
    """

    start: int
    first: int
    stop: int
    plane: Span | None = None

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

    def in_plane(self, plane: tuple[int, int], border: int, size: tuple[int, int]) -> Plan:
        """Say of each tile where it lies in the plane, unless there is one tile alone.

        Args:
            plane: height and width of the frame with its border.
            border: that this plan was made with.
            size: height and width of the frame.

        Returns:
            A plan whose spans have a ``plane``.
        """
        if self.tiles == 1:
            return self
        rows, columns = (
            tuple(_in_plane(span, padded, border, length) for span in spans)
            for spans, padded, length in zip((self.rows, self.columns), plane, size, strict=True)
        )
        return Plan(self.height, self.width, rows, columns)


def _in_plane(span: Span, padded: int, border: int, length: int) -> Span:
    first = span.first + border if span.first else 0
    stop = span.stop + border if span.stop < length else padded
    return replace(span, plane=Span(span.start + border, first, stop))


def _spans(length: int, size: int, overlap: int, stride: int, border: int) -> tuple[Span, ...]:
    """Cover ``length`` with spans of ``size``, ``overlap`` pixels unused at each inner end."""
    padded = _up(length + 2 * border, stride)
    spans: list[Span] = []
    while not spans or spans[-1].stop < length:
        first = spans[-1].stop if spans else 0
        start = min(max(0, border + first - overlap), padded - size)
        end = start + size
        stop = length if end == padded else min(length, end - overlap - border)
        spans.append(Span(start - border, first, stop))
    return tuple(spans)


def _sizes(length: int, overlap: int, stride: int, border: int) -> list[int]:
    """Sizes that cover ``length`` without waste, the largest first: in one, in two …"""
    full = length + 2 * border
    sizes = [_up(full, stride)]
    # One stride more than the overlaps need: the mirrored border must lie in its own tile.
    smallest = 2 * (overlap + stride)
    for count in range(2, sizes[0] // stride + 1):
        size = max(_up(-(-(full + (count - 1) * 2 * overlap) // count), stride), smallest)
        if size < sizes[-1]:
            sizes.append(size)
        if size == smallest:
            break
    return sizes


def plan(
    height: int, width: int, stride: int, halo: int, largest_area: int, border: int = 0
) -> Plan:
    """Choose the tiles that compute the least.

    Args:
        height: of the frame.
        width: of the frame.
        stride: of the network.
        halo: pixels at each side that the result of a pixel depends on.
        largest_area: pixels that a tile may have. Where the overlap leaves none so small, the
            smallest possible is taken.
        border: pixels beyond each side of the frame, see :func:`border`; not more than the halo,
            both rounded up to the stride.
    """
    overlap = _up(halo, stride)
    heights, widths = (_sizes(side, overlap, stride, border) for side in (height, width))
    fitting = []
    for tall in heights:
        wide = next((w for w in widths if tall * w <= largest_area), None)
        if wide is not None:
            fitting.append((tall, wide))
    candidates = [
        Plan(
            tall,
            wide,
            _spans(height, tall, overlap, stride, border),
            _spans(width, wide, overlap, stride, border),
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
