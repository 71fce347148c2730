"""The graph of a file that nobody vouches for.

Every operation is one of edgecae's and fits its tensors; every tensor is written before it is read,
and once; and at whatever size a frame has, memory and time stay in proportion to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from edgecae.tflite.operations import WEIGHED, pick, read_operator
from edgecae.tflite.operators import RULES, Known, Operator, Tensor, require
from edgecae.tflite.tensors import read_tensors, text

__all__ = ["LARGEST_SIDE", "Graph", "read_graph"]

LARGEST_SIDE = 8192
"""Of the frames that a graph is tried at."""

MOST_OPERATORS = 1000
MOST_BYTES_PER_PIXEL = 4096
"""All tensors of a frame and XNNPACK's pointers, added up. ``classic`` takes 299, as a float
model 662."""
MOST_MACS_PER_PIXEL = 1_000_000
MOST_PACKED_BYTES = 2**28
"""Weights of all convolutions with their channels in sixteens, as XNNPACK keeps them."""

FRAME, LATENT, DENOISED = "frame", "latent", "denoised"
"""Names of what goes in and comes out: of a whole model the first and the last, of its halves the
latent in between."""

MOST_LATENT = 256
"""Channels."""

FRAME_SCALE, FRAME_ZERO = np.float32(1 / 255), -128


@dataclass(frozen=True)
class Graph:
    """A graph whose parts have been checked one by one.

    Attributes:
        operators: in order.
        frame: the input; of a decoder, the latent.
        denoised: the output; of an encoder, the latent.
        open_size: whether height and width may change.
        dtypes: of all tensors.
        half: ``encoder`` or ``decoder`` of an autoencoder, empty for a whole one.
    """

    operators: tuple[Operator, ...]
    frame: Tensor
    denoised: Tensor
    open_size: bool
    dtypes: frozenset[str]
    half: str = ""

    @property
    def latent(self) -> Tensor | None:
        """What a half has in the place of a frame."""
        return {"encoder": self.denoised, "decoder": self.frame}.get(self.half)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Stored height and width of a frame."""
        end = self.denoised if self.half == "decoder" else self.frame
        return end.shape[1], end.shape[2]

    @property
    def reduction(self) -> int:
        """How many times higher a frame is than the latent; 1 where there is none."""
        return 1 if self.latent is None else max(1, self.frame_size[0] // self.latent.shape[1])

    def check_sizes(self, stride: int) -> None:
        """Try the graph at the stored size and at the smallest, the largest and uneven ones.

        Sizes and costs are products of height, width and positive numbers: what is in proportion at
        both ends is in between.

        Args:
            stride: height and width of a frame are multiples of this.

        Raises:
            ModelFileError: an operation does not fit, or the cost is out of proportion.
        """
        height, width = self.frame_size
        require(
            height % stride == width % stride == 0, f"its stored size has no stride of {stride}"
        )
        require(
            self.latent is None or self.reduction == stride,
            f"its frames are not {stride} times as high as its latents",
        )
        self._try(height, width, stored=True)
        if self.open_size:
            most = LARGEST_SIDE // stride * stride
            for tried in ((stride, stride), (3 * stride, 5 * stride), (stride, most), (most, most)):
                self._try(*tried)

    def infer(self, height: int, width: int) -> dict[int, Known]:
        """What every operation makes of a frame of this size, by the index of its tensor.

        A decoder gets the latent of such a frame; the sides are multiples of ``reduction`` then.

        Raises:
            ModelFileError: an operation does not fit.
        """
        known = {self.frame.index: Known(self._shape(self.frame, height, width))}
        for number, op in enumerate(self.operators):
            inputs = [known.get(each.index) or _constant(each) for each in op.inputs]
            result = RULES_BY_NAME[op.name].infer(op, inputs)
            require(
                all(1 <= value < 2**31 for value in (*result.shape, *(result.values or ()))),
                f"operation {number}, {op.name} makes numbers that are no sizes",
            )
            known[op.output.index] = result
        return known

    def _shape(self, end: Tensor, height: int, width: int) -> tuple[int, ...]:
        """Of the input or the output for a frame of this size."""
        if end is self.latent:
            height, width = height // self.reduction, width // self.reduction
        return 1, height, width, end.shape[3]

    def _try(self, height: int, width: int, stored: bool = False) -> None:
        require(
            not stored or self.frame.shape == self._shape(self.frame, height, width),
            f"its input is stored as {list(self.frame.shape)}, for {width}×{height}",
        )
        known = self.infer(height, width)
        memory = macs = 0
        for number, op in enumerate(self.operators):
            result = known[op.output.index]
            require(
                not stored or result.shape == op.output.shape,
                f"operation {number}, {op.name} makes {list(result.shape)}, "
                f"stored is {list(op.output.shape)}",
            )
            memory += math.prod(result.shape) * np.dtype(op.output.dtype).itemsize + result.work[0]
            macs += result.work[1]
        require(
            known[self.denoised.index].shape == self._shape(self.denoised, height, width),
            f"it makes {list(known[self.denoised.index].shape)} of a frame of {width}×{height}",
        )
        pixels = height * width
        require(
            memory <= MOST_BYTES_PER_PIXEL * max(pixels, 64),
            f"it takes {memory // pixels} bytes for a pixel, more than {MOST_BYTES_PER_PIXEL}",
        )
        require(
            macs <= MOST_MACS_PER_PIXEL * pixels,
            f"it takes {macs // pixels} MACs for a pixel, more than {MOST_MACS_PER_PIXEL}",
        )


RULES_BY_NAME = dict(RULES.values())


def _constant(tensor: Tensor) -> Known:
    if tensor.dtype == "int32" and tensor.data is not None and tensor.data.size <= 4:
        return Known(tensor.shape, tuple(int(n) for n in tensor.data))
    return Known(tensor.shape)


def read_graph(model: SimpleNamespace) -> Graph:
    """Check the parts of a decoded file one by one.

    Raises:
        ModelFileError: one is not as edgecae writes it.
    """
    require(model.version == 3, f"it has version {model.version} of the format, not 3")
    require(len(model.subgraphs or ()) == 1, "it does not have exactly one graph")
    graph = model.subgraphs[0]
    require(
        graph.inputs is not None
        and graph.outputs is not None
        and len(graph.inputs) == len(graph.outputs) == 1,
        "it does not have one input and one output",
    )
    text(model.description)
    text(graph.name)
    tensors = read_tensors(graph, model.buffers)
    frame, denoised = pick(tensors, graph.inputs)[0], pick(tensors, graph.outputs)[0]
    half = "decoder" if frame.name == LATENT else "encoder" if denoised.name == LATENT else ""
    for tensor in (frame, denoised):
        if half and tensor.name == LATENT:
            _check_latent(tensor)
        else:
            _check_frame(tensor)
    require(frame.data is None, "its input is a constant")
    require(frame.dtype == denoised.dtype, "its input and output have different types")
    require(0 < len(graph.operators or ()) <= MOST_OPERATORS, "it has no operations, or too many")
    written = {frame.index}
    operators = []
    for number, given in enumerate(graph.operators):
        op = read_operator(f"operation {number}", given, model.operator_codes or [], tensors)
        for tensor in op.inputs:
            require(
                tensor.data is not None or tensor.index in written,
                f"operation {number} reads tensor {tensor.index}, which nothing wrote",
            )
        require(
            op.output.data is None and op.output.index not in written,
            f"operation {number} writes tensor {op.output.index}, which has its value already",
        )
        written.add(op.output.index)
        operators.append(op)
    for tensor in tensors:
        require(
            tensor.data is not None or tensor.index in written,
            f"nothing writes tensor {tensor.index}",
        )
    require(denoised.index in written - {frame.index}, "its output is nobody's result")
    first, last = {"encoder": (FRAME, LATENT), "decoder": (LATENT, DENOISED)}.get(
        half, (FRAME, DENOISED)
    )
    _check_signature(model.signature_defs, ((first, frame), (last, denoised)))
    packed = sum(_packed_bytes(op.inputs[1]) for op in operators if op.name in WEIGHED)
    require(packed <= MOST_PACKED_BYTES, f"its weights take {packed} bytes")
    signature = graph.tensors[frame.index].shape_signature
    open_size = signature is not None and -1 in signature
    require(
        not open_size or signature.tolist() == [1, -1, -1, frame.shape[3]],
        "its input is open in something else than height and width",
    )
    dtypes = frozenset(tensor.dtype for tensor in tensors)
    return Graph(tuple(operators), frame, denoised, open_size, dtypes, half)


def _check_frame(tensor: Tensor) -> None:
    require(
        len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] == 3,
        "its input and output are not frames, 1×H×W×3",
    )
    require(
        tensor.dtype == "float32"
        or (
            tensor.dtype == "int8"
            and tensor.scale.tolist() == [FRAME_SCALE]
            and tensor.zero.tolist() == [FRAME_ZERO]
        ),
        "its input and output are neither float32 nor int8 of scale 1/255 and zero point -128",
    )


def _check_latent(tensor: Tensor) -> None:
    require(
        len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] <= MOST_LATENT,
        f"its latent is not 1×H×W×N with N up to {MOST_LATENT}",
    )
    require(
        tensor.dtype == "int8" and len(tensor.scale) == 1, "its latent is not int8 of one scale"
    )


def _packed_bytes(weights: Tensor) -> int:
    sides = [-(-side // 16) * 16 if i in (0, 3) else side for i, side in enumerate(weights.shape)]
    return math.prod(sides) * np.dtype(weights.dtype).itemsize


def _check_signature(
    given: list[SimpleNamespace] | None, ends: tuple[tuple[str, Tensor], tuple[str, Tensor]]
) -> None:
    require(len(given or ()) == 1, "it does not have exactly one signature")
    assert given is not None
    require(
        text(given[0].signature_key) == "serving_default" and given[0].subgraph_index == 0,
        "its signature is not that of the graph",
    )
    for maps, (name, tensor) in zip((given[0].inputs, given[0].outputs), ends, strict=True):
        require(
            [(text(each.name), each.tensor_index) for each in maps or ()] == [(name, tensor.index)]
            and tensor.name == name,
            f"its signature does not call the {name} so",
        )
