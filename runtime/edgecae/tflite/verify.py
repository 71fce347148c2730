"""Verify a decoded model file that nobody vouches for, before an interpreter sees it.

Interpreters don't look closely: an ADD whose result has a scale of 1e-12, for one, ends the
process. Here everything that is not known to be as edgecae writes it is refused. Every tensor is
written before it is read, and once; at whatever size a frame has, memory and time stay in
proportion to it.

A new operation gets a rule in :mod:`.operators`, its options a line in :mod:`.schema`.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import DENOISED, FRAME, LATENT, Graph, Tensor
from edgecae.tflite.macs import CONVOLUTIONS
from edgecae.tflite.metadata import METADATA_NAME
from edgecae.tflite.operators import OPERATOR_RULES, end_shape, infer
from edgecae.tflite.schema import DTYPES, OPERATORS
from edgecae.tflite.verify_operators import check_code, check_operator
from edgecae.tflite.verify_tensors import MAX_SIDE, check_tensors, check_text

__all__ = ["check_graph", "check_outline", "check_sizes", "metadata_of"]

COUNTED = frozenset(DTYPES.values()) - {"string"}
"""Types whose bytes are known from their shape."""
MAX_METADATA = 2**16
"""Bytes."""
MAX_OPERATORS = 1000
MAX_BYTES_PER_PIXEL = 4096
"""All tensors of a frame and XNNPACK's pointers, added up. ``classic`` takes 299, as a float
model 662."""
MAX_MACS_PER_PIXEL = 1_000_000
MAX_PACKED_BYTES = 2**28
"""Weights of all convolutions with their channels in sixteens, as XNNPACK keeps them."""
MAX_LATENT_CHANNELS = 256

FRAME_SCALE, FRAME_ZERO = np.float32(1 / 255), -128


def metadata_of(graph: Graph) -> bytes:
    """Return the bytes that are said to be edgecae's metadata.

    Raises:
        ModelFileError: there are none, or others too.
    """
    model = graph.model
    names = [check_text(entry.name) for entry in model.metadata or ()]
    require(
        METADATA_NAME in names, "it has no edgecae metadata: it was not made by edgecae convert"
    )
    require(len(names) == 1, "it has other metadata than edgecae's")
    place = model.metadata[0].buffer
    buffers = model.buffers or []
    require(0 < place < len(buffers), "it has no room for metadata")
    data = buffers[place].data
    require(data is not None and len(data) <= MAX_METADATA, "its metadata are none, or too long")
    found: bytes = data.tobytes()
    return found


def check_graph(graph: Graph) -> None:
    """Verify all of a decoded file but its metadata and what becomes of other frame sizes.

    Raises:
        ModelFileError: a part is not as edgecae writes it.
    """
    model, subgraph = graph.model, graph.model.subgraphs[0]
    for number, op in enumerate(graph.operators):  # by name, before what is foreign in its options
        require(
            op.name in OPERATOR_RULES or op.name not in OPERATORS or op.name == "CUSTOM",
            f"operation {number} is {op.name}, which edgecae does not run",
        )
    require(not graph.foreign, graph.foreign[0] if graph.foreign else "")
    require(model.version == 3, f"it has version {model.version} of the format, not 3")
    for name in (model.description, subgraph.name, *(each.name for each in subgraph.tensors)):
        check_text(name)
    require(model.buffers[0].data is None, "its first buffer is not empty")
    check_tensors(graph.tensors)
    for tensor in (graph.frame, graph.denoised):
        if graph.half and tensor.name == LATENT:
            _check_latent(tensor)
        else:
            _check_frame(tensor)
    frame, denoised = graph.frame, graph.denoised
    require(frame.data is None, "its input is a constant")
    require(frame.dtype == denoised.dtype, "its input and output have different types")
    channels = {end.shape[3] for end in (frame, denoised) if end.name != LATENT}
    require(len(channels) == 1, "its input and output have different channels")
    require(not graph.half or channels == {3}, "it is a half of a network of gray frames")
    _check_operators(graph)
    first, last = {"encoder": (FRAME, LATENT), "decoder": (LATENT, DENOISED)}.get(
        graph.half, (FRAME, DENOISED)
    )
    _check_signature(model.signature_defs, ((first, frame), (last, denoised)))
    packed = sum(_packed_bytes(op.inputs[1]) for op in graph.operators if op.name in CONVOLUTIONS)
    require(packed <= MAX_PACKED_BYTES, f"its weights take {packed} bytes")
    require(
        not graph.open_size or frame.signature == (1, -1, -1, frame.shape[3]),
        "its input is open in something else than height and width",
    )


def check_outline(graph: Graph) -> None:
    """Verify what describing a decoded file needs, and much less than running it does.

    Raises:
        ModelFileError: its ends are no frames, or a convolution has no kernel.
    """
    ends = (graph.frame, graph.denoised)
    require(all(len(each.shape) == 4 for each in ends), "its input and output are not frames")
    require(0 not in graph.frame.shape[1:3], "its input is empty")
    for tensor in graph.tensors:
        require(tensor.dtype in COUNTED, f"tensor {tensor.index} is {tensor.dtype}")
    for number, op in enumerate(graph.operators):
        if op.name in CONVOLUTIONS:
            needed = 3 if op.name == "TRANSPOSE_CONV" else 2
            frames = (*op.inputs[1:needed], op.output)
            require(
                len(frames) == needed and all(len(each.shape) == 4 for each in frames),
                f"operation {number}, {op.name}, is not one of frames",
            )


def _check_operators(graph: Graph) -> None:
    """Verify the operations and their order."""
    subgraph, codes = graph.model.subgraphs[0], graph.model.operator_codes
    require(0 < len(graph.operators) <= MAX_OPERATORS, "it has no operations, or too many")
    written = {graph.frame.index}
    for number, op in enumerate(graph.operators):
        where = f"operation {number}"
        check_code(where, codes[subgraph.operators[number].opcode_index])
        check_operator(where, op)
        for tensor in op.inputs:
            require(
                tensor.data is not None or tensor.index in written,
                f"{where} reads tensor {tensor.index}, which nothing wrote",
            )
        require(
            op.output.data is None and op.output.index not in written,
            f"{where} writes tensor {op.output.index}, which has its value already",
        )
        written.add(op.output.index)
    for tensor in graph.tensors:
        require(
            tensor.data is not None or tensor.index in written,
            f"nothing writes tensor {tensor.index}",
        )
    require(graph.denoised.index in written - {graph.frame.index}, "its output is nobody's result")


def _check_frame(tensor: Tensor) -> None:
    require(
        len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] in (1, 3),
        "its input and output are not frames, 1×H×W×3 or gray 1×H×W×1",
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
        len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] <= MAX_LATENT_CHANNELS,
        f"its latent is not 1×H×W×N with N up to {MAX_LATENT_CHANNELS}",
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
        check_text(given[0].signature_key) == "serving_default" and given[0].subgraph_index == 0,
        "its signature is not that of the graph",
    )
    for maps, (name, tensor) in zip((given[0].inputs, given[0].outputs), ends, strict=True):
        require(
            [(check_text(each.name), each.tensor_index) for each in maps or ()]
            == [(name, tensor.index)]
            and tensor.name == name,
            f"its signature does not call the {name} so",
        )


def check_sizes(graph: Graph, stride: int) -> None:
    """Try a graph at the stored size and at the smallest, the largest and uneven ones.

    Sizes and costs are products of height, width and positive numbers: what is in proportion at
    both ends is in between.

    Args:
        graph: that :func:`check_graph` has let pass.
        stride: height and width of a frame are multiples of this.

    Raises:
        ModelFileError: an operation does not fit, or the cost is out of proportion.
    """
    height, width = graph.frame_size
    require(height % stride == width % stride == 0, f"its stored size has no stride of {stride}")
    require(
        graph.latent is None or graph.reduction == stride,
        f"its frames are not {stride} times as high as its latents",
    )
    _check_size(graph, height, width, stored=True)
    if graph.open_size:
        most = MAX_SIDE // stride * stride
        for tried in ((stride, stride), (3 * stride, 5 * stride), (stride, most), (most, most)):
            _check_size(graph, *tried)


def _check_size(graph: Graph, height: int, width: int, stored: bool = False) -> None:
    require(
        not stored or graph.frame.shape == end_shape(graph, graph.frame, height, width),
        f"its input is stored as {list(graph.frame.shape)}, for {width}×{height}",
    )
    inferred = infer(graph, height, width)
    memory = macs = 0
    for number, op in enumerate(graph.operators):
        result = inferred[op.output.index]
        require(
            not stored or result.shape == op.output.shape,
            f"operation {number}, {op.name} makes {list(result.shape)}, "
            f"stored is {list(op.output.shape)}",
        )
        memory += math.prod(result.shape) * np.dtype(op.output.dtype).itemsize + result.workspace
        macs += result.macs
    made = inferred[graph.denoised.index].shape
    require(
        made == end_shape(graph, graph.denoised, height, width),
        f"it makes {list(made)} of a frame of {width}×{height}",
    )
    pixels = height * width
    require(
        memory <= MAX_BYTES_PER_PIXEL * max(pixels, 64),
        f"it takes {memory // pixels} bytes for a pixel, more than {MAX_BYTES_PER_PIXEL}",
    )
    require(
        macs <= MAX_MACS_PER_PIXEL * pixels,
        f"it takes {macs // pixels} MACs for a pixel, more than {MAX_MACS_PER_PIXEL}",
    )
