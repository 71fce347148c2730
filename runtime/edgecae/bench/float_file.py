"""A float32 model file on frames, for comparison with int8: no tiles, no speed tricks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.errors import BackendError
from edgecae.tflite import interpreter, model_file

__all__ = ["FloatFile"]


class FloatFile:
    """Denoises frames with a float32 model.

    Args:
        file: read and checked, float32.
        threads: of the interpreter.
        backend: see :func:`edgecae.tflite.interpreter.find`.

    Raises:
        BackendError: no interpreter is installed, or it does not take the model.
    """

    def __init__(self, file: model_file.ModelFile, threads: int, backend: str = "auto") -> None:
        self._stride = file.metadata.stride
        self._border = tiling.border(file.metadata.stride, file.metadata.halo)
        self._interpreter = interpreter.Interpreter(
            file.content, threads, interpreter.find(backend)
        )
        if self._interpreter.dtype != np.float32:
            raise BackendError(f"{file.path} takes {self._interpreter.dtype}, not float32")
        self._planned: tuple[int, int] | None = None

    def process(
        self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Denoise one frame.

        Args:
            frame: uint8, H×W×3.
            out: where to write the result.

        Returns:
            ``out``, or a new array of the frame's shape; the network's result times 255, rounded
            and clipped.

        Raises:
            BackendError: the interpreter failed.
        """
        height, width = frame.shape[:2]
        border = self._border
        size = tiling.padded_size(height, width, self._stride, border)
        inside = np.s_[border : border + height, border : border + width]
        if self._planned != size:
            self._planned = None
            self._interpreter.resize(*size)
            self._planned = size
        plane = self._interpreter.input()[0]
        np.divide(frame, 255, out=plane[inside], dtype=np.float32)
        tiling.pad_edges(plane, height, width, border, border)
        del plane
        self._interpreter.invoke()
        result = self._interpreter.output()[0][inside] * np.float32(255)
        np.rint(result, out=result)
        np.clip(result, 0, 255, out=result)
        out = np.empty_like(frame) if out is None else out
        out[...] = result
        return out
