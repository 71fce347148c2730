"""Verify the tensors of a decoded file: dtype, shape, data and quantization agree."""

from __future__ import annotations

import math

import numpy as np

from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import Tensor

__all__ = ["MAX_SIDE", "check_tensors", "check_text"]

DTYPES = ("float32", "int32", "int8")
"""Data types that edgecae's files hold."""

COMPARISON_DTYPES = ("float16", "int16")
"""Data types that only files for comparison hold."""

MAX_SIDE = 8192
"""Of any tensor, and so of a frame."""
MAX_ELEMENTS = 2**28
MAX_NAME = 4096
"""Bytes."""
MAX_TENSORS = 4096


def check_text(value: bytes | None) -> str:
    """Decode a name of the file.

    Raises:
        ModelFileError: it is too long, or no UTF-8.
    """
    require(value is None or len(value) <= MAX_NAME, "it holds a name without end")
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        require(False, "it holds a name that is no text")
        raise


def check_tensors(tensors: tuple[Tensor, ...]) -> None:
    """Verify tensors one by one.

    Raises:
        ModelFileError: one is not as edgecae writes it.
    """
    require(0 < len(tensors) <= MAX_TENSORS, "it holds no tensors, or too many")
    for tensor in tensors:
        _check_shape(tensor)
        _check_quantization(tensor)


def _check_shape(tensor: Tensor) -> None:
    where, shape = f"tensor {tensor.index}", tensor.shape
    require(
        tensor.dtype not in COMPARISON_DTYPES,
        f"{where} is {tensor.dtype}: such files are for comparison only, "
        "streaming runs int8 files: edgecae convert RUN --int8",
    )
    require(
        tensor.dtype in DTYPES,
        f"{where} has {'' if ' ' in tensor.dtype else 'type '}{tensor.dtype}, which edgecae never "
        "uses",
    )
    require(len(shape) <= 4, f"{where} has more than 4 dimensions")
    require(
        all(1 <= side <= MAX_SIDE for side in shape) and math.prod(shape) <= MAX_ELEMENTS,
        f"{where} has shape {list(shape)}",
    )
    if tensor.signature:
        require(
            len(tensor.signature) == len(shape)
            and all(side in (-1, own) for side, own in zip(tensor.signature, shape, strict=True))
            and not (tensor.data is not None and -1 in tensor.signature),
            f"{where} has a shape and another signature",
        )


def _check_quantization(tensor: Tensor) -> None:
    where, dtype, shape = f"tensor {tensor.index}", tensor.dtype, tensor.shape
    scale, zero, axis = tensor.scale, tensor.zero, tensor.axis
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
