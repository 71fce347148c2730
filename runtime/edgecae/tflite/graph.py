"""The graph of a TFLite file, decoded once and handed on.

Inspection, multiply-accumulates, receptive field, conversion and the runtime read it. Decoding
checks that the file holds together, and no more: :mod:`.verify` says whether it may be run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import ModelFileError
from edgecae.tflite import flatbuffer
from edgecae.tflite.flatbuffer import require
from edgecae.tflite.schema import DTYPES, IDENTIFIER, OPERATORS, OPTIONS, SCHEMA

__all__ = [
    "DENOISED",
    "FRAME",
    "LATENT",
    "NEW",
    "Graph",
    "Operator",
    "State",
    "Tensor",
    "decode",
    "from_model",
]

FRAME, LATENT, DENOISED = "frame", "latent", "denoised"
"""Names of the input and the output. A whole model has the first and the last; between its encoder
and its decoder is the latent."""
NEW = "new_"
"""What the tensor of a state's output begins with; the rest is the name of its input."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as the file describes it.

    Attributes:
        index: in the file.
        name: in the file.
        dtype: as numpy names it, or ``type N`` for one that numpy does not have.
        shape: at the stored frame size.
        signature: the same with -1 for sides that are open; empty where all are fixed.
        data: of a constant, flat, of ``dtype``; None for others.
        scale: float32; empty where it is not quantized.
        zero: int64, zero points, as many.
        axis: the dimension that they go along where there are several.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    data: NDArray[Any] | None
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int

    def same_quantization(self, other: Tensor) -> bool:
        """Whether equal integers stand for equal values in both."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)


@dataclass(frozen=True, eq=False)
class Operator:
    """An operation of the graph.

    Attributes:
        name: TFLite's name of it.
        version: of its definition in TFLite.
        options: as :mod:`.schema` names them; empty where there are none, or foreign ones.
        options_table: name of their table, empty where there are none, or foreign ones.
        inputs: what it reads.
        outputs: what it writes.
    """

    name: str
    version: int
    options: SimpleNamespace
    options_table: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def output(self) -> Tensor:
        """The first tensor that it writes; edgecae's operations have no other."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class State:
    """What a recurrent network keeps from one frame to the next.

    Attributes:
        before: the input that takes it; its name is that of the state.
        after: the output that gives the next one.
    """

    before: Tensor
    after: Tensor

    @property
    def name(self) -> str:
        """Of the state."""
        return self.before.name


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph of a file.

    Attributes:
        model: the decoded file, its fields named as in :mod:`.schema`; the writer makes other files
            of it.
        tensors: in the file's order.
        operators: in order.
        frame: the input; of a decoder, the latent.
        denoised: the output; of an encoder, the latent.
        states: of a recurrent network, in the order of its further inputs and outputs.
        foreign: what the file holds that no streamed file has, in words.
    """

    model: SimpleNamespace
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    frame: Tensor
    denoised: Tensor
    states: tuple[State, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The frame, then the states."""
        return self.frame, *(state.before for state in self.states)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The denoised frame, then the next states."""
        return self.denoised, *(state.after for state in self.states)

    @property
    def half(self) -> str:
        """``encoder`` or ``decoder`` of an autoencoder, empty for a whole one."""
        if self.frame.name == LATENT:
            return "decoder"
        return "encoder" if self.denoised.name == LATENT else ""

    @property
    def latent(self) -> Tensor | None:
        """What a half has in the place of a frame."""
        return {"encoder": self.denoised, "decoder": self.frame}.get(self.half)

    @property
    def open_size(self) -> bool:
        """Whether height and width may change."""
        return -1 in self.frame.signature

    @property
    def frame_size(self) -> tuple[int, int]:
        """Stored height and width of a frame."""
        end = self.denoised if self.half == "decoder" else self.frame
        return end.shape[1], end.shape[2]

    @property
    def reduction(self) -> int:
        """How many times higher a frame is than the latent; 1 where there is none."""
        return 1 if self.latent is None else max(1, self.frame_size[0] // self.latent.shape[1])

    @property
    def dtypes(self) -> frozenset[str]:
        """Types of all tensors."""
        return frozenset(tensor.dtype for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(
            tensor.data.size
            for tensor in self.tensors
            if tensor.data is not None and tensor.shape and _has_quantization(self, tensor)
        )


def _has_quantization(graph: Graph, tensor: Tensor) -> bool:
    """Whether the file has its quantization; constants of shape arithmetic have none."""
    return graph.model.subgraphs[0].tensors[tensor.index].quantization is not None


def decode(content: bytes) -> Graph:
    """Decode a file.

    Raises:
        ModelFileError: it is no TFLite file, damaged, or does not have one graph with as many
            inputs as outputs.
    """
    if content[4:8] != IDENTIFIER:
        raise ModelFileError("it is no TFLite file")
    return from_model(*flatbuffer.decode(content, SCHEMA, "Model", OPTIONS))


def from_model(model: SimpleNamespace, foreign: tuple[str, ...] = ()) -> Graph:
    """Make a graph of a decoded file.

    Args:
        model: from :func:`edgecae.tflite.flatbuffer.decode`, perhaps changed since.
        foreign: likewise.

    Raises:
        ModelFileError: its parts don't hold together.
    """
    require(len(model.subgraphs or ()) == 1, "it does not have exactly one graph")
    graph = model.subgraphs[0]
    require(
        graph.inputs is not None
        and graph.outputs is not None
        and 1 <= len(graph.inputs) == len(graph.outputs),
        "it does not have one input and one output, and one of each for every state",
    )
    ends = (*graph.inputs, *graph.outputs)
    require(min(ends) >= 0, "its input or its output is none of its tensors")
    notes = list(foreign)
    buffers = model.buffers or []
    tensors = tuple(_tensor(n, given, buffers) for n, given in enumerate(graph.tensors or ()))
    operators = tuple(
        _operator(f"operation {n}", given, model.operator_codes or [], tensors, notes)
        for n, given in enumerate(graph.operators or ())
    )
    frame, *before = _pick(tensors, graph.inputs, notes)
    denoised, *after = _pick(tensors, graph.outputs, notes)
    states = tuple(map(State, before, after))
    return Graph(model, tensors, operators, frame, denoised, states, tuple(notes))


def _tensor(index: int, given: SimpleNamespace, buffers: list[SimpleNamespace]) -> Tensor:
    where = f"tensor {index}"
    dtype = DTYPES.get(given.type, f"type {given.type}")
    shape, signature = (
        () if each is None else tuple(map(int, each))
        for each in (given.shape, given.shape_signature)
    )
    require(given.buffer < len(buffers), f"{where} lies in buffer {given.buffer}, which is none")
    data = buffers[given.buffer].data
    if data is None or not len(data):
        data = None
    elif dtype in DTYPES.values() and dtype != "string":
        kind = np.dtype(dtype).newbyteorder("<")
        require(
            len(data) == math.prod(shape) * kind.itemsize,
            f"{where} is {dtype} {list(shape)}, and its data are {len(data)} bytes",
        )
        data = np.asarray(data).view(kind)
    scale, zero, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if given.quantization is not None:
        quantization = given.quantization
        scale = scale if quantization.scale is None else quantization.scale
        zero = zero if quantization.zero_point is None else quantization.zero_point
        axis = quantization.quantized_dimension
    name = (given.name or b"").decode(errors="replace")
    return Tensor(index, name, dtype, shape, signature, data, scale, zero, axis)


def _operator(
    where: str,
    given: SimpleNamespace,
    codes: list[SimpleNamespace],
    tensors: tuple[Tensor, ...],
    foreign: list[str],
) -> Operator:
    require(given.opcode_index < len(codes), f"{where} has no code")
    code = codes[given.opcode_index]
    # TFLite takes the larger one: the first is a byte and older.
    number = max(code.builtin_code, code.deprecated_builtin_code)
    name = OPERATORS[number] if number in range(len(OPERATORS)) else f"operation {number}"
    known = isinstance(given.options, SimpleNamespace)
    outputs = _pick(tensors, given.outputs, foreign)
    require(outputs, f"{where}, {name}, has 0 outputs")
    return Operator(
        name=name,
        version=code.version,
        options=given.options if known else SimpleNamespace(),
        options_table=OPTIONS[given.options_type] if known else "",
        inputs=_pick(tensors, given.inputs, foreign),
        outputs=outputs,
    )


def _pick(
    tensors: tuple[Tensor, ...], indices: NDArray[np.int32] | None, foreign: list[str]
) -> tuple[Tensor, ...]:
    """Look up tensors by their indices; -1 stands for an input that is left out."""
    chosen = [] if indices is None else indices.tolist()
    for index in chosen:
        require(-1 <= index < len(tensors), f"there is no tensor {index}")
    if -1 in chosen:
        foreign.append("there is no tensor -1")
    return tuple(tensors[index] for index in chosen if index >= 0)
