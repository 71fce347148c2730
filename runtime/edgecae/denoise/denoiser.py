"""The denoiser: uint8 frames in, uint8 frames out, through one int8 model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import models, noise
from edgecae.denoise import frames, tiling
from edgecae.denoise.blend import (
    TEXTURE,
    WEIGHT_ONE,
    Writer,
    blend_weight,
    expected_error,
    mean_square_change,
)
from edgecae.denoise.states import States
from edgecae.errors import BackendError, FrameError, SettingError
from edgecae.tflite import interpreter as backends
from edgecae.tflite import model_file
from edgecae.tflite.metadata import Metadata

__all__ = ["MAX_TILE_AREA", "Denoiser"]

MAX_TILE_AREA = (1920 + 16) * (1200 + 16)
"""Pixels that go through the interpreter at a time. A frame of 1920×1200 fits with its border, and
each quarter of a 2160p frame with its overlap."""

RENEWED = 0.2
"""Share of a frame's own figures in the running ones: noise changes more slowly than pictures."""

ESTIMATED_EVERY = 4
"""Each so many frames of a sequence, the noise is estimated: that takes some milliseconds."""


class Denoiser:
    """Denoises frames of any size, one after the other.

    A frame is uint8, RGB, H×W×3 (0–255), or gray, H×W or H×W×1; the result has its shape.
    Frames are mirrored beyond their edges (``edgecae.denoise.tiling.border``) and padded to the
    network's stride inside the interpreter's own buffer, and written out of it: one pass over
    the pixels each way, and nothing is allocated while the size stays. A model file of one
    fixed size takes frames of just that size as well, which then have no room for the border. A
    model of gray frames denoises gray ones as they are and colour ones channel by channel, in
    three times the time. Frames of more than ``largest_area`` pixels go through in tiles, with
    the bytes of the whole frame.

    A recurrent model takes frames in order, and gives a better result of each from those before it:
    it keeps its states in between. They follow the camera's motion, and begin anew where the scene
    is another one, the size changes, or :meth:`reset` is called. The first result is that of a
    model for single frames. Each denoiser has states of its own.

    Not safe for use from several threads at once.

    Args:
        model: name of a shipped model, path of a model file, or a file that was read already, which
            any number of denoisers may share.
        threads: of the interpreter.
        backend: ``auto``, ``litert`` or ``tflite-runtime``.
        strength: see the attribute.
        largest_area: pixels that go through the interpreter at a time. Memory grows with it, by
            about 110 bytes a pixel for ``small``; time per pixel does not fall with it.

    Attributes:
        strength: share of the result, from 0 (the frame as it came) to 1; the rest is the frame.
            Each value moves one way as it grows. None: chosen for each frame by its noise and by
            what the network takes away, see :func:`edgecae.denoise.blend.blend_weight`; in a frame
            that goes through in tiles, the first tile speaks for all. May be set between frames.
        share: what the last frame got, 0 to 1.
        measure_noise: whether to estimate the noise also where nothing depends on it.
        noise: σ of the frames' noise, 0–255 scale, by :func:`edgecae.noise.estimate`, averaged
            over the last few of one size; None before the first estimate.

    Raises:
        SettingError: ``strength`` or ``largest_area`` is out of its range.
        ModelFileError: there is no such model, or it is not an int8 model of edgecae.
        BackendError: no interpreter is installed, or it does not take the model.
    """

    def __init__(
        self,
        model: str | Path | model_file.ModelFile = models.DEFAULT,
        threads: int = 1,
        backend: str = "auto",
        strength: float | None = 1.0,
        largest_area: int = MAX_TILE_AREA,
    ) -> None:
        self.strength = strength
        if threads < 1:
            raise BackendError(f"{threads} threads can't run anything; give 1 or more")
        if largest_area < 1:
            raise SettingError(f"largest_area is a number of pixels, not {largest_area}")
        if not isinstance(model, model_file.ModelFile):
            model = model_file.read(models.find_model(model))
        self.model = model
        self.model.require_int8()
        self.model.require_half("")
        self.backend = backends.find_backend(backend)
        self._interpreter: backends.Interpreter | None = backends.Interpreter(
            self.model.content, threads, self.backend
        )
        if self._interpreter.dtype != np.int8:
            raise BackendError(f"the model takes {self._interpreter.dtype}, not int8")
        self.share = 1.0 if strength is None else strength
        self.noise: float | None = None
        self.measure_noise = False
        self._largest_area = largest_area
        self._error = expected_error(self.metadata.quality)
        self._away: float | None = None
        self._until_estimate = 0
        self._seen: tuple[int, ...] | None = None
        self._frame_size: tuple[int, int] | None = None
        self._planned: tuple[int, int] | None = None
        self._plan = tiling.Plan(0, 0, (), ())
        self._kept = tiling.KeptRows()
        self._writer = Writer()
        self._border = 0
        reductions = [about[0] for about in self.metadata.states.values()]
        self._block = math.lcm(*reductions) if reductions else 0
        self._states: dict[int, States] = {}
        self._active: States | None = None

    @property
    def strength(self) -> float | None:
        """See the class."""
        return self._strength

    @strength.setter
    def strength(self, value: float | None) -> None:
        if value is not None and not 0 <= value <= 1:
            raise SettingError(f"a strength lies between 0 and 1 or is None, not {value}")
        self._strength = value

    @property
    def metadata(self) -> Metadata:
        """What the model file says of itself."""
        return self.model.metadata

    def process(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[np.uint8] | None = None,
        sequence: int = 0,
    ) -> NDArray[np.uint8]:
        """Denoise one frame.

        Args:
            frame: uint8; RGB H×W×3, or gray H×W or H×W×1, with H, W ≥ 1.
            out: where to write the result, of the frame's shape; may be the frame itself.
            sequence: of which sequence the frame is the next one, where several take turns, such as
                the two fields of interlaced video. A recurrent model keeps the states of each.

        Returns:
            ``out``, or a new array of the frame's shape.

        Raises:
            FrameError: ``frame`` or ``out`` is something else, ``out`` is read-only, or the model
                does not take its size.
            BackendError: the denoiser is closed, or the interpreter failed.
        """
        interpreter = self._interpreter
        if interpreter is None:
            raise BackendError("the denoiser is closed")
        frames.check(frame)
        if out is None:
            out = np.empty_like(frame, order="C")
        elif out.shape != frame.shape or out.dtype != np.uint8:
            raise FrameError(
                f"out is {out.dtype} {out.shape}, the frame is {frame.dtype} {frame.shape}"
            )
        elif not out.flags.writeable:
            raise FrameError("out is read-only")
        if self._seen not in (None, frame.shape[:2]):
            # Another picture: what was seen of the one before says nothing of it.
            self.noise = self._away = None
        self._seen = frame.shape[:2]
        share = self._choose(frame)
        parts = None
        if share is not None:
            self.share = share
            parts = round(share * WEIGHT_ONE)
        if parts == 0:
            if out is not frame:
                np.copyto(out, frame)
            return out
        overlapping = np.may_share_memory(frame, out)
        if overlapping and not frames.same_place(frame, out):
            frame, overlapping = frame.copy(), False
        pixels, target = (a[..., None] if a.ndim == 2 else a for a in (frame, out))
        states = self._states_of(sequence, pixels.shape[:2], interpreter)
        self._plan_for(interpreter, *pixels.shape[:2])
        in_place = overlapping and self._plan.tiles > 1
        if states is not None:
            self._step(interpreter, states, pixels, target, parts, in_place)
            return out
        if self.model.graph.frame.shape[3] == 3:
            self._run(interpreter, pixels, target, parts, in_place)
            return out
        for channel in range(pixels.shape[2]):
            one = np.s_[..., channel : channel + 1]
            parts = self._run(interpreter, pixels[one], target[one], parts, in_place)
        return out

    def _states_of(
        self, sequence: int, size: tuple[int, ...], interpreter: backends.Interpreter
    ) -> States | None:
        """The states of a sequence, None for a model without; the interpreter is free for them."""
        if not self.model.graph.states:
            return None
        states = self._states.get(sequence)
        if states is None:
            states = self._states[sequence] = States(self.model)
        if states.size != size:
            states.forget()
        if self._active not in (None, states):
            assert self._active is not None
            self._active.park(interpreter)
        self._active = states
        return states

    def _step(
        self,
        interpreter: backends.Interpreter,
        states: States,
        pixels: NDArray[np.uint8],
        target: NDArray[np.uint8],
        parts: int | None,
        in_place: bool,
    ) -> None:
        """Denoise a frame with the states of those before it; see :meth:`_run`."""
        height, width = pixels.shape[:2]
        plane = tiling.padded_size(height, width, self.metadata.stride, self._border)
        states.begin(pixels, plane, self._border, interpreter)
        try:
            self._run(interpreter, pixels, target, parts, in_place, states)
        except BaseException:
            states.forget()
            raise
        states.end(interpreter)

    def _run(
        self,
        interpreter: backends.Interpreter,
        pixels: NDArray[np.uint8],
        target: NDArray[np.uint8],
        parts: int | None,
        in_place: bool,
        states: States | None = None,
    ) -> int | None:
        """Denoise a frame, or one channel of it, tile by tile.

        Args:
            interpreter: planned for its size.
            pixels: H×W×3 or H×W×1.
            target: where to write, of the same shape.
            parts: weight of the result in parts of :data:`WEIGHT_ONE`; None: the first tile
                decides.
            in_place: whether ``target`` is ``pixels``, and later tiles read what earlier ones
                write.
            states: of a recurrent model.

        Returns:
            The weight.
        """
        plan = self._plan
        if in_place:
            self._kept.begin(plan.height, pixels)
        for row in plan.rows:
            top, bottom = max(0, row.start), min(row.start + plan.height, pixels.shape[0])
            rows = self._kept.take(pixels, top, bottom) if in_place else pixels[top:bottom]
            for column in plan.columns:
                left = max(0, column.start)
                tile = rows[:, left : column.start + plan.width]
                plane = interpreter.input()[0].view(np.uint8)
                frames.fill(plane, tile, top - row.start, left - column.start)
                if states is not None:
                    states.give(interpreter, plane.view(np.int8), row.plane, column.plane)
                del plane  # a view: it must be gone before the interpreter runs
                interpreter.invoke()
                if states is not None:
                    states.take(interpreter, row.plane, column.plane)
                kept = row.kept, column.kept
                noisy = rows[row.first - top : row.stop - top, column.first : column.stop]
                result = interpreter.output()[0]
                if states is None:
                    result = result[kept]
                else:
                    result = states.corrected(interpreter, result, kept)
                if parts is None:
                    parts = self._settle(result, noisy)
                self._writer.write(
                    result,
                    noisy,
                    target[row.first : row.stop, column.first : column.stop],
                    parts,
                )
                del result  # a view, as above
        return parts

    def _choose(self, frame: NDArray[np.uint8]) -> float | None:
        """The share for this frame, None: it depends on the result; also estimates the noise."""
        strength = self._strength
        if strength is None or self.measure_noise:
            if self.noise is None:
                self.noise, self._until_estimate = noise.estimate(frame), ESTIMATED_EVERY
            elif not self._until_estimate:
                share = 1 - (1 - RENEWED) ** ESTIMATED_EVERY
                self.noise += share * (noise.estimate(frame) - self.noise)
                self._until_estimate = ESTIMATED_EVERY
            self._until_estimate -= 1
            if strength is None and self.noise <= TEXTURE:
                return 0.0
        return strength

    def _settle(self, result: NDArray[np.int8], noisy: NDArray[np.uint8]) -> int:
        """Choose the share by what the network took away, in parts of :data:`WEIGHT_ONE`."""
        assert self.noise is not None
        away = mean_square_change(result, noisy)
        if self._away is not None:
            away = self._away + RENEWED * (away - self._away)
        self._away = away
        self.share = blend_weight(self.noise, self._error, away)
        return round(self.share * WEIGHT_ONE)

    def _plan_for(self, interpreter: backends.Interpreter, height: int, width: int) -> None:
        """Have tiles and interpreter ready for frames of this size."""
        if self._frame_size == (height, width):
            return
        self._frame_size = None
        stride, halo = self.metadata.stride, self.metadata.halo
        # A recurrent model's stride may be much larger than the blocks of its states.
        largest = self._largest_area
        border = self.metadata.border or tiling.border(self._block or stride, halo)
        if not self.model.open_size:
            high, wide = self.model.frame_size
            if tiling.padded_size(height, width, stride, border) != (high, wide):
                border = 0
            if tiling.padded_size(height, width, stride, border) != (high, wide):
                raise FrameError(
                    f"{self.model.path} takes frames of {wide}x{high} alone, not {width}x{height}; "
                    "edgecae convert without --size makes a file for any size"
                )
            largest = max(largest, high * wide)
        plan = tiling.plan(height, width, stride, halo, largest, border)
        if self._planned != (plan.height, plan.width):
            self._planned = None
            interpreter.resize(plan.height, plan.width)
            self._planned = plan.height, plan.width
        if self._block:
            plane = tiling.padded_size(height, width, stride, border)
            plan = plan.in_plane(plane, border, (height, width))
        self._plan, self._border = plan, border
        self._frame_size = height, width

    def reset(self) -> None:
        """Forget earlier frames: the estimate of the noise, and the states of a recurrent model.

        A frame of another size than the one before does so by itself.
        """
        self.noise = self._away = None
        self._states.clear()
        self._active = None

    def close(self) -> None:
        """Free the interpreter; the denoiser can't be used afterwards."""
        self._states.clear()
        self._interpreter = None

    def __enter__(self) -> Denoiser:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
