"""How far a pixel of the result looks, from the graph of a file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.tflite.graph import Graph, Operator
from edgecae.tflite.operators import OPERATOR_RULES, SAME

__all__ = ["halo"]

MIN_LENGTH = 16384
"""Pixels of the side that is looked at: its middle must not see its ends."""

Indices = NDArray[np.int64]


class _Reach(NamedTuple):
    """First and last pixel of the frame that each element of a tensor depends on, along a side."""

    first: Indices
    last: Indices


def halo(graph: Graph) -> int:
    """Count the pixels at each side that a pixel of the result depends on.

    Of a recurrent network it is the halo of one step: of the frame and of the states before it, as
    far as a pixel of the result or of the states after it looks. So tiles whose states are taken
    from those of the whole frame give the result of the whole frame.

    Exact for a graph whose weights are none of them zero; never less than that. (Araujo et al.,
    "Computing Receptive Fields of Convolutional Neural Networks", 2019, with up-sampling added.)

    Args:
        graph: with the shapes that belong to its stored frame size.

    Returns:
        0 for a graph with operations that edgecae does not stream, which may look anywhere.
    """
    if any(op.name not in OPERATOR_RULES for op in graph.operators):
        return 0
    return max(_along(graph, side) for side in (1, 2))


def _along(graph: Graph, side: int) -> int:
    """Halo along a side, in a row of frames that is so long that its middle sees no end."""
    times = -(-MIN_LENGTH // graph.frame.shape[side])
    length = times * graph.frame.shape[side]
    reaches = {}
    for end in graph.inputs:  # an element of a state stands for a block of pixels
        reaches[end.index] = _blocks(length, times * end.shape[side])
    for op in graph.operators:
        inputs = [reaches[each.index] for each in op.inputs if each.index in reaches]
        if op.output.dtype == "int32" or not inputs:
            continue
        # A constant, or one element for all, looks where the others look.
        whole = [each for each in inputs if len(each.first) == len(inputs[0].first)]
        reach = _Reach(
            np.min([each.first for each in whole], axis=0),
            np.max([each.last for each in whole], axis=0),
        )
        reaches[op.output.index] = _through(op, reach, side)
    found = []
    for end in graph.outputs:
        if end.index in reaches:
            own, reach = _blocks(length, times * end.shape[side]), reaches[end.index]
            middle = np.s_[3 * len(own.first) // 8 : 5 * len(own.first) // 8]
            found += [(own.first - reach.first)[middle], (reach.last - own.last)[middle]]
    return int(max(0, *(each.max() for each in found)))


def _blocks(length: int, count: int) -> _Reach:
    """The pixels that ``count`` elements stand for, of a side of ``length`` pixels."""
    block = max(1, length // count)
    first = np.arange(count) * block
    return _Reach(first, first + block - 1)


def _window(reach: _Reach, low: Indices, high: Indices) -> _Reach:
    """What elements see that read the elements ``low`` to ``high`` of a tensor."""
    end = len(reach.first) - 1
    return _Reach(reach.first[np.clip(low, 0, end)], reach.last[np.clip(high, 0, end)])


def _through(op: Operator, reach: _Reach, side: int) -> _Reach:
    """Add what an operation looks at, along a side."""
    o, length = op.options, len(reach.first)
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"):
        pooled = op.name.endswith("POOL_2D")
        window = (o.filter_h, o.filter_w)[side - 1] if pooled else op.inputs[1].shape[side]
        stride = (o.stride_h, o.stride_w)[side - 1]
        within = op.inputs[0].shape[side]
        padded = max((-(-within // stride) - 1) * stride + window - within, 0)
        lead = padded // 2 if o.padding == SAME else 0
        low = np.arange(length // stride) * stride - lead
        return _window(reach, low, low + window - 1)
    if op.name == "SPACE_TO_DEPTH":
        low = np.arange(length // o.block_size) * o.block_size
        return _window(reach, low, low + o.block_size - 1)
    if op.name == "TRANSPOSE_CONV":
        window, stride = op.inputs[1].shape[side], (o.stride_h, o.stride_w)[side - 1]
        lead = max(window - stride, 0) // 2 if o.padding == SAME else 0
        place = np.arange(length * stride) + lead
        return _window(reach, -((window - 1 - place) // stride), place // stride)
    if op.name in ("DEPTH_TO_SPACE", "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"):
        times = op.output.shape[side] // op.inputs[0].shape[side]
        place = np.arange(length * times)
        if op.name != "RESIZE_BILINEAR":
            return _window(reach, place // times, place // times)
        # Twice the place between two elements, times the enlargement, in whole numbers.
        between = 2 * place + 1 - times if o.half_pixel_centers else 2 * place
        return _window(reach, between // (2 * times), -(-between // (2 * times)))
    return reach
