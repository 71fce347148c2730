"""The operations that edgecae's files are made of: what they take and what they make of it.

A shape is inferred from the inputs as TFLite does, and the values of shape arithmetic (int32) with
it, at any frame size; what a file says of the shapes in between is never believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import ModelFileError

__all__ = ["RULES", "Known", "Operator", "Rule", "Tensor", "require"]

SAME, VALID = 0, 1
ACTIVATIONS = (0, 1, 2, 3)
"""None, ReLU, ReLU between −1 and 1, ReLU6."""

LARGEST_WINDOW = 16
LARGEST_STRIDE = 8


def require(condition: Any, problem: str) -> None:
    """Refuse a file.

    Raises:
        ModelFileError: ``problem``, unless ``condition`` holds.
    """
    if not condition:
        raise ModelFileError(problem)


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file describes it.

    Attributes:
        index: in the file.
        name: in the file.
        dtype: ``float32``, ``int32`` or ``int8``.
        shape: at the stored frame size, rank 0 to 4.
        data: of a constant, flat; None for others.
        scale: float32; empty where it is not quantized.
        zero: int64, zero points, as many.
        axis: the dimension that they go along where there are several.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | None
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int

    def like(self, other: Tensor) -> bool:
        """Whether equal numbers stand for equal values in both."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)


@dataclass(frozen=True)
class Operator:
    """An operation: its name, its options, what it reads, what it writes."""

    name: str
    options: SimpleNamespace
    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True)
class Known:
    """What is known of a tensor at one frame size: its shape, of shape arithmetic its values too.

    ``work`` is what making it costs: bytes of memory beside the tensor itself, multiplications.
    """

    shape: tuple[int, ...]
    values: tuple[int, ...] | None = None
    work: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Rule:
    """What an operation must be like.

    Attributes:
        options: name of its table in the schema.
        needs_options: whether it can't go without.
        inputs: how many it may have.
        constants: which of them must be constants.
        infer: shape and values of the output.
        keeps: whether it must not change the quantization.
        shapes: whether it is shape arithmetic, on int32.
    """

    options: str
    needs_options: bool
    inputs: tuple[int, ...]
    constants: tuple[int, ...]
    infer: Callable[[Operator, list[Known]], Known]
    keeps: bool = False
    shapes: bool = False


def _frame(known: Known) -> tuple[int, int, int]:
    require(len(known.shape) == 4 and known.shape[0] == 1, "a tensor is not 1×H×W×C")
    return known.shape[1], known.shape[2], known.shape[3]


def _window(size: int, window: int, stride: int, padding: int) -> int:
    require(1 <= window <= LARGEST_WINDOW, f"a window of {window} is not 1 to {LARGEST_WINDOW}")
    require(1 <= stride <= LARGEST_STRIDE, f"a stride of {stride} is not 1 to {LARGEST_STRIDE}")
    require(padding in (SAME, VALID), f"there is no padding {padding}")
    result = -(-size // stride) if padding == SAME else (size - window) // stride + 1
    require(result >= 1, f"a window of {window} does not fit into {size}")
    return result


def _indirection(positions: int, taps: int) -> int:
    """Bytes: XNNPACK keeps a pointer for each place of the window."""
    return 8 * positions * taps


def _conv(op: Operator, known: list[Known]) -> Known:
    height, width, channels = _frame(known[0])
    o, weights = op.options, known[1].shape
    require(len(weights) == 4 and weights[3] == channels, "a convolution's kernel does not fit")
    require(o.dilation_h == o.dilation_w == 1, "a convolution is dilated")
    rows = _window(height, weights[1], o.stride_h, o.padding)
    columns = _window(width, weights[2], o.stride_w, o.padding)
    taps = weights[1] * weights[2]
    return Known(
        (1, rows, columns, weights[0]),
        work=(_indirection(rows * columns, taps), rows * columns * math.prod(weights)),
    )


def _depthwise(op: Operator, known: list[Known]) -> Known:
    height, width, channels = _frame(known[0])
    o, weights = op.options, known[1].shape
    require(
        len(weights) == 4
        and weights[0] == 1
        and o.depth_multiplier >= 1
        and weights[3] == channels * o.depth_multiplier,
        "a depthwise convolution's kernel does not fit",
    )
    require(o.dilation_h == o.dilation_w == 1, "a convolution is dilated")
    rows = _window(height, weights[1], o.stride_h, o.padding)
    columns = _window(width, weights[2], o.stride_w, o.padding)
    taps = weights[1] * weights[2]
    return Known(
        (1, rows, columns, weights[3]),
        work=(_indirection(rows * columns, taps), rows * columns * math.prod(weights)),
    )


def _transposed(op: Operator, known: list[Known]) -> Known:
    asked, weights = known[0].values, known[1].shape
    height, width, channels = _frame(known[2])
    o = op.options
    require(
        len(weights) == 4 and weights[3] == channels,
        "a transposed convolution's kernel does not fit",
    )
    # It is the forward convolution turned around: that one must give back the input's size.
    require(
        asked is not None and len(asked) == 4 and min(asked) >= 1,
        "a transposed convolution has no output shape",
    )
    assert asked is not None
    for now, later, window, stride in (
        (height, asked[1], weights[1], o.stride_h),
        (width, asked[2], weights[2], o.stride_w),
    ):
        require(
            _window(later, window, stride, o.padding) == now and later >= now * stride,
            f"a transposed convolution can't make {later} of {now}",
        )
    require(asked[0] == 1 and asked[3] == weights[0], "a transposed convolution's shape is wrong")
    taps = weights[1] * weights[2]
    return Known(
        asked,
        work=(_indirection(asked[1] * asked[2], taps), height * width * math.prod(weights)),
    )


def _pool(op: Operator, known: list[Known]) -> Known:
    height, width, channels = _frame(known[0])
    o = op.options
    rows = _window(height, o.filter_h, o.stride_h, o.padding)
    columns = _window(width, o.filter_w, o.stride_w, o.padding)
    return Known(
        (1, rows, columns, channels),
        work=(_indirection(rows * columns, o.filter_h * o.filter_w), 0),
    )


def _elementwise(op: Operator, known: list[Known]) -> Known:
    one, two = known
    if op.output.dtype == "int32":
        return _product(op, known)
    _frame(one)
    small = (math.prod(two.shape) == 1 or two.shape == one.shape[-1:]) and op.inputs[
        1
    ].data is not None
    require(one.shape == two.shape or small, f"{op.name} has inputs of different shapes")
    return Known(one.shape)


def _product(op: Operator, known: list[Known]) -> Known:
    one, two = known
    require(
        op.name == "MUL" and one.values is not None and two.values is not None,
        "arithmetic on what is no shape",
    )
    assert one.values is not None
    assert two.values is not None
    require(one.shape == two.shape or () in (one.shape, two.shape), "shapes that don't fit")
    count = max(len(one.values), len(two.values))
    values = zip(
        one.values * (count // len(one.values)),
        two.values * (count // len(two.values)),
        strict=True,
    )
    return Known(max(one.shape, two.shape), tuple(a * b for a, b in values))


def _same(op: Operator, known: list[Known]) -> Known:  # noqa: ARG001
    _frame(known[0])
    return Known(known[0].shape)


def _concatenation(op: Operator, known: list[Known]) -> Known:
    frames = [_frame(each) for each in known]
    require(op.options.axis in (3, -1), "frames are not put together along their channels")
    require(len({frame[:2] for frame in frames}) == 1, "frames of different sizes are put together")
    return Known((*known[0].shape[:3], sum(frame[2] for frame in frames)))


def _block(op: Operator) -> int:
    block = int(op.options.block_size)
    require(1 <= block <= LARGEST_STRIDE, f"a block of {block} is not 1 to {LARGEST_STRIDE}")
    return block


def _space_to_depth(op: Operator, known: list[Known]) -> Known:
    (height, width, channels), block = _frame(known[0]), _block(op)
    require(height % block == width % block == 0, f"{width}×{height} has no blocks of {block}")
    return Known((1, height // block, width // block, channels * block**2))


def _depth_to_space(op: Operator, known: list[Known]) -> Known:
    (height, width, channels), block = _frame(known[0]), _block(op)
    require(channels % block**2 == 0, f"{channels} channels are no blocks of {block}")
    return Known((1, height * block, width * block, channels // block**2))


def _resize(op: Operator, known: list[Known]) -> Known:  # noqa: ARG001
    height, width, channels = _frame(known[0])
    size = known[1].values
    require(size is not None and len(size) == 2, "up-sampling to an unknown size")
    assert size is not None
    for now, later in ((height, size[0]), (width, size[1])):
        times = later // now
        require(
            later == now * times and 1 <= times <= LARGEST_STRIDE,
            f"up-sampling makes {later} of {now}",
        )
    return Known((1, *size, channels))


def _shape(op: Operator, known: list[Known]) -> Known:
    require(op.options.out_type == 2 and len(known[0].shape) == 4, "a shape is not int32")
    return Known((4,), known[0].shape)


def _one(known: Known) -> int:
    require(known.shape == (1,) and known.values is not None, "a slice is not along one dimension")
    assert known.values is not None
    return known.values[0]


def _cut(source: Known, begin: int, end: int) -> tuple[int, ...]:
    require(source.values is not None and len(source.shape) == 1, "a slice of what is no shape")
    assert source.values is not None
    require(0 <= begin < end <= len(source.values), "a slice lies outside its shape")
    return source.values[begin:end]


def _strided_slice(op: Operator, known: list[Known]) -> Known:
    begin, end, step = (_one(each) for each in known[1:])
    o = op.options
    require(
        step == 1
        and not (o.ellipsis_mask or o.new_axis_mask or o.begin_mask or o.end_mask or o.offset),
        "a slice with steps, masks or offsets",
    )
    values = _cut(known[0], begin, end)
    if o.shrink_axis_mask:
        require(o.shrink_axis_mask == 1 and len(values) == 1, "a slice shrinks what it can't")
        return Known((), values)
    return Known((len(values),), values)


def _slice(op: Operator, known: list[Known]) -> Known:  # noqa: ARG001
    begin, size = (_one(each) for each in known[1:])
    values = _cut(known[0], begin, begin + size)
    return Known((len(values),), values)


def _pack(op: Operator, known: list[Known]) -> Known:
    require(
        op.options.axis == 0
        and op.options.values_count == len(known)
        and all(each.shape == () and each.values is not None for each in known),
        "what is packed is no shape",
    )
    return Known((len(known),), tuple(v for each in known for v in each.values or ()))


RULES = {
    0: ("ADD", Rule("AddOptions", True, (2,), (), _elementwise)),
    1: ("AVERAGE_POOL_2D", Rule("Pool2DOptions", True, (1,), (), _pool, keeps=True)),
    2: (
        "CONCATENATION",
        Rule("ConcatenationOptions", True, tuple(range(2, 9)), (), _concatenation, keeps=True),
    ),
    3: ("CONV_2D", Rule("Conv2DOptions", True, (3,), (1, 2), _conv)),
    4: ("DEPTHWISE_CONV_2D", Rule("DepthwiseConv2DOptions", True, (3,), (1, 2), _depthwise)),
    5: ("DEPTH_TO_SPACE", Rule("DepthToSpaceOptions", True, (1,), (), _depth_to_space, keeps=True)),
    6: ("DEQUANTIZE", Rule("DequantizeOptions", False, (1,), (), _same)),
    14: ("LOGISTIC", Rule("", False, (1,), (), _same)),
    17: ("MAX_POOL_2D", Rule("Pool2DOptions", True, (1,), (), _pool, keeps=True)),
    18: ("MUL", Rule("MulOptions", True, (2,), (), _elementwise)),
    19: ("RELU", Rule("", False, (1,), (), _same)),
    21: ("RELU6", Rule("", False, (1,), (), _same)),
    26: (
        "SPACE_TO_DEPTH",
        Rule("SpaceToDepthOptions", True, (1,), (), _space_to_depth, keeps=True),
    ),
    41: ("SUB", Rule("SubOptions", True, (2,), (), _elementwise)),
    45: (
        "STRIDED_SLICE",
        Rule("StridedSliceOptions", True, (4,), (1, 2, 3), _strided_slice, shapes=True),
    ),
    55: ("MAXIMUM", Rule("MaximumMinimumOptions", False, (2,), (), _elementwise, keeps=True)),
    57: ("MINIMUM", Rule("MaximumMinimumOptions", False, (2,), (), _elementwise, keeps=True)),
    65: ("SLICE", Rule("SliceOptions", False, (3,), (1, 2), _slice, shapes=True)),
    67: ("TRANSPOSE_CONV", Rule("TransposeConvOptions", True, (3, 4), (1, 3), _transposed)),
    77: ("SHAPE", Rule("ShapeOptions", True, (1,), (), _shape, shapes=True)),
    83: ("PACK", Rule("PackOptions", True, (1, 2, 3, 4), (), _pack, shapes=True)),
    97: (
        "RESIZE_NEAREST_NEIGHBOR",
        Rule("ResizeNearestNeighborOptions", True, (2,), (), _resize, keeps=True),
    ),
    114: ("QUANTIZE", Rule("QuantizeOptions", False, (1,), (), _same)),
}
"""Name and rule by TFLite's number of the operation."""
