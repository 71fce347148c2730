"""The denoiser: uint8 frames in, uint8 frames out, through one int8 model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import models
from edgecae.errors import BackendError, FrameError, SettingError
from edgecae.runtime import backend as backends
from edgecae.runtime import model_file

__all__ = ["Denoiser", "pad_edges", "padded_size"]

SIGN_BIT = np.uint8(0x80)
"""int8 = uint8 XOR 0x80: what scale 1/255 with zero point −128 comes to."""

WHOLE = 256
"""Shares of a blend are counted in parts of this."""


def padded_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """The smallest height and width, both multiples of ``stride``, that hold a frame."""
    return -(-height // stride) * stride, -(-width // stride) * stride


def pad_edges(plane: NDArray[Any], height: int, width: int) -> None:
    """Repeat the last column and row of the frame in the upper left corner, in place.

    Args:
        plane: H×W×C, of which ``plane[:height, :width]`` is filled.
        height: of the filled part.
        width: likewise.
    """
    plane[:height, width:] = plane[:height, width - 1 : width]
    plane[height:] = plane[height - 1 : height]


class Denoiser:
    """Denoises frames of any size, one after the other.

    A frame is uint8, RGB, H×W×3 (0–255), or gray, H×W or H×W×1; the result has its shape. Frames
    are padded to the network's stride inside the interpreter's own buffer and written out of it:
    one pass over the pixels each way, and nothing is allocated while the size stays.

    Not safe for use from several threads at once.

    Args:
        model: name of a shipped model, or path of a model file.
        threads: of the interpreter.
        backend: ``auto``, ``litert`` or ``tflite-runtime``.
        strength: see the attribute.

    Attributes:
        strength: share of the result, from 0 (the frame as it came) to 1; the rest is the frame.
            Each value moves one way as it grows. May be set between frames.

    Raises:
        SettingError: ``strength`` is out of its range.
        ModelFileError: there is no such model, or it is not an int8 model of edgecae.
        BackendError: no interpreter is installed, or it does not take the model.
    """

    def __init__(
        self,
        model: str | Path = models.DEFAULT,
        threads: int = 1,
        backend: str = "auto",
        strength: float | None = 1.0,
    ) -> None:
        self.strength = strength
        self.noise: float | None = None
        self.share = 1.0
        self.measure_noise = False
        if threads < 1:
            raise BackendError(f"{threads} threads can't run anything; give 1 or more")
        self.model = model_file.read(models.find(model))
        self.model.require_int8()
        self.backend = backends.find(backend)
        self._interpreter: backends.Interpreter | None = backends.Interpreter(
            self.model.content, threads, self.backend
        )
        if self._interpreter.dtype != np.int8:
            raise BackendError(f"the model takes {self._interpreter.dtype}, not int8")
        self._planned: tuple[int, int] | None = None
        self._rgb = np.empty((0, 0, 3), np.uint8)
        self._sum = np.empty((0, 0), np.uint16)
        self._clean = np.empty(0, np.uint8)
        self._shares = [np.empty(0, np.uint16) for _ in range(2)]

    @property
    def strength(self) -> float | None:
        """See the class."""
        return self._strength

    @strength.setter
    def strength(self, value: float | None) -> None:
        if value is not None and not 0 <= value <= 1:
            raise SettingError(f"a strength lies between 0 and 1, not at {value}")
        self._strength = value

    @property
    def metadata(self) -> model_file.Metadata:
        """What the model file says of itself."""
        return self.model.metadata

    def process(
        self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Denoise one frame.

        Args:
            frame: uint8; RGB H×W×3, or gray H×W or H×W×1, with H, W ≥ 1.
            out: where to write the result, of the frame's shape; may be the frame itself.

        Returns:
            ``out``, or a new array of the frame's shape.

        Raises:
            FrameError: ``frame`` or ``out`` is not such an array.
            BackendError: the denoiser is closed, or the interpreter failed.
        """
        interpreter = self._interpreter
        if interpreter is None:
            raise BackendError("the denoiser is closed")
        gray = self._check(frame)
        if out is None:
            out = np.empty_like(frame, order="C")
        elif out.shape != frame.shape or out.dtype != np.uint8:
            raise FrameError(
                f"out is {out.dtype} {out.shape}, the frame is {frame.dtype} {frame.shape}"
            )
        height, width = frame.shape[:2]
        planned = padded_size(height, width, self.metadata.stride)
        if planned != self._planned:
            self._planned = None
            interpreter.resize(*planned)
            self._planned = planned

        pixels = frame[..., None] if frame.ndim == 2 else frame
        inside = interpreter.input()[0].view(np.uint8)
        np.bitwise_xor(pixels, SIGN_BIT, out=inside[:height, :width])
        if planned != (height, width):
            pad_edges(inside, height, width)
        del inside
        interpreter.invoke()
        result = interpreter.output()[0, :height, :width].view(np.uint8)
        share = round((1.0 if self._strength is None else self._strength) * WHOLE)
        if share == WHOLE:
            self._copy(result, gray, out)
            return out
        if self._clean.shape != frame.shape:
            self._clean = np.empty(frame.shape, np.uint8)
            self._shares = [np.empty(frame.shape, np.uint16) for _ in range(2)]
        self._copy(result, gray, self._clean)
        theirs, ours = self._shares
        np.multiply(frame, WHOLE - share, out=theirs, dtype=np.uint16)
        np.multiply(self._clean, share, out=ours, dtype=np.uint16)
        theirs += ours
        theirs += WHOLE // 2
        theirs //= WHOLE
        np.copyto(out, theirs, casting="unsafe")
        return out

    def _copy(self, result: NDArray[np.uint8], gray: bool, out: NDArray[np.uint8]) -> None:
        """Write the interpreter's result, H×W×3, as a frame."""
        if gray:
            # Three estimates of the same gray: their rounded mean is the best of it.
            if self._rgb.shape != result.shape:
                self._rgb = np.empty(result.shape, np.uint8)
                self._sum = np.empty(result.shape[:2], np.uint16)
            np.bitwise_xor(result, SIGN_BIT, out=self._rgb)
            np.sum(self._rgb, axis=2, dtype=np.uint16, out=self._sum)
            self._sum += 1
            self._sum //= 3
            np.copyto((out if out.ndim == 2 else out[..., 0]), self._sum, casting="unsafe")
        else:
            np.bitwise_xor(result, SIGN_BIT, out=out)

    @staticmethod
    def _check(frame: NDArray[np.uint8]) -> bool:
        """Refuse what is not a frame; say whether it is gray."""
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            kind = getattr(frame, "dtype", type(frame).__name__)
            raise FrameError(f"a frame is a uint8 array, not {kind}")
        gray = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 1)
        if not gray and (frame.ndim != 3 or frame.shape[2] != 3):
            raise FrameError(f"a frame is H×W×3, H×W×1 or H×W, not {frame.shape}")
        if 0 in frame.shape:
            raise FrameError(f"a frame has pixels, this one is {frame.shape}")
        return gray

    def reset(self) -> None:
        """Forget earlier frames. Networks without memory have none to forget."""

    def close(self) -> None:
        """Free the interpreter; the denoiser can't be used afterwards."""
        self._interpreter = None

    def __enter__(self) -> Denoiser:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
