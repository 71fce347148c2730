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
from edgecae.tflite.graph import DENOISED, FRAME, LATENT, NEW, Graph, Tensor
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
MAX_STATES = 16
MAX_STATE_CHANNELS = 256
MAX_STATE_REDUCTION = 64

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
    _check_states(graph)
    _check_operators(graph)
    first, last = {"encoder": (FRAME, LATENT), "decoder": (LATENT, DENOISED)}.get(
        graph.half, (FRAME, DENOISED)
    )
    names = tuple(state.name for state in graph.states)
    _check_signature(model.signature_defs, graph, (first, *names), (last, *names))
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
    given = {end.index for end in graph.inputs}
    written = set(given)
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
    for end in graph.outputs:
        require(end.index in written - given, "its output is nobody's result")


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


def _check_states(graph: Graph) -> None:
    """Verify that what a step leaves is what the next one takes."""
    states = graph.states
    require(len(states) <= MAX_STATES, f"it has {len(states)} states, more than {MAX_STATES}")
    require(not states or not graph.half, "it is a half of a network with states")
    require(not states or graph.frame.shape[3] == 3, "it has states, and its frames are not RGB")
    require(
        len({end.index for end in (*graph.inputs, *graph.outputs)}) == 2 + 2 * len(states),
        "an input or an output is there twice",
    )
    for state in states:
        before, after = state.before, state.after
        where = f"the state {before.index}"
        require(before.data is None, f"{where} is a constant")
        require(
            len(before.shape) == 4
            and before.shape[0] == 1
            and before.shape[3] <= MAX_STATE_CHANNELS
            and before.dtype == after.dtype == "int8",
            f"{where} is not int8 1×H×W×N with N up to {MAX_STATE_CHANNELS}",
        )
        require(
            before.shape == after.shape and before.signature == after.signature,
            f"{where} comes out with another shape",
        )
        require(
            len(before.scale) == 1 and before.same_quantization(after),
            f"{where} comes out with another quantization",
        )
        reduction = graph.frame.shape[1] // before.shape[1]
        require(
            1 <= reduction <= MAX_STATE_REDUCTION
            and graph.frame.shape[1:3] == tuple(reduction * side for side in before.shape[1:3]),
            f"{where} has {list(before.shape)}, which is no whole part of a frame",
        )
        require(
            (-1 in before.signature) == graph.open_size, f"{where} and the frame are not both open"
        )


def _packed_bytes(weights: Tensor) -> int:
    sides = [-(-side // 16) * 16 if i in (0, 3) else side for i, side in enumerate(weights.shape)]
    return math.prod(sides) * np.dtype(weights.dtype).itemsize


def _check_signature(
    given: list[SimpleNamespace] | None,
    graph: Graph,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    require(len(given or ()) == 1, "it does not have exactly one signature")
    assert given is not None
    require(
        check_text(given[0].signature_key) == "serving_default" and given[0].subgraph_index == 0,
        "its signature is not that of the graph",
    )
    for maps, names, tensors, prefix in (
        (given[0].inputs, inputs, graph.inputs, ""),
        (given[0].outputs, outputs, graph.outputs, NEW),
    ):
        called = sorted((check_text(each.name), each.tensor_index) for each in maps or ())
        expected = [(name, tensor.index) for name, tensor in zip(names, tensors, strict=True)]
        own = (names[0], *(prefix + name for name in names[1:]))
        require(
            called == sorted(expected) and own == tuple(tensor.name for tensor in tensors),
            f"its signature does not call the {' or the '.join(names)} so",
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
    for end in graph.inputs:
        require(
            not stored or end.shape == end_shape(graph, end, height, width),
            f"its input is stored as {list(end.shape)}, for {width}×{height}",
        )
    inferred = infer(graph, height, width)
    memory = sum(math.prod(inferred[state.before.index].shape) for state in graph.states)
    macs = 0
    for number, op in enumerate(graph.operators):
        result = inferred[op.output.index]
        require(
            not stored or result.shape == op.output.shape,
            f"operation {number}, {op.name} makes {list(result.shape)}, "
            f"stored is {list(op.output.shape)}",
        )
        memory += math.prod(result.shape) * np.dtype(op.output.dtype).itemsize + result.workspace
        macs += result.macs
    for end in graph.outputs:
        made = inferred[end.index].shape
        require(
            made == end_shape(graph, end, height, width),
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
