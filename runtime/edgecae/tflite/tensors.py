"""Tensors of a file that nobody vouches for: dtype, shape, data and quantization agree."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from edgecae.tflite.operators import Tensor, require

__all__ = ["read_tensors", "text"]

DTYPES = {0: "float32", 2: "int32", 9: "int8"}
"""TFLite's numbers of the data types that edgecae's files hold."""

FOR_COMPARISON = {1: "float16", 7: "int16"}
"""Those that only files for comparison hold."""

LARGEST_SIDE = 8192
LARGEST_TENSOR = 2**28
"""Elements."""
LONGEST_NAME = 4096
MOST_TENSORS = 4096


def text(value: bytes | None) -> str:
    """A name of the file.

    Raises:
        ModelFileError: it is too long, or no UTF-8.
    """
    require(value is None or len(value) <= LONGEST_NAME, "it holds a name without end")
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        require(False, "it holds a name that is no text")
        raise


def _data(
    index: int, dtype: str, shape: tuple[int, ...], buffer: SimpleNamespace
) -> NDArray[np.generic] | None:
    data = buffer.data
    if data is None or not len(data):
        return None
    kind = np.dtype(dtype).newbyteorder("<")
    require(
        len(data) == math.prod(shape) * kind.itemsize,
        f"tensor {index} is {dtype} {list(shape)}, and its data are {len(data)} bytes",
    )
    return np.asarray(data.view(kind))


def _quantization(
    index: int, dtype: str, shape: tuple[int, ...], given: SimpleNamespace | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    scale, zero, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if given is not None:
        scale = scale if given.scale is None else given.scale
        zero = zero if given.zero_point is None else given.zero_point
        axis = given.quantized_dimension
    where = f"tensor {index}"
    require(len(scale) == len(zero), f"{where} has {len(scale)} scales, {len(zero)} zero points")
    require(dtype != "int8" or len(scale), f"{where} is int8 and has no scale")
    require(dtype != "float32" or not len(scale), f"{where} is float32 and has a scale")
    require(
        bool(np.all(np.isfinite(scale) & (scale > 0))),
        f"{where} has a scale that is no positive number",
    )
    require(bool(np.all((zero >= -128) & (zero <= 127))), f"{where} has a zero point outside int8")
    require(dtype == "int8" or not zero.any(), f"{where} is {dtype} and has a zero point")
    require(
        (axis == 0 and len(scale) <= 1) or (0 <= axis < len(shape) and len(scale) == shape[axis]),
        f"{where} has {len(scale)} scales along dimension {axis} of {list(shape)}",
    )
    return scale, zero, axis


def read_tensors(graph: SimpleNamespace, buffers: list[SimpleNamespace]) -> list[Tensor]:
    """Check the tensors of a graph one by one.

    Args:
        graph: decoded.
        buffers: of the file, decoded.

    Raises:
        ModelFileError: one is not as edgecae writes it.
    """
    require(0 < len(graph.tensors or ()) <= MOST_TENSORS, "it holds no tensors, or too many")
    require(buffers and buffers[0].data is None, "its first buffer is not empty")
    tensors = []
    for index, given in enumerate(graph.tensors):
        where = f"tensor {index}"
        require(
            given.type not in FOR_COMPARISON,
            f"{where} is {FOR_COMPARISON.get(given.type)}: such files are for comparison only, "
            "streaming runs int8 files: edgecae convert RUN --int8",
        )
        require(given.type in DTYPES, f"{where} has type {given.type}, which edgecae never uses")
        dtype = DTYPES[given.type]
        require(given.shape is None or len(given.shape) <= 4, f"{where} has more than 4 dimensions")
        shape = tuple(int(n) for n in given.shape) if given.shape is not None else ()
        require(
            all(1 <= side <= LARGEST_SIDE for side in shape) and math.prod(shape) <= LARGEST_TENSOR,
            f"{where} has shape {list(shape)}",
        )
        require(
            given.buffer < len(buffers), f"{where} lies in buffer {given.buffer}, which is none"
        )
        data = _data(index, dtype, shape, buffers[given.buffer])
        signature = given.shape_signature
        if signature is not None and len(signature):
            open_sides = signature == -1
            require(
                len(signature) == len(shape)
                and bool(np.all(open_sides | (signature == np.array(shape))))
                and not (data is not None and open_sides.any()),
                f"{where} has a shape and another signature",
            )
        scale, zero, axis = _quantization(index, dtype, shape, given.quantization)
        tensors.append(Tensor(index, text(given.name), dtype, shape, data, scale, zero, axis))
    return tensors
