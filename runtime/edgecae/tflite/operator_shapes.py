"""What each operation makes of its inputs: the shape, the memory and the multiply-accumulates.

A shape is inferred from the inputs as TFLite does, and the values of shape arithmetic (int32) with
it, at any frame size; what a file says of the shapes in between is never believed.

Each function takes an operation and what is known of its inputs, and returns what is known of its
output.

Raises:
    ModelFileError: the operation does not fit its inputs, or has an option out of its bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import Operator
from edgecae.tflite.macs import convolution_macs

__all__ = [
    "SAME",
    "Inferred",
    "concatenation",
    "convolution",
    "cut",
    "depth_to_space",
    "depthwise_convolution",
    "elementwise",
    "leaky",
    "pack",
    "pool",
    "prelu",
    "resize",
    "resize_bilinear",
    "same",
    "shape",
    "space_to_depth",
    "strided_slice",
    "transposed_convolution",
]

SAME, VALID = 0, 1
"""Kinds of padding."""

MAX_SLOPE = 16.0
"""Of a leaky ReLU below zero."""
MAX_WINDOW = 16
MAX_STRIDE = 8


@dataclass(frozen=True)
class Inferred:
    """What shape inference finds of a tensor at one frame size.

    Attributes:
        shape: of the tensor.
        values: of shape arithmetic; None for others.
        workspace: bytes of memory that making it takes beside the tensor itself.
        macs: multiply-accumulates that making it takes.
    """

    shape: tuple[int, ...]
    values: tuple[int, ...] | None = None
    workspace: int = 0
    macs: int = 0


def _frame(tensor: Inferred) -> tuple[int, int, int]:
    """Return height, width and channels."""
    require(len(tensor.shape) == 4 and tensor.shape[0] == 1, "a tensor is not 1×H×W×C")
    return tensor.shape[1], tensor.shape[2], tensor.shape[3]


def _window(size: int, window: int, stride: int, padding: int) -> int:
    require(1 <= window <= MAX_WINDOW, f"a window of {window} is not 1 to {MAX_WINDOW}")
    require(1 <= stride <= MAX_STRIDE, f"a stride of {stride} is not 1 to {MAX_STRIDE}")
    require(padding in (SAME, VALID), f"there is no padding {padding}")
    result = -(-size // stride) if padding == SAME else (size - window) // stride + 1
    require(result >= 1, f"a window of {window} does not fit into {size}")
    return result


def _indirection(positions: int, taps: int) -> int:
    """Bytes: XNNPACK keeps a pointer for each place of the window."""
    return 8 * positions * taps


def convolution(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Windows over all channels; the kernel is O×H×W×I."""
    channels, weights = _frame(inputs[0])[2], inputs[1].shape
    require(len(weights) == 4 and weights[3] == channels, "a convolution's kernel does not fit")
    return _convolved(op, inputs, weights[0])


def depthwise_convolution(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Windows over each channel by itself; the kernel is 1×H×W×O."""
    channels, weights = _frame(inputs[0])[2], inputs[1].shape
    multiplier = op.options.depth_multiplier
    require(
        len(weights) == 4
        and weights[0] == 1
        and multiplier >= 1
        and weights[3] == channels * multiplier,
        "a depthwise convolution's kernel does not fit",
    )
    return _convolved(op, inputs, weights[3])


def _convolved(op: Operator, inputs: list[Inferred], channels: int) -> Inferred:
    """Infer a convolution whose kernel fits, with so many output channels."""
    height, width, _ = _frame(inputs[0])
    o, weights = op.options, inputs[1].shape
    require(o.dilation_h == o.dilation_w == 1, "a convolution is dilated")
    rows = _window(height, weights[1], o.stride_h, o.padding)
    columns = _window(width, weights[2], o.stride_w, o.padding)
    return _with_cost(op, inputs, (1, rows, columns, channels))


def _with_cost(op: Operator, inputs: list[Inferred], shape: tuple[int, ...]) -> Inferred:
    weights = inputs[1].shape
    return Inferred(
        shape,
        workspace=_indirection(shape[1] * shape[2], weights[1] * weights[2]),
        macs=convolution_macs(op.name, [each.shape for each in inputs], shape),
    )


def transposed_convolution(op: Operator, inputs: list[Inferred]) -> Inferred:
    """The forward convolution turned around, to the shape that the first input gives."""
    asked, weights = inputs[0].values, inputs[1].shape
    height, width, channels = _frame(inputs[2])
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
    return _with_cost(op, inputs, asked)


def pool(op: Operator, inputs: list[Inferred]) -> Inferred:
    """The mean or the largest of each window."""
    height, width, channels = _frame(inputs[0])
    o = op.options
    rows = _window(height, o.filter_h, o.stride_h, o.padding)
    columns = _window(width, o.filter_w, o.stride_w, o.padding)
    return Inferred(
        (1, rows, columns, channels),
        workspace=_indirection(rows * columns, o.filter_h * o.filter_w),
    )


def elementwise(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Two inputs of one shape, or a constant for all values or for each channel."""
    one, two = inputs
    if op.output.dtype == "int32":
        return _product(op, inputs)
    _frame(one)
    small = (math.prod(two.shape) == 1 or two.shape == one.shape[-1:]) and op.inputs[
        1
    ].data is not None
    require(one.shape == two.shape or small, f"{op.name} has inputs of different shapes")
    return Inferred(one.shape)


def _product(op: Operator, inputs: list[Inferred]) -> Inferred:
    one, two = inputs
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
    return Inferred(max(one.shape, two.shape), tuple(a * b for a, b in values))


def same(op: Operator, inputs: list[Inferred]) -> Inferred:  # noqa: ARG001
    """Whatever keeps the shape."""
    _frame(inputs[0])
    return Inferred(inputs[0].shape)


def leaky(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Leaky ReLU."""
    slope = op.options.alpha
    require(abs(slope) <= MAX_SLOPE, f"a slope of {slope:g} is not up to {MAX_SLOPE:g}")
    return same(op, inputs)


def prelu(op: Operator, inputs: list[Inferred]) -> Inferred:  # noqa: ARG001
    """ReLU with a constant slope for each channel."""
    channels, slopes = _frame(inputs[0])[2], inputs[1].shape
    fits = len(slopes) <= 4 and slopes[-1:] == (channels,)
    require(fits and math.prod(slopes) == channels, "the slopes are not one for each channel")
    return Inferred(inputs[0].shape)


def concatenation(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Frames one behind the other along their channels."""
    frames = [_frame(each) for each in inputs]
    require(op.options.axis in (3, -1), "frames are not put together along their channels")
    require(len({frame[:2] for frame in frames}) == 1, "frames of different sizes are put together")
    return Inferred((*inputs[0].shape[:3], sum(frame[2] for frame in frames)))


def _block(op: Operator) -> int:
    block = int(op.options.block_size)
    require(1 <= block <= MAX_STRIDE, f"a block of {block} is not 1 to {MAX_STRIDE}")
    return block


def space_to_depth(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Blocks of pixels become channels."""
    (height, width, channels), block = _frame(inputs[0]), _block(op)
    require(height % block == width % block == 0, f"{width}×{height} has no blocks of {block}")
    return Inferred((1, height // block, width // block, channels * block**2))


def depth_to_space(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Channels become blocks of pixels."""
    (height, width, channels), block = _frame(inputs[0]), _block(op)
    require(channels % block**2 == 0, f"{channels} channels are no blocks of {block}")
    return Inferred((1, height * block, width * block, channels // block**2))


def resize(op: Operator, inputs: list[Inferred]) -> Inferred:  # noqa: ARG001
    """Up-sampling by whole numbers."""
    height, width, channels = _frame(inputs[0])
    size = inputs[1].values
    require(size is not None and len(size) == 2, "up-sampling to an unknown size")
    assert size is not None
    for now, later in ((height, size[0]), (width, size[1])):
        times = later // now
        require(
            later == now * times and 1 <= times <= MAX_STRIDE,
            f"up-sampling makes {later} of {now}",
        )
    return Inferred((1, *size, channels))


def resize_bilinear(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Bilinear up-sampling by whole numbers."""
    # With corners aligned, a pixel's weights depend on the size of the frame: no tiles.
    require(not op.options.align_corners, "up-sampling aligns the corners")
    return resize(op, inputs)


def shape(op: Operator, inputs: list[Inferred]) -> Inferred:
    """The shape of a tensor, as values."""
    require(op.options.out_type == 2 and len(inputs[0].shape) == 4, "a shape is not int32")
    return Inferred((4,), inputs[0].shape)


def _one(tensor: Inferred) -> int:
    require(
        tensor.shape == (1,) and tensor.values is not None, "a slice is not along one dimension"
    )
    assert tensor.values is not None
    return tensor.values[0]


def _cut(source: Inferred, begin: int, end: int) -> tuple[int, ...]:
    require(source.values is not None and len(source.shape) == 1, "a slice of what is no shape")
    assert source.values is not None
    require(0 <= begin < end <= len(source.values), "a slice lies outside its shape")
    return source.values[begin:end]


def strided_slice(op: Operator, inputs: list[Inferred]) -> Inferred:
    """A part of a shape."""
    begin, end, step = (_one(each) for each in inputs[1:])
    o = op.options
    require(
        step == 1
        and not (o.ellipsis_mask or o.new_axis_mask or o.begin_mask or o.end_mask or o.offset),
        "a slice with steps, masks or offsets",
    )
    values = _cut(inputs[0], begin, end)
    if o.shrink_axis_mask:
        require(o.shrink_axis_mask == 1 and len(values) == 1, "a slice shrinks what it can't")
        return Inferred((), values)
    return Inferred((len(values),), values)


def cut(op: Operator, inputs: list[Inferred]) -> Inferred:  # noqa: ARG001
    """A part of a shape, given by its length."""
    begin, size = (_one(each) for each in inputs[1:])
    values = _cut(inputs[0], begin, begin + size)
    return Inferred((len(values),), values)


def pack(op: Operator, inputs: list[Inferred]) -> Inferred:
    """Numbers put together to a shape."""
    require(
        op.options.axis == 0
        and op.options.values_count == len(inputs)
        and all(each.shape == () and each.values is not None for each in inputs),
        "what is packed is no shape",
    )
    return Inferred((len(inputs),), tuple(v for each in inputs for v in each.values or ()))
