"""Run a network on frames of 8 bits, whatever computes it: for comparison, no way to stream.

No tiles and no speed tricks. The result is the network's, clipped to [0, 1] and rounded to 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.errors import ModelFileError
from edgecae.tflite import interpreter
from edgecae.tflite.model_file import ModelFile
from edgecae.tflite.quantization import dequantize, quantize

__all__ = ["Denoise", "Network", "file_denoiser", "frame_denoiser"]

Denoise = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Denoises one frame, uint8, H×W×3."""

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Denoises one frame, float32, 1×H×W×3 in [0, 1]; its result may lie beyond that."""


def frame_denoiser(network: Network, stride: int = 1, border: int = 0) -> Denoise:
    """Make a network take and give frames of 8 bits.

    Args:
        network: whose frames have sides that are multiples of ``stride``.
        stride: frames are padded to multiples of this, as the runtime does it.
        border: pixels that are mirrored at each side, a multiple of the stride; see
            :func:`edgecae.denoise.tiling.border`.
    """

    def denoise(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = frame.shape[:2]
        plane = np.empty((*tiling.padded_size(height, width, stride, border), 3), np.float32)
        inside = np.s_[border : border + height, border : border + width]
        np.divide(frame, 255, out=plane[inside], dtype=np.float32)
        tiling.pad_edges(plane, height, width, border, border)
        result = network(plane[None])[0][inside]
        return np.asarray(np.rint(np.clip(result, 0, 1) * np.float32(255)), np.uint8)

    return denoise


def file_denoiser(file: ModelFile, threads: int, backend: str = "auto") -> Denoise:
    """Run a model file of any number format on frames.

    Frames get the border that the runtime gives them; those of a fixed size leave no room for one.

    Args:
        file: read and checked, or just made.
        threads: of the interpreter.
        backend: see :func:`edgecae.tflite.interpreter.find_backend`.

    Returns:
        What denoises a frame; it raises ``BackendError`` where the interpreter fails.

    Raises:
        BackendError: no interpreter is installed, or it does not take the model.
        ModelFileError: it is a recurrent model, of whose frames none stands alone.
    """
    if file.graph.states:
        raise ModelFileError(
            f"{file.path} is a recurrent model: only edgecae.Denoiser keeps its states"
        )
    runner = interpreter.Interpreter(file.content, threads, interpreter.find_backend(backend))
    frame, denoised = file.graph.frame, file.graph.denoised
    planned: tuple[int, ...] = ()

    def by_channel(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        planes = (plane[..., channel : channel + 1] for channel in range(plane.shape[3]))
        return np.concatenate([network(each) for each in planes], axis=3)

    def network(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal planned
        if planned != plane.shape:
            planned = ()
            runner.resize(*plane.shape[1:3])
            planned = plane.shape
        runner.input()[...] = quantize(frame, plane)
        runner.invoke()
        result = runner.output()
        if denoised.dtype == "float32":
            return np.array(result)
        return dequantize(denoised, result).astype(np.float32)

    stride = file.metadata.stride
    border = tiling.border(stride, file.metadata.halo) if file.open_size else 0
    return frame_denoiser(by_channel if frame.shape[3] == 1 else network, stride, border)
