"""The model file: a TFLite flatbuffer with edgecae's metadata in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgecae.errors import ModelFileError
from edgecae.tflite import verify
from edgecae.tflite.flatbuffer import require
from edgecae.tflite.graph import Graph, decode
from edgecae.tflite.macs import Op, list_ops
from edgecae.tflite.metadata import Metadata
from edgecae.tflite.quantization import representable

__all__ = [
    "Latent",
    "ModelFile",
    "Op",
    "check",
    "look",
    "read",
]

MAX_FILE = 64 * 2**20
"""Bytes. The largest network in sight has a hundredth of this."""


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
    """A model file, decoded once.

    Attributes:
        path: where it came from.
        content: the whole file.
        metadata: see :class:`Metadata`.
        graph: its operations and tensors.
    """

    path: Path
    content: bytes
    metadata: Metadata
    graph: Graph

    @property
    def dtypes(self) -> frozenset[str]:
        """Types of all tensors."""
        return self.graph.dtypes

    @property
    def frame_size(self) -> tuple[int, int]:
        """Stored height and width."""
        return self.graph.frame_size

    @property
    def open_size(self) -> bool:
        """Whether frames of other sizes are taken too."""
        return self.graph.open_size

    @cached_property
    def latent(self) -> Latent | None:
        """What a half has in the place of a frame; None for a whole model."""
        if (tensor := self.graph.latent) is None:
            return None
        return Latent(tensor.shape[3], float(tensor.scale[0]), int(tensor.zero[0]))

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The operations, in order, with their cost at the stored frame size."""
        return list_ops(self.graph)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.graph.parameters

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


def read(path: Path) -> ModelFile:
    """Read and check a model file.

    Raises:
        ModelFileError: it is missing, damaged, or not made for edgecae.
    """
    file, refused = look(path)
    if refused:
        raise ModelFileError(f"model {path}: {refused}")
    return file


def look(path: Path) -> tuple[ModelFile, str]:
    """Read a model file that may be for other runtimes, to describe it and not to run it.

    Returns:
        The file, and why :func:`read` refuses it; empty where it does not.

    Raises:
        ModelFileError: it is missing, damaged, or not made by edgecae.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ModelFileError(f"model {path} can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise ModelFileError(f"model {path} is larger than {MAX_FILE} bytes")
    try:
        graph = decode(content)
        try:
            return ModelFile(path, content, check(graph), graph), ""
        except ModelFileError as error:
            refused = error
        try:
            verify.check_outline(graph)
            metadata = Metadata.from_json(verify.metadata_of(graph))
        except ModelFileError:
            raise refused from None
        return ModelFile(path, content, metadata, graph), str(refused)
    except ModelFileError as error:
        raise ModelFileError(f"model {path}: {error}") from error


def check(graph: Graph) -> Metadata:
    """Check a decoded file, and what it says of itself.

    Returns:
        What it says of itself.

    Raises:
        ModelFileError: it is not made for edgecae.
    """
    text = verify.metadata_of(graph)
    verify.check_graph(graph)
    metadata = Metadata.from_json(text)
    if metadata.half != graph.half or bool(metadata.half) != bool(metadata.whole):
        said, is_ = metadata.half or "no half", graph.half or "no half"
        raise ModelFileError(f"its metadata say that it is {said} of a model, and it is {is_}")
    is_ = "gray" if graph.frame.shape[3] == 1 and not graph.half else "rgb"
    if metadata.colour != is_:
        raise ModelFileError(f"its metadata say that its frames are {metadata.colour}, not {is_}")
    _check_states(graph, metadata)
    verify.check_sizes(graph, metadata.stride)
    return metadata


def _check_states(graph: Graph, metadata: Metadata) -> None:
    """Refuse metadata that say something else of the states than the graph, or an unfit start."""
    found = {}
    for state in graph.states:
        reduction = graph.frame_size[0] // state.before.shape[1]
        found[state.name] = [reduction, state.before.shape[3]]
        require(
            metadata.stride % reduction == 0,
            f"its state {state.name!r:.60} stands for blocks of {reduction}, which do not divide "
            f"the stride {metadata.stride}",
        )
    said = {name: about[:2] for name, about in metadata.states.items()}
    require(said == found, "its metadata say that it has other states than it has")
    for state in graph.states:
        reduction, channels, start = metadata.states[state.name]
        if start == "frame":
            fits = channels == 3 * reduction**2 and state.before.same_quantization(graph.frame)
        else:
            limits = representable(state.before)
            fits = limits is not None and limits[0] <= start <= limits[1]
        require(fits, f"its state {state.name!r:.60} can't begin as {start!r:.60}")
