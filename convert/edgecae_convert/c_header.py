"""A model as a C header, for targets without a file system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecae import atomic
from edgecae.errors import ModelFileError
from edgecae.tflite.graph import Tensor
from edgecae.tflite.model_file import ModelFile

__all__ = ["ALIGNMENT", "header", "write"]

ALIGNMENT = 16
"""Bytes: what TFLite Micro asks of a model's address."""
PER_LINE = 16


def header(model: ModelFile, name: str) -> str:
    """Write a model and its quantization in C.

    Args:
        model: of a fixed size, or an open one, which then has its stored size there.
        name: what all names begin with; what C does not allow in one becomes ``_``.

    Returns:
        A header for C11 and C++11: ``NAME_model`` (bytes, aligned), ``NAME_model_size``,
        ``NAME_WIDTH``, ``NAME_HEIGHT``, ``NAME_CHANNELS``, and for integer models scale and
        zero point of input and output.

    Raises:
        ModelFileError: it has states: a header says nothing of them.
    """
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not name or name[0].isdigit():
        name = f"model_{name}"
    return "\n".join(_lines(model, name.lower(), name.upper())) + "\n"


def _lines(model: ModelFile, low: str, high: str) -> Iterator[str]:
    metadata = model.metadata
    if model.graph.states:
        raise ModelFileError(f"{model.path} has states, which a header for C can't describe")
    height, width = model.frame_size
    channels = model.graph.frame.shape[3]
    colour = {1: "gray", 3: "RGB"}[channels]
    about = f"{metadata.name}, {metadata.precision}, frames of {width}x{height}, {colour}"
    # What people wrote into a recipe must not end the comment.
    yield f"/* {about.replace('*/', '')}: written by edgecae convert. */"
    yield f"#ifndef {high}_MODEL_H"
    yield f"#define {high}_MODEL_H"
    yield ""
    yield "#include <stdint.h>"
    yield ""
    yield "#ifdef __cplusplus"
    yield f"#define {high}_ALIGNED alignas({ALIGNMENT})"
    yield "#else"
    yield f"#define {high}_ALIGNED _Alignas({ALIGNMENT})"
    yield "#endif"
    yield ""
    for key, value in {"WIDTH": width, "HEIGHT": height, "CHANNELS": channels}.items():
        yield f"#define {high}_{key} {value}"
    yield ""
    for end, tensor in (("input", model.graph.frame), ("output", model.graph.denoised)):
        yield from _quantization(f"{low}_{end}", tensor)
    yield f"static const uint32_t {low}_model_size = {len(model.content)};"
    yield f"{high}_ALIGNED static const uint8_t {low}_model[{len(model.content)}] = {{"
    for start in range(0, len(model.content), PER_LINE):
        values = ", ".join(f"0x{byte:02x}" for byte in model.content[start : start + PER_LINE])
        yield f"    {values},"
    yield "};"
    yield ""
    yield f"#endif /* {high}_MODEL_H */"


def _quantization(name: str, tensor: Tensor) -> Iterator[str]:
    """Write scale and zero point; value = scale · (integer − zero point)."""
    if not len(tensor.scale):
        return
    # Nine digits are the float itself, and plain C++ reads them, unlike a hexadecimal one.
    scale = np.format_float_scientific(np.float32(tensor.scale[0]), precision=8, unique=False)
    yield f"static const float {name}_scale = {scale}f;"
    yield f"static const int32_t {name}_zero_point = {int(tensor.zero[0])};"
    yield ""


def write(path: Path, model: ModelFile, overwrite: bool = False) -> None:
    """Write the header of a model, whole or not at all, its names after the file's.

    Args:
        path: of the header.
        model: what to write.
        overwrite: replace a file that exists.

    Raises:
        SinkError: the file exists and is not to be replaced, or can't be written.
    """
    atomic.write_text(path, header(model, path.stem), overwrite)
