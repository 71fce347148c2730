"""Multiply-accumulates of a graph: operation by operation, at the stored frame size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgecae.tflite.graph import Graph

__all__ = ["CONVOLUTIONS", "Op", "convolution_macs", "list_ops"]

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
"""Operations that have a kernel."""

ARM_TILES = 16, 8
"""Output and input channels that the int8 kernels of Arm CPUs compute at a time."""


@dataclass(frozen=True)
class Op:
    """One operation of the graph.

    Attributes:
        op: TFLite's name of it.
        dtype: of its first output.
        output_shape: at the file's stored frame size.
        macs: multiply-accumulates of a convolution at that size, else 0.
        macs_padded: the same with output channels in sixteens and input channels in eights.
    """

    op: str
    dtype: str
    output_shape: tuple[int, ...]
    macs: int
    macs_padded: int


def convolution_macs(
    name: str,
    inputs: Sequence[tuple[int, ...]],
    output: tuple[int, ...],
    tiles: tuple[int, int] = (1, 1),
) -> int:
    """Count the multiply-accumulates of a convolution.

    Args:
        name: one of :data:`CONVOLUTIONS`.
        inputs: shapes of what it reads, the kernel second: O×H×W×I, of a depthwise one 1×H×W×O.
        output: shape of what it writes, 1×H×W×O.
        tiles: output and input channels are rounded up to multiples of these.
    """
    first, height, width, last = inputs[1]
    taps = height * width
    if name == "DEPTHWISE_CONV_2D":
        return math.prod(output[1:3]) * taps * _round_up(last, tiles[0])
    # A transposed convolution spreads each pixel of its input over the kernel.
    where = inputs[2] if name == "TRANSPOSE_CONV" else output
    return math.prod(where[1:3]) * taps * _round_up(first, tiles[0]) * _round_up(last, tiles[1])


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def list_ops(graph: Graph) -> tuple[Op, ...]:
    """List the operations of a graph with their cost at the stored shapes."""
    found = []
    for op in graph.operators:
        macs = padded = 0
        if op.name in CONVOLUTIONS:
            shapes = [tensor.shape for tensor in op.inputs]
            macs = convolution_macs(op.name, shapes, op.output.shape)
            padded = convolution_macs(op.name, shapes, op.output.shape, ARM_TILES)
        found.append(Op(op.name, op.output.dtype, op.output.shape, macs, padded))
    return tuple(found)
