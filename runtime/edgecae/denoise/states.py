"""What a recurrent network keeps from one frame of a sequence to the next.

States lie in the coordinates of the *plane*: the frame with its mirrored border, as the interpreter
sees it. When the scene moves, they are moved with it: those that hold a picture by parts of a pixel
(:mod:`.resampling`), others by whole blocks. What comes into view begins as the first frame of a
sequence does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import resampling
from edgecae.denoise.alignment import Aligner, Motion
from edgecae.denoise.declipping import Declipping
from edgecae.denoise.kept import Kept
from edgecae.denoise.tiling import Span
from edgecae.tflite.interpreter import Interpreter
from edgecae.tflite.model_file import ModelFile
from edgecae.tflite.quantization import quantize

__all__ = ["RUNNING_MEAN", "States"]

RUNNING_MEAN = "state_high", "state_low", "state_gain"
"""Names of the states of a model that keeps the running mean of the frames: whole levels of it,
what is left, and the gain that a new frame has in each block."""

State = NDArray[np.int8]


@dataclass(frozen=True)
class _Kind:
    """One of the states.

    Attributes:
        reduction: how many times higher the plane is.
        channels: of it.
        start: what all its elements are where there is no history; None: the frame's pixels.
        scale: of its values.
    """

    reduction: int
    channels: int
    start: int | None
    scale: float


@dataclass(frozen=True)
class _Area:
    """A part of a plane, in pixels: rows ``top`` to ``bottom``, columns ``left`` to ``right``."""

    top: int
    bottom: int
    left: int
    right: int

    def within(self, other: _Area) -> _Area:
        """What both have; it may be empty, with ends before their starts."""
        return _Area(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def moved(self, down: int, right: int) -> _Area:
        """The same, further down and to the right."""
        return _Area(self.top + down, self.bottom + down, self.left + right, self.right + right)

    def blocks(self, side: int) -> _Area:
        """The largest part of whole blocks."""
        return _Area(
            -(-self.top // side) * side,
            self.bottom // side * side,
            -(-self.left // side) * side,
            self.right // side * side,
        )

    def of(self, reduction: int) -> tuple[slice, slice]:
        """Index of a state; the area is of whole blocks."""
        return (
            slice(self.top // reduction, self.bottom // reduction),
            slice(self.left // reduction, self.right // reduction),
        )

    @property
    def empty(self) -> bool:
        """Whether it has no pixels."""
        return self.top >= self.bottom or self.left >= self.right


@dataclass(frozen=True)
class _Mean:
    """Numbers of the states that hold the running mean of the frames; see ``docs/video.md``.

    Attributes:
        high: of that of whole levels.
        low: of what is left of it.
        gain: of the gain of each block.
        fine: steps of ``low`` in a level.
    """

    high: int
    low: int
    gain: int
    fine: int


def _mean(names: list[str], kinds: list[_Kind]) -> _Mean | None:
    """Find the running mean; None: these states are something else."""
    if not set(RUNNING_MEAN) <= set(names):
        return None
    numbers = [names.index(name) for name in RUNNING_MEAN]
    high, low, gain = (kinds[number] for number in numbers)
    alike = (high.reduction, high.channels) == (low.reduction, low.channels)
    one = (gain.reduction, gain.channels) == (high.reduction, 1)
    fine = round(high.scale / low.scale)
    exact = (
        math.isclose(high.scale, fine * low.scale, rel_tol=1e-5)
        and 1 <= fine <= resampling.MAX_FINE
    )
    if high.start is not None or not (alike and one and exact):
        return None
    return _Mean(numbers[0], numbers[1], numbers[2], fine)


class States:
    """The states of one sequence of frames of one size.

    For each frame call :meth:`begin`, then for each tile :meth:`give` before the interpreter runs,
    :meth:`take` and :meth:`corrected` after, then :meth:`end`. Where a frame is a single tile, the
    states stay in the interpreter's outputs and are copied once, into its inputs. Else they are in
    two sets of arrays as large as the plane: tiles read one and write the other, which take turns.

    Args:
        model: whose states they are.
    """

    def __init__(self, model: ModelFile) -> None:
        self._kinds = []
        for state in model.graph.states:
            reduction, channels, start = model.metadata.states[state.name]
            value = None if start == "frame" else int(quantize(state.before, np.array(start)))
            scale = float(state.before.scale[0])
            self._kinds.append(_Kind(reduction, channels, value, scale))
        self._mean = _mean([state.name for state in model.graph.states], self._kinds)
        self._declipping = Declipping()
        self._block = math.lcm(*(kind.reduction for kind in self._kinds))
        self._aligner = Aligner()
        self._sets: list[list[State]] = [[], []]
        self._size = self._plane = (0, 0)
        self._shift = (0.0, 0.0)
        self._empty, self._held = True, False
        self._valid = self._frame = _Area(0, 0, 0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames, 0 before the first."""
        return self._size

    def forget(self) -> None:
        """Begin the next frame as the first one of a sequence."""
        self._empty, self._held = True, False
        self._aligner.reset()
        self._declipping.reset()

    def begin(
        self,
        frame: NDArray[np.uint8],
        plane: tuple[int, int],
        border: int,
        interpreter: Interpreter,
    ) -> None:
        """Find where the frame lies against those before it.

        Args:
            frame: uint8, H×W×3 or H×W×1, as it comes.
            plane: height and width of what holds the frame and its border.
            border: pixels of it at the top and the left.
            interpreter: that holds the states, if it does.
        """
        size = frame.shape[:2]
        if (self._size, self._plane) != (size, plane):
            self.forget()
            self._size, self._plane = size, plane
        if self._mean is not None:
            self._declipping.see(frame, self._kinds[self._mean.high].reduction, border)
        motion = Motion(cut=self._empty)
        first = self._frames_kind()
        if not self._empty and first is not None:
            source = self._sources(interpreter)[first]
            kept = Kept(source, self._kinds[first].reduction, border, border)
            motion = self._aligner.find(frame, kept)
        if motion.cut:
            self._declipping.reset()
            self._valid, self._shift = _Area(0, 0, 0, 0), (0.0, 0.0)
            return
        # The frame stays where it is in its plane, so that the chroma samples of 4:2:0 video keep
        # their place in the blocks: moved by a pixel, such a frame is denoised worse.
        # Pixel p of the plane shows what was at p + shift.
        self._shift = motion.rows, motion.columns
        whole = _Area(0, plane[0], 0, plane[1])
        self._frame = _Area(0, size[0], 0, size[1]).moved(border, border)
        if self._shift == (0, 0):
            self._valid = whole
            return
        down, right = self._shift
        seen = _Area(
            math.ceil(self._frame.top - down),
            math.floor(self._frame.bottom - down),
            math.ceil(self._frame.left - right),
            math.floor(self._frame.right - right),
        )
        self._valid = seen.within(self._frame).blocks(self._block)

    def give(
        self, interpreter: Interpreter, noisy: State, rows: Span | None, columns: Span | None
    ) -> None:
        """Write the states of a tile into the interpreter's inputs.

        Args:
            interpreter: planned for the tile.
            noisy: its first input, with the frame in it; H×W×C.
            rows: where the tile lies, in pixels of the plane; None: it is the whole plane.
            columns: likewise.
        """
        top, left = (0 if span is None else span.start for span in (rows, columns))
        tile = _Area(top, top + noisy.shape[0], left, left + noisy.shape[1])
        valid = tile.within(self._valid)
        if valid.empty:
            valid = _Area(tile.top, tile.top, tile.left, tile.left)
        inside = valid.moved(-top, -left)
        sources = None if self._empty else self._sources(interpreter)
        moved: dict[int, State] = {}
        if not valid.empty and sources is not None:
            moved = self._moved(sources, valid)
        for number, kind in enumerate(self._kinds):
            target = interpreter.input(number + 1)[0]
            if number in moved:
                target[inside.of(kind.reduction)] = moved[number]
            for strip in _around(inside, *noisy.shape[:2]):
                _begin(target[strip.of(kind.reduction)], kind, noisy, strip)

    def take(self, interpreter: Interpreter, rows: Span | None, columns: Span | None) -> None:
        """Take up the states that a tile leaves.

        Args:
            interpreter: after it ran.
            rows: where the tile lies, and what of it is kept, in pixels of the plane; None: the
                tile is the whole plane, and its states stay in the interpreter.
            columns: likewise.
        """
        if rows is None or columns is None:
            self._held = True
            return
        self._have_arrays()
        area = _Area(rows.first, rows.stop, columns.first, columns.stop)
        local = area.moved(-rows.start, -columns.start)
        for number, kind in enumerate(self._kinds):
            result = interpreter.output(number + 1)[0]
            self._sets[1][number][area.of(kind.reduction)] = result[local.of(kind.reduction)]

    def corrected(
        self, interpreter: Interpreter, result: State, kept: tuple[slice, slice]
    ) -> State:
        """Take from a result what the cut of noise at black and white has added to the mean.

        Args:
            interpreter: after it ran.
            result: what it made of a tile, H×W×C.
            kept: the part of the tile that is needed.

        Returns:
            That part.
        """
        if self._mean is None or not self._declipping.needed:
            return result[kept]
        block = self._kinds[self._mean.high].reduction
        gain = interpreter.output(self._mean.gain + 1)[0]
        blocks = tuple(slice(side.start // block, -(-side.stop // block)) for side in kept)
        whole = tuple(slice(side.start * block, side.stop * block) for side in blocks)
        inside = tuple(
            slice(side.start - around.start, side.stop - around.start)
            for side, around in zip(kept, whole, strict=True)
        )
        return self._declipping.corrected(result[whole], gain[blocks], block)[inside]

    def end(self, interpreter: Interpreter) -> None:
        """Finish a frame.

        Args:
            interpreter: that holds the states, if it does.
        """
        if not self._held:
            self._sets.reverse()
        self._empty = False
        if self._mean is not None:
            sources = self._sources(interpreter)
            self._declipping.learn(sources[self._mean.high], sources[self._mean.gain])

    def park(self, interpreter: Interpreter) -> None:
        """Copy states that are in the interpreter, which is to be used for something else."""
        if self._held and not self._empty:
            self._have_arrays()
            for number, kept in enumerate(self._sets[0]):
                kept[...] = interpreter.output(number + 1)[0]
        self._held = False

    def _moved(self, sources: list[State], area: _Area) -> dict[int, State]:
        """Read the states of an area as they lay before the motion."""
        found = {}
        for number, kind in enumerate(self._kinds):
            rows, columns = (round(by / kind.reduction) * kind.reduction for by in self._shift)
            found[number] = sources[number][area.moved(rows, columns).of(kind.reduction)]
        mean = self._mean
        if mean is None:
            return found
        block = self._kinds[mean.high].reduction
        if all(by % block == 0 for by in self._shift):
            return found
        rows, columns = (math.floor(by) for by in self._shift)
        frame, place = self._frame, area.moved(rows, columns)
        found[mean.high], found[mean.low] = resampling.moved(
            sources[mean.high],
            sources[mean.low],
            mean.fine,
            block,
            (range(frame.top, frame.bottom), range(frame.left, frame.right)),
            (range(place.top, place.bottom), range(place.left, place.right)),
            (self._shift[0] - rows, self._shift[1] - columns),
        )
        return found

    def _frames_kind(self) -> int | None:
        """Number of a state that is made of the frame's pixels."""
        return next((n for n, kind in enumerate(self._kinds) if kind.start is None), None)

    def _sources(self, interpreter: Interpreter) -> list[State]:
        """The states after the last frame, H×W×C."""
        if self._held:
            return [interpreter.output(number + 1)[0] for number in range(len(self._kinds))]
        return self._sets[0]

    def _have_arrays(self) -> None:
        height, width = self._plane
        shapes = [
            (height // kind.reduction, width // kind.reduction, kind.channels)
            for kind in self._kinds
        ]
        for kept in self._sets:
            if [each.shape for each in kept] != shapes:
                kept[:] = [np.empty(shape, np.int8) for shape in shapes]


def _around(inside: _Area, height: int, width: int) -> list[_Area]:
    """Split what a plane has around an area into rectangles."""
    strips = (
        _Area(0, inside.top, 0, width),
        _Area(inside.bottom, height, 0, width),
        _Area(inside.top, inside.bottom, 0, inside.left),
        _Area(inside.top, inside.bottom, inside.right, width),
    )
    return [strip for strip in strips if not strip.empty]


def _begin(target: State, kind: _Kind, noisy: State, strip: _Area) -> None:
    """Fill a part of a state, H×W×C, as where there is no history."""
    if kind.start is not None:
        target[...] = kind.start
        return
    pixels = noisy[strip.top : strip.bottom, strip.left : strip.right]
    side, count = kind.reduction, noisy.shape[2]
    for row in range(side):
        for column in range(side):
            at = (row * side + column) * count
            target[..., at : at + count] = pixels[row::side, column::side]
