"""The operations that edgecae's files are made of, and shapes inferred through a graph of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgecae.tflite import operator_shapes as shapes
from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import Graph, Operator, Tensor
from edgecae.tflite.operator_shapes import SAME, Inferred

__all__ = [
    "ACTIVATIONS",
    "OPERATOR_RULES",
    "RELU6",
    "SAME",
    "Inferred",
    "OperatorRule",
    "end_shape",
    "infer",
]

RELU6 = 3
ACTIVATIONS = (0, 1, 2, RELU6)
"""None, ReLU, ReLU between −1 and 1, ReLU6."""


@dataclass(frozen=True)
class OperatorRule:
    """What an operation must be like.

    Attributes:
        options: name of its table in the schema, empty where it has none.
        needs_options: whether it can't go without.
        inputs: how many it may have.
        constants: which of them must be constants.
        infer: shape and values of the output.
        keeps_quantization: whether inputs and output must have the same.
        shape_arithmetic: whether it works on shapes, in int32.
    """

    options: str
    needs_options: bool
    inputs: tuple[int, ...]
    constants: tuple[int, ...]
    infer: Callable[[Operator, list[Inferred]], Inferred]
    keeps_quantization: bool = False
    shape_arithmetic: bool = False


OPERATOR_RULES = {
    "ADD": OperatorRule("AddOptions", True, (2,), (), shapes.elementwise),
    "AVERAGE_POOL_2D": OperatorRule(
        "Pool2DOptions", True, (1,), (), shapes.pool, keeps_quantization=True
    ),
    "CONCATENATION": OperatorRule(
        "ConcatenationOptions",
        True,
        tuple(range(2, 9)),
        (),
        shapes.concatenation,
        keeps_quantization=True,
    ),
    "CONV_2D": OperatorRule("Conv2DOptions", True, (3,), (1, 2), shapes.convolution),
    "DEPTHWISE_CONV_2D": OperatorRule(
        "DepthwiseConv2DOptions", True, (3,), (1, 2), shapes.depthwise_convolution
    ),
    "DEPTH_TO_SPACE": OperatorRule(
        "DepthToSpaceOptions", True, (1,), (), shapes.depth_to_space, keeps_quantization=True
    ),
    "DEQUANTIZE": OperatorRule("DequantizeOptions", False, (1,), (), shapes.same),
    "LEAKY_RELU": OperatorRule("LeakyReluOptions", True, (1,), (), shapes.leaky),
    "LOG": OperatorRule("", False, (1,), (), shapes.same),
    "LOGISTIC": OperatorRule("", False, (1,), (), shapes.same),
    "MAX_POOL_2D": OperatorRule(
        "Pool2DOptions", True, (1,), (), shapes.pool, keeps_quantization=True
    ),
    "MUL": OperatorRule("MulOptions", True, (2,), (), shapes.elementwise),
    "PRELU": OperatorRule("", False, (2,), (1,), shapes.prelu),
    "RELU": OperatorRule("", False, (1,), (), shapes.same),
    "RELU6": OperatorRule("", False, (1,), (), shapes.same),
    "SPACE_TO_DEPTH": OperatorRule(
        "SpaceToDepthOptions", True, (1,), (), shapes.space_to_depth, keeps_quantization=True
    ),
    "SUB": OperatorRule("SubOptions", True, (2,), (), shapes.elementwise),
    "STRIDED_SLICE": OperatorRule(
        "StridedSliceOptions", True, (4,), (1, 2, 3), shapes.strided_slice, shape_arithmetic=True
    ),
    "MAXIMUM": OperatorRule(
        "MaximumMinimumOptions", False, (2,), (), shapes.elementwise, keeps_quantization=True
    ),
    "MINIMUM": OperatorRule(
        "MaximumMinimumOptions", False, (2,), (), shapes.elementwise, keeps_quantization=True
    ),
    "SLICE": OperatorRule("SliceOptions", False, (3,), (1, 2), shapes.cut, shape_arithmetic=True),
    "TRANSPOSE_CONV": OperatorRule(
        "TransposeConvOptions", True, (3, 4), (1, 3), shapes.transposed_convolution
    ),
    "SHAPE": OperatorRule("ShapeOptions", True, (1,), (), shapes.shape, shape_arithmetic=True),
    "PACK": OperatorRule("PackOptions", True, (1, 2, 3, 4), (), shapes.pack, shape_arithmetic=True),
    "RESIZE_BILINEAR": OperatorRule(
        "ResizeBilinearOptions", True, (2,), (), shapes.resize_bilinear, keeps_quantization=True
    ),
    "RESIZE_NEAREST_NEIGHBOR": OperatorRule(
        "ResizeNearestNeighborOptions", True, (2,), (), shapes.resize, keeps_quantization=True
    ),
    "QUANTIZE": OperatorRule("QuantizeOptions", False, (1,), (), shapes.same),
    "TANH": OperatorRule("", False, (1,), (), shapes.same),
}
"""The operations that edgecae's files are made of, by TFLite's name."""


def infer(graph: Graph, height: int, width: int) -> dict[int, Inferred]:
    """Infer what every operation makes of a frame of this size.

    Args:
        graph: of operations that :data:`OPERATOR_RULES` has.
        height: of a frame; a decoder gets the latent of such a frame, and both sides are multiples
            of its ``reduction`` then.
        width: likewise.

    Returns:
        The inputs and all results, by the index of their tensor.

    Raises:
        ModelFileError: an operation does not fit.
    """
    inferred = {end.index: Inferred(end_shape(graph, end, height, width)) for end in graph.inputs}
    for number, op in enumerate(graph.operators):
        inputs = [inferred.get(each.index) or _constant(each) for each in op.inputs]
        result = OPERATOR_RULES[op.name].infer(op, inputs)
        require(
            all(1 <= value < 2**31 for value in (*result.shape, *(result.values or ()))),
            f"operation {number}, {op.name} makes numbers that are no sizes",
        )
        inferred[op.output.index] = result
    return inferred


def end_shape(graph: Graph, end: Tensor, height: int, width: int) -> tuple[int, ...]:
    """Return the shape of an input or an output for a frame of this size."""
    if end is graph.latent:
        reduction = graph.reduction
    elif end in (graph.frame, graph.denoised):
        reduction = 1
    else:
        reduction = max(1, graph.frame_size[0] // end.shape[1])
    return 1, height // reduction, width // reduction, end.shape[3]


def _constant(tensor: Tensor) -> Inferred:
    if tensor.dtype == "int32" and tensor.data is not None and tensor.data.size <= 4:
        return Inferred(tensor.shape, tuple(int(n) for n in tensor.data))
    return Inferred(tensor.shape)
