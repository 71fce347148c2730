"""The model file: a TFLite flatbuffer with edgecae's metadata in it.

The flatbuffer's schema comes with LiteRT's wheel and reads what :mod:`.verify` has let pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgecae.errors import ModelFileError
from edgecae.tflite import verify
from edgecae.tflite.graph import Graph
from edgecae.tflite.metadata import METADATA_NAME, Metadata

__all__ = [
    "Latent",
    "ModelFile",
    "Op",
    "describe",
    "dtype_name",
    "op_list",
    "parse_flatbuffer",
    "read",
]

LARGEST_FILE = 64 * 2**20
"""Bytes. The largest network in sight has a hundredth of this."""


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


@dataclass(frozen=True)
class Latent:
    """What is between the halves of an autoencoder: int8, 1×H/stride×W/stride×N.

    Attributes:
        channels: N.
        scale: a latent's value for a step of its int8 numbers.
        zero: the int8 number that stands for zero.
    """

    channels: int
    scale: float
    zero: int


@dataclass(frozen=True)
class ModelFile:
    """A model file, read and checked.

    Attributes:
        path: where it came from.
        content: the whole file.
        metadata: see :class:`Metadata`.
        dtypes: of all tensors.
        frame_size: stored height and width.
        open_size: whether frames of other sizes are taken too.
        latent: of a half, in the place of a frame; None for a whole model.
    """

    path: Path
    content: bytes
    metadata: Metadata
    dtypes: frozenset[str]
    frame_size: tuple[int, int]
    open_size: bool
    latent: Latent | None = None

    @cached_property
    def _parsed(self) -> Any:
        # Only who looks into a file waits for LiteRT's schema, which takes its time to import.
        return parse_flatbuffer(self.content)

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The graph, in order."""
        return op_list(self._parsed)

    @cached_property
    def parameters(self) -> int:
        """How many weights and biases."""
        return sum(
            math.prod(int(n) for n in tensor.shape)
            for tensor in self._parsed.subgraphs[0].tensors
            if tensor.shape is not None
            and len(tensor.shape)
            and (data := self._parsed.buffers[tensor.buffer].data) is not None
            and len(data)
            and tensor.quantization is not None
        )

    @cached_property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates of the convolutions for one pixel of a frame."""
        return sum(op.macs for op in self.ops) / math.prod(self.frame_size)

    @cached_property
    def macs_per_pixel_padded(self) -> float:
        """The same, with channels padded to the tiles of Arm's int8 kernels."""
        return sum(op.macs_padded for op in self.ops) / math.prod(self.frame_size)

    def require_int8(self) -> None:
        """Refuse a file that is not integer throughout.

        Raises:
            ModelFileError: it holds a float tensor.
        """
        if "float32" in self.dtypes or self.metadata.precision != "int8":
            raise ModelFileError(
                f"{self.path} is a float model; streaming runs int8 files: "
                "edgecae convert RUN --int8"
            )

    def require_half(self, half: str) -> None:
        """Refuse a file that is another part of an autoencoder than it is wanted for.

        Args:
            half: ``encoder`` or ``decoder``; empty: the whole.

        Raises:
            ModelFileError: it is another.
        """
        given = self.metadata.half
        if given == half:
            return
        names = {"": "a whole model"} | {each: f"the {each} half of a model" for each in _USES}
        advice = _USES.get(given, "edgecae convert RUN --int8 --split makes halves")
        raise ModelFileError(f"{self.path} is {names[given]}, not {names[half]}: {advice}")


_USES = {
    "encoder": "it is for edgecae compress",
    "decoder": "it is for edgecae decompress",
}

_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
    9: "int8",
}  # fmt: skip


def dtype_name(number: int) -> str:
    """Name of a TFLite data type."""
    return _DTYPES.get(number, f"type {number}")


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ModelFileError(
            "model files are read with the schema of ai-edge-litert, which is not installed"
        ) from error
    return schema_py_generated


def parse_flatbuffer(content: bytes) -> Any:
    """Parse a TFLite file into the schema's object form (``ModelT``).

    For files that were just made, or that :func:`read` let pass: others may ask for any amount of
    time and memory here.

    Raises:
        ModelFileError: it is no TFLite file, or damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelFileError("it is no TFLite file")
    schema = _schema()
    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(content))
    except Exception as error:  # the generated code raises whatever the bytes lead it to
        raise ModelFileError(f"the TFLite file is damaged: {type(error).__name__}") from error
    if not model.subgraphs or len(model.subgraphs) != 1:
        raise ModelFileError("the TFLite file does not have exactly one graph")
    return model


def _operator_names() -> dict[int, str]:
    operators = vars(_schema().BuiltinOperator)
    return {code: name for name, code in operators.items() if isinstance(code, int)}


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def op_list(model: Any) -> tuple[Op, ...]:
    """List the operations of a parsed file (``ModelT``) with their cost at the stored shapes."""
    graph = model.subgraphs[0]
    names = _operator_names()
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        output = graph.tensors[operator.outputs[0]]
        macs = padded = 0
        if name in ("CONV_2D", "TRANSPOSE_CONV"):
            out_channels, height, width, in_channels = (
                int(n) for n in graph.tensors[operator.inputs[1]].shape
            )
            # A transposed convolution spreads each pixel of its input over the kernel.
            where = graph.tensors[operator.inputs[2]] if name == "TRANSPOSE_CONV" else output
            positions = int(where.shape[1]) * int(where.shape[2])
            macs = positions * height * width * in_channels * out_channels
            padded = positions * height * width * _up(in_channels, 8) * _up(out_channels, 16)
        elif name == "DEPTHWISE_CONV_2D":
            _, height, width, channels = (int(n) for n in graph.tensors[operator.inputs[1]].shape)
            positions = int(output.shape[1]) * int(output.shape[2])
            macs = positions * height * width * channels
            padded = positions * height * width * _up(channels, 16)
        dtype = dtype_name(output.type)
        shape = () if output.shape is None else tuple(int(n) for n in output.shape)
        found.append(Op(name, dtype, shape, macs, padded))
    return tuple(found)


def _latent(graph: Graph) -> Latent | None:
    if (tensor := graph.latent) is None:
        return None
    return Latent(tensor.shape[3], float(tensor.scale[0]), int(tensor.zero[0]))


def read(path: Path) -> ModelFile:
    """Read and check a model file.

    Raises:
        ModelFileError: it is missing, damaged, or not made for edgecae.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ModelFileError(f"model {path} can't be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise ModelFileError(f"model {path} is larger than {LARGEST_FILE} bytes")
    try:
        verified = verify.verify(content, METADATA_NAME)
        metadata = Metadata.from_json(verified.metadata)
        graph = verified.graph
        if metadata.half != graph.half or bool(metadata.half) != bool(metadata.whole):
            said, is_ = metadata.half or "no half", graph.half or "no half"
            raise ModelFileError(f"its metadata say that it is {said} of a model, and it is {is_}")
        graph.check_sizes(metadata.stride)
        return ModelFile(
            path=path,
            content=content,
            metadata=metadata,
            dtypes=graph.dtypes,
            frame_size=graph.frame_size,
            open_size=graph.open_size,
            latent=_latent(graph),
        )
    except ModelFileError as error:
        raise ModelFileError(f"model {path}: {error}") from error


def describe(path: Path, content: bytes, metadata: Metadata) -> ModelFile:
    """Describe a file that was just made, which :func:`read` may refuse.

    Raises:
        ModelFileError: it is no TFLite file.
    """
    graph = parse_flatbuffer(content).subgraphs[0]
    frame = graph.tensors[graph.inputs[0]]
    signature = frame.shapeSignature
    return ModelFile(
        path=path,
        content=content,
        metadata=metadata,
        dtypes=frozenset(dtype_name(t.type) for t in graph.tensors),
        frame_size=(int(frame.shape[1]), int(frame.shape[2])),
        open_size=signature is not None and -1 in signature,
    )
