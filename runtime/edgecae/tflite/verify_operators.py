"""Verify an operation of a decoded file: its kind, its options, and what it reads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import Operator
from edgecae.tflite.macs import CONVOLUTIONS
from edgecae.tflite.operators import ACTIVATIONS, OPERATOR_RULES, OperatorRule
from edgecae.tflite.schema import OPERATORS

__all__ = ["check_code", "check_operator"]

FIXED = {"LOGISTIC": (np.float32(1 / 256), -128), "TANH": (np.float32(1 / 128), 0)}
"""Scale and zero point of results whose range is always the same."""
MAX_VERSION = 16
MAX_SCALE_RATIO = 2**16
"""Of addends: TFLite shifts them to the left by 20 bits."""
MAX_SLOPE = 1
"""For a step of the slopes of a PReLU."""
MAX_RESCALE = 2**8
"""Of a convolution's sums on their way to its result."""


def check_code(where: str, code: SimpleNamespace) -> None:
    """Verify what says of which kind an operation is.

    Args:
        where: how errors call the operation.
        code: decoded, see :mod:`edgecae.tflite.schema`.

    Raises:
        ModelFileError: it is none of edgecae's operations.
    """
    number = max(code.builtin_code, code.deprecated_builtin_code)
    require(
        code.deprecated_builtin_code in (0, min(number, 127)) and code.builtin_code in (0, number),
        f"{where} has two codes",
    )
    require(1 <= code.version <= MAX_VERSION, f"{where} has version {code.version}")
    name = OPERATORS[number] if number in range(len(OPERATORS)) else f"of kind {number}"
    require(name in OPERATOR_RULES, f"{where} is {name}, which edgecae does not run")


def check_operator(where: str, op: Operator) -> None:
    """Verify an operation by itself.

    Args:
        where: how errors call it.
        op: of a kind that edgecae writes.

    Raises:
        ModelFileError: it does not fit its options or its tensors.
    """
    rule = OPERATOR_RULES[op.name]
    where = f"{where}, {op.name},"
    require(op.options_table in ("", rule.options), f"{where} has options of another")
    require(op.options_table or not rule.needs_options, f"{where} has no options")
    require(len(op.inputs) in rule.inputs, f"{where} has {len(op.inputs)} inputs")
    require(len(op.outputs) == 1, f"{where} has {len(op.outputs)} outputs")
    for index, tensor in enumerate(op.inputs):
        require(
            tensor.data is not None or index not in rule.constants,
            f"{where} reads tensor {tensor.index} where it needs a constant",
        )
    _check_types(where, op, rule)


def _check_types(where: str, op: Operator, rule: OperatorRule) -> None:
    """Refuse an operation whose tensors have types or quantizations that don't go together."""
    types = tuple(each.dtype for each in op.inputs)
    made = op.output.dtype
    activation = getattr(op.options, "activation", 0)
    require(activation in ACTIVATIONS, f"{where} has activation {activation}")
    if rule.shape_arithmetic or (op.name == "MUL" and made == "int32"):
        if op.name == "SHAPE":
            types = ("int32",)
        require({*types, made} == {"int32"} and not activation, f"{where} is not on int32")
        return
    require(made in ("int8", "float32"), f"{where} makes {made}")
    if op.name in ("QUANTIZE", "DEQUANTIZE"):
        # A conversion that went wrong holds both; convert says so better than this could.
        ends = {"QUANTIZE": ("float32 int8", "int8 int8"), "DEQUANTIZE": ("int8 float32",)}
        require(f"{types[0]} {made}" in ends[op.name], f"{where} makes {made} of {types[0]}")
        frames = [each for each in (op.inputs[0], op.output) if each.dtype == "int8"]
        require(all(len(each.scale) == 1 for each in frames), f"{where} has more than one scale")
        if len(frames) == 1:
            return
    bias = "int32" if made == "int8" else "float32"
    expected = {
        "TRANSPOSE_CONV": ("int32", made, made, bias)[: len(types)],
        "RESIZE_BILINEAR": (made, "int32"),
        "RESIZE_NEAREST_NEIGHBOR": (made, "int32"),
        "CONV_2D": (made, made, bias),
        "DEPTHWISE_CONV_2D": (made, made, bias),
    }.get(op.name, (made,) * len(types))
    require(types == expected, f"{where} reads {', '.join(types)} and makes {made}")
    if op.name in CONVOLUTIONS:
        _check_weights(where, op)
        return
    if made != "int8":
        return
    frames = [each for each in (*op.inputs, op.output) if each.dtype == "int8"]
    require(all(len(each.scale) == 1 for each in frames), f"{where} has more than one scale")
    if op.name == "PRELU":  # slopes may be as small as they like, or all zero
        slopes = frames.pop(1)
        require(slopes.scale[0] <= MAX_SLOPE, f"{where} has slopes of more than {MAX_SLOPE * 127}")
    scales = [float(each.scale[0]) for each in frames]
    require(
        max(scales) / min(scales) <= MAX_SCALE_RATIO, f"{where} has scales that are worlds apart"
    )
    require(
        not rule.keeps_quantization or all(each.same_quantization(op.output) for each in frames),
        f"{where} changes the quantization",
    )
    require(op.name != "LOG" or op.inputs[0].zero[0] == -128, f"{where} reads what may be negative")
    scale, zero = FIXED.get(op.name, (op.output.scale[0], op.output.zero[0]))
    require(
        op.output.scale[0] == scale and op.output.zero[0] == zero,
        f"{where} has another scale than 1/{1 / scale:.0f}",
    )


def _check_weights(where: str, op: Operator) -> None:
    depthwise, transposed = op.name == "DEPTHWISE_CONV_2D", op.name == "TRANSPOSE_CONV"
    source, weights = op.inputs[2 if transposed else 0], op.inputs[1]
    biases = op.inputs[3:] if transposed else op.inputs[2:]
    require(len(weights.shape) == 4, f"{where} has a kernel that is none")
    channel = 3 if depthwise else 0
    require(source.data is None, f"{where} works on a constant")
    require(
        all(bias.shape == (weights.shape[channel],) for bias in biases), f"{where} has another bias"
    )
    if op.output.dtype != "int8":
        return
    require(
        len(weights.scale) == 1 or weights.axis == channel, f"{where} has scales along another side"
    )
    require(not weights.zero.any(), f"{where} has weights with a zero point")
    require(len(source.scale) == len(op.output.scale) == 1, f"{where} has more than one scale")
    product = source.scale.astype(np.float64) * weights.scale
    require(
        (product / op.output.scale < MAX_RESCALE).all(), f"{where} has scales that are worlds apart"
    )
    for bias in biases:
        require(
            len(bias.scale) in (1, len(weights.scale))
            and np.allclose(bias.scale, product, rtol=1e-3, atol=0),
            f"{where} has a bias of another scale",
        )
