"""How far a pixel of the result looks, from the graph of a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from edgecae.tflite.graph import Graph, Operator
from edgecae.tflite.operators import OPERATOR_RULES, SAME

__all__ = ["halo"]


@dataclass(frozen=True)
class _Reach:
    """Pixels of the frame that element i of a tensor depends on, along one side.

    From ``i · step - before`` to ``i · step + after``.
    """

    step: Fraction
    before: Fraction
    after: Fraction


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
    reaches = {}
    for end in graph.inputs:  # an element of a state stands for a block of pixels
        block = Fraction(max(1, graph.frame.shape[side] // end.shape[side]))
        reaches[end.index] = _Reach(block, Fraction(0), block - 1)
    for op in graph.operators:
        inputs = [each for each in op.inputs if each.index in reaches]
        if op.output.dtype == "int32" or not inputs:
            continue
        before = [reaches[each.index] for each in inputs]
        reach = _Reach(
            before[0].step, max(each.before for each in before), max(each.after for each in before)
        )
        reaches[op.output.index] = _through(op, reach, side, inputs[0].shape[side])
    found = [reaches[end.index] for end in graph.outputs if end.index in reaches]
    return int(max(max(each.before, each.after + 1 - each.step) for each in found))


def _through(op: Operator, reach: _Reach, side: int, length: int) -> _Reach:
    """Add what an operation looks at, along a side of ``length`` elements of its input."""
    step, before, after = reach.step, reach.before, reach.after
    o = op.options
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"):
        pooled = op.name.endswith("POOL_2D")
        window = (o.filter_h, o.filter_w)[side - 1] if pooled else op.inputs[1].shape[side]
        stride = (o.stride_h, o.stride_w)[side - 1]
        padded = max((-(-length // stride) - 1) * stride + window - length, 0)
        lead = padded // 2 if o.padding == SAME else 0
        return _Reach(step * stride, before + lead * step, after + (window - 1 - lead) * step)
    if op.name == "SPACE_TO_DEPTH":
        return _Reach(step * o.block_size, before, after + (o.block_size - 1) * step)
    if op.name == "TRANSPOSE_CONV":
        window, stride = op.inputs[1].shape[side], (o.stride_h, o.stride_w)[side - 1]
        lead = max(window - stride, 0) // 2 if o.padding == SAME else 0
        step /= stride
        return _Reach(step, before + (window - 1 - lead) * step, after + lead * step)
    if op.name in ("DEPTH_TO_SPACE", "RESIZE_NEAREST_NEIGHBOR"):
        times = op.output.shape[side] // length
        return _Reach(step / times, before + step - step / times, after)
    if op.name == "RESIZE_BILINEAR":
        return _interpolated(reach, op.output.shape[side] // length, o.half_pixel_centers)
    return reach


def _interpolated(reach: _Reach, times: int, half_pixel_centers: bool) -> _Reach:
    """Add the two elements that an element of an up-sampled tensor lies between.

    Element ``k · times + phase`` lies at ``k`` plus a shift that the phase alone decides.
    """
    half = Fraction(1, 2) if half_pixel_centers else Fraction(0)
    before = after = Fraction(0)
    for phase in range(times):
        place = (phase + half) / times - half
        low, high = math.floor(place), math.ceil(place)
        before = max(before, Fraction(phase, times) - low)
        after = max(after, high - Fraction(phase, times))
    step = reach.step
    return _Reach(step / times, reach.before + before * step, reach.after + after * step)
