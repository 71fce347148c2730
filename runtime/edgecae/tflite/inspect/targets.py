"""What other runtimes than LiteRT can't take of a model.

Lists as their sources had them when they were read; the tool itself has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edgecae.errors import SettingError
from edgecae.tflite.graph import Graph, Operator

__all__ = ["TARGETS", "Problem", "Target", "problems"]

_TFLM = "https://github.com/tensorflow/tflite-micro/blob/main/"
_CORAL = "https://coral.ai/docs/edgetpu/models-intro/"


@dataclass(frozen=True)
class Problem:
    """Something of a model that a target can't take, or takes only in part.

    Attributes:
        where: the operation, by place and kind, or the tensor, by name.
        reason: why.
        fatal: whether the target refuses the model for it.
        source: where that is written.
    """

    where: str
    reason: str
    fatal: bool
    source: str


@dataclass(frozen=True)
class Target:
    """A runtime, or a compiler for one.

    Attributes:
        title: for people.
        ops: TFLite's names of the operations that it has.
        source: of that list.
        check: what else it can't take of an operation: reason, whether fatal, source.
        open_size: what it makes of a model whose height and width are open: likewise.
        floats: whether it takes float tensors.
        missing: what becomes of an operation that it does not have: reason, whether fatal.
        unknown: operations that it stops at, and where that is written.
    """

    title: str
    ops: frozenset[str]
    source: str
    check: Callable[[Operator], Iterator[tuple[str, bool, str]]]
    open_size: tuple[str, bool, str]
    floats: bool
    missing: tuple[str, bool]
    unknown: Mapping[str, str] = field(default_factory=dict)


def problems(graph: Graph, target: str) -> tuple[Problem, ...]:
    """List what a target can't take of a model.

    Args:
        graph: of the model.
        target: one of :data:`TARGETS`.

    Raises:
        SettingError: there is no such target.
    """
    if target not in TARGETS:
        raise SettingError(f"target {target!r} is unknown; there are {', '.join(TARGETS)}")
    return tuple(_problems(graph, TARGETS[target]))


def _problems(graph: Graph, target: Target) -> Iterator[Problem]:
    if graph.open_size:
        yield Problem(f"tensor {graph.frame.name}", *target.open_size)
    floats = {
        tensor.index
        for op in graph.operators
        for tensor in (op.output, *op.inputs)
        if tensor.dtype == "float32"
    }
    if floats and not target.floats:
        yield Problem(f"{len(floats)} tensors", "they are float32, not 8-bit", True, _CORAL)
    for number, op in enumerate(graph.operators):
        where = f"operation {number}, {op.name}"
        if op.name in target.unknown:
            yield Problem(where, "it is refused as unknown", True, target.unknown[op.name])
            continue
        if op.name not in target.ops:
            reason, fatal = target.missing
            yield Problem(where, reason, fatal, target.source)
            continue
        for found in target.check(op):
            yield Problem(where, *found)


def _check_micro(op: Operator) -> Iterator[tuple[str, bool, str]]:
    if op.name == "RESIZE_NEAREST_NEIGHBOR" and op.inputs[1].data is None:
        yield (
            "its size is computed by the model; only a constant is taken",
            True,
            _TFLM + "tensorflow/lite/micro/kernels/resize_nearest_neighbor.cc",
        )


def _check_edgetpu(op: Operator) -> Iterator[tuple[str, bool, str]]:
    table = _CORAL + "#supported-operations"
    fused = op.name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION")
    if fused and op.options.activation:
        yield "it has a fused activation function", False, table
    if op.name == "CONCATENATION" and any(each.data is not None for each in op.inputs):
        yield "it has a constant among what it puts together, which must be all zeros", False, table
    if op.name == "RESIZE_NEAREST_NEIGHBOR":
        yield "at some sizes it is left to the CPU, for precision", False, table
    if op.output.dtype == "int32":
        yield "its tensors are int32, not 8-bit: it is arithmetic on shapes", False, _CORAL


_MICRO_OPS = frozenset(
    """ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL
    BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS
    CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP
    EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOG_SOFTMAX LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6
    RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
    VAR_HANDLE WHILE ZEROS_LIKE""".split()  # noqa: SIM905 - a hundred quotes less
)

_EDGETPU_OPS = frozenset(
    """ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
    L2_NORMALIZATION LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE
    REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
    RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH
    TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM""".split()  # noqa: SIM905
)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "micro": Target(
            title="TFLite Micro",
            ops=_MICRO_OPS,
            source=_TFLM + "python/tflite_micro/python_ops_resolver.cc",
            check=_check_micro,
            open_size=(
                "height and width are open, and no tensor is ever resized there: it runs at the "
                "stored size alone",
                False,
                "https://github.com/tensorflow/tflite-micro/issues/867",
            ),
            floats=True,
            missing=("there is no kernel for it", True),
        ),
        "edgetpu": Target(
            title="the Edge TPU compiler",
            ops=_EDGETPU_OPS,
            source=_CORAL + "#supported-operations",
            check=_check_edgetpu,
            open_size=(
                "height and width are open; sizes must be constant at compile time",
                True,
                _CORAL + "#model-requirements",
            ),
            floats=False,
            missing=(
                "it is not among the supported operations: it and all that follows is left to the "
                "CPU, if the compiler knows it at all",
                False,
            ),
            unknown={"DEPTH_TO_SPACE": "https://github.com/google-coral/edgetpu/issues/386"},
        ),
    }
)
"""By name."""
