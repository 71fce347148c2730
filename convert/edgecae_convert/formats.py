"""The number formats of a file: which tensors it may hold, and how to run it on frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import QualityError
from edgecae.tflite import interpreter as backends
from edgecae.tflite import model_file
from edgecae.tflite.model_file import ModelFile
from edgecae_train.evaluate import Denoise

__all__ = ["check_tensors", "file_denoiser"]

TENSORS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "int8": (frozenset({"int8"}), frozenset({"int32", "bool"})),
    "int16x8": (frozenset({"int16", "int8"}), frozenset({"int32", "int64"})),
    "float16": (frozenset({"float16", "float32"}), frozenset({"int32"})),
    "float32": (frozenset({"float32"}), frozenset({"int32"})),
}
"""Types that a file of each format must hold, and others that it may: of biases and shapes.

A float16 file keeps its weights as float16 and computes in float32."""


def check_tensors(made: ModelFile) -> None:
    """Refuse a file whose tensors are not what its metadata say.

    Raises:
        QualityError: one has a type that the format does not have, or none has one that it is.
    """
    precision = made.metadata.precision
    needed, others = TENSORS[precision]
    unwanted = made.dtypes - needed - others
    if unwanted:
        raise QualityError(
            f"the file is not fully {precision}: it holds {', '.join(sorted(unwanted))}"
        )
    if missing := needed - made.dtypes:
        raise QualityError(f"the file is not {precision}: it holds no {', '.join(sorted(missing))}")


def file_denoiser(content: bytes) -> Denoise:
    """Run a model file of any format on frames: for comparison, not a way to stream.

    Args:
        content: of a file that was just made, or read and checked.

    Returns:
        A function from uint8 H×W×3 to the same; sides must be multiples of the stride.
    """
    graph = model_file.parse_flatbuffer(content).subgraphs[0]
    interpreter = backends.Interpreter(content, 2, backends.find())

    def quantization(tensor: int) -> tuple[float, int]:
        given = graph.tensors[tensor].quantization
        if given is None or given.scale is None or not len(given.scale):
            return 1.0, 0
        return float(given.scale[0]), int(given.zeroPoint[0])

    (scale_in, zero_in), (scale_out, zero_out) = map(
        quantization, (graph.inputs[0], graph.outputs[0])
    )
    whole = np.issubdtype(interpreter.dtype, np.integer)

    def denoise(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        interpreter.resize(*frame.shape[:2])
        values = frame / np.float32(255) / np.float32(scale_in) + zero_in
        if whole:
            limits = np.iinfo(interpreter.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        interpreter.input()[0] = values
        interpreter.invoke()
        result = (interpreter.output()[0].astype(np.float32) - zero_out) * np.float32(scale_out)
        return np.asarray(np.rint(np.clip(result, 0, 1) * 255), np.uint8)

    return denoise
