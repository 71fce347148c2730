"""One operation of a file that nobody vouches for: its kind, its options, and what it reads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from edgecae.tflite.operators import ACTIVATIONS, RULES, Operator, Rule, Tensor, require
from edgecae.tflite.schema import OPTIONS

__all__ = ["WEIGHED", "pick", "read_operator"]

SIGMOID_SCALE, SIGMOID_ZERO = np.float32(1 / 256), -128
WEIGHED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
"""Those that have a kernel."""


def pick(tensors: list[Tensor], indices: np.ndarray | None) -> tuple[Tensor, ...]:
    """The tensors that a list of indices names.

    Raises:
        ModelFileError: there is none of an index.
    """
    chosen = [] if indices is None else indices.tolist()
    for index in chosen:
        require(0 <= index < len(tensors), f"there is no tensor {index}")
    return tuple(tensors[index] for index in chosen)


def read_operator(
    where: str, given: SimpleNamespace, codes: list[SimpleNamespace], tensors: list[Tensor]
) -> Operator:
    """Check a decoded operation by itself.

    Args:
        where: how errors call it.
        given: decoded, see :mod:`edgecae.tflite.schema`.
        codes: of the file, of which the operation names one.
        tensors: of the graph.

    Raises:
        ModelFileError: it is none of edgecae's, or does not fit its tensors.
    """
    require(given.opcode_index < len(codes), f"{where} has no code")
    code = codes[given.opcode_index]
    # TFLite takes the larger one: the first is a byte and older.
    number = max(code.builtin_code, code.deprecated_builtin_code)
    require(
        code.deprecated_builtin_code in (0, min(number, 127)) and code.builtin_code in (0, number),
        f"{where} has two codes",
    )
    require(1 <= code.version <= 16, f"{where} has version {code.version}")
    require(number in RULES, f"{where} is of kind {number}, which edgecae never writes")
    name, rule = RULES[number]
    where = f"{where}, {name},"
    kind = OPTIONS.get(given.options_type)
    require(kind in (None, rule.options), f"{where} has options of another")
    require(kind is not None or not rule.needs_options, f"{where} has no options")
    inputs, outputs = pick(tensors, given.inputs), pick(tensors, given.outputs)
    require(len(inputs) in rule.inputs, f"{where} has {len(inputs)} inputs")
    require(len(outputs) == 1, f"{where} has {len(outputs)} outputs")
    op = Operator(name, given.options or SimpleNamespace(), inputs, outputs[0])
    for index, tensor in enumerate(inputs):
        require(
            tensor.data is not None or index not in rule.constants,
            f"{where} reads tensor {tensor.index} where it needs a constant",
        )
    _check_types(where, op, rule)
    return op


def _check_types(where: str, op: Operator, rule: Rule) -> None:
    """Refuse an operation whose tensors have types or quantizations that don't go together."""
    types = tuple(each.dtype for each in op.inputs)
    made = op.output.dtype
    activation = getattr(op.options, "activation", 0)
    require(activation in ACTIVATIONS, f"{where} has activation {activation}")
    if rule.shapes or (op.name == "MUL" and made == "int32"):
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
        "RESIZE_NEAREST_NEIGHBOR": (made, "int32"),
        "CONV_2D": (made, made, bias),
        "DEPTHWISE_CONV_2D": (made, made, bias),
    }.get(op.name, (made,) * len(types))
    require(types == expected, f"{where} reads {', '.join(types)} and makes {made}")
    if op.name in WEIGHED:
        _check_weights(where, op)
        return
    if made != "int8":
        return
    frames = [each for each in (*op.inputs, op.output) if each.dtype == "int8"]
    require(all(len(each.scale) == 1 for each in frames), f"{where} has more than one scale")
    scales = [float(each.scale[0]) for each in frames]
    # 20 bits is how far TFLite shifts addends to the left.
    require(max(scales) / min(scales) <= 2**16, f"{where} has scales that are worlds apart")
    require(
        not rule.keeps or all(each.like(op.output) for each in frames),
        f"{where} changes the quantization",
    )
    require(
        op.name != "LOGISTIC"
        or (op.output.scale[0] == SIGMOID_SCALE and op.output.zero[0] == SIGMOID_ZERO),
        f"{where} has another scale than 1/256",
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
    require((product / op.output.scale < 2**8).all(), f"{where} has scales that are worlds apart")
    for bias in biases:
        require(
            len(bias.scale) in (1, len(weights.scale))
            and np.allclose(bias.scale, product, rtol=1e-3, atol=0),
            f"{where} has a bias of another scale",
        )
