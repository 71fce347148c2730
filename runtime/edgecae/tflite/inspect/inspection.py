"""What a model file holds and what it costs."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import models
from edgecae.errors import SettingError
from edgecae.tflite import model_file
from edgecae.tflite.graph import Graph, Tensor
from edgecae.tflite.model_file import ModelFile
from edgecae.tflite.operators import Inferred, infer
from edgecae.tflite.verify_tensors import MAX_SIDE

__all__ = ["DEFAULT_SIZE", "End", "Inspection", "Memory", "inspect", "inspect_file"]

DEFAULT_SIZE = (640, 480)
"""Width and height."""


@dataclass(frozen=True)
class End:
    """An input or an output of a model.

    Attributes:
        name: in the file.
        dtype: ``int8`` or ``float32``.
        shape: 1×H×W×C, -1 where it is open.
        scale: of its quantization; None for floats.
        zero_point: likewise.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Memory:
    """Bytes of the activations (what operations make), computed from the sizes of tensors.

    An interpreter takes more: for its weights, packed anew, and for what its kernels work with.

    Attributes:
        width: of the frame, in pixels, padded to the network's stride.
        height: likewise.
        peak: bytes of all tensors that are alive at once, at the operation where they are most:
            what an arena can't do with less of.
        total: bytes of all tensors together, none in the place of another.
    """

    width: int
    height: int
    peak: int
    total: int


@dataclass(frozen=True)
class Inspection:
    """What a model file holds and what it costs.

    Attributes:
        file: read and checked.
        sha256: of the file, hexadecimal.
        shipped: name of the shipped model that has these very bytes, or None.
        tensors: number of tensors by dtype, constants included.
        frame: the input; of a decoder, the latent.
        denoised: the output; of an encoder, the latent.
        states: of a recurrent network: its further inputs; further outputs are like them.
        memory: at the frame size that was asked for.
        refused: why edgecae doesn't run the file, which may be for other runtimes; empty where it
            does.
    """

    file: ModelFile
    sha256: str
    shipped: str | None
    tensors: Mapping[str, int]
    frame: End
    denoised: End
    states: tuple[End, ...]
    memory: Memory
    refused: str = ""

    @property
    def graph(self) -> Graph:
        """Operations and tensors of the file."""
        return self.file.graph

    @property
    def integer(self) -> bool:
        """Whether no tensor holds floats."""
        return not any(dtype.startswith("float") for dtype in self.tensors)

    def to_dict(self) -> dict[str, Any]:
        """Return what :mod:`json` takes.

        Returns:
            ``macs_per_pixel`` and ``macs_per_pixel_padded`` (multiply-accumulates, see
            :class:`edgecae.tflite.model_file.ModelFile`), ``parameters``, ``bytes``, ``ops``
            (``op``, ``dtype``, ``output_shape``, ``macs``, ``macs_padded`` at the stored frame
            size, ``frame_size``), and the attributes of this class.
        """
        file = self.file
        height, width = file.frame_size
        return {
            "path": str(file.path),
            "sha256": self.sha256,
            "shipped": self.shipped,
            "bytes": len(file.content),
            "macs_per_pixel": file.macs_per_pixel,
            "macs_per_pixel_padded": file.macs_per_pixel_padded,
            "parameters": file.parameters,
            "integer": self.integer,
            "refused": self.refused or None,
            "tensors": dict(self.tensors),
            "frame_size": {"width": width, "height": height, "open": self.graph.open_size},
            "input": dataclasses.asdict(self.frame),
            "output": dataclasses.asdict(self.denoised),
            "states": [dataclasses.asdict(state) for state in self.states],
            "memory": dataclasses.asdict(self.memory),
            "metadata": dataclasses.asdict(file.metadata),
            "ops": [dataclasses.asdict(op) for op in file.ops],
        }


def inspect(model: str | Path, size: tuple[int, int] | None = None) -> Inspection:
    """Look into a model file.

    Args:
        model: name of a shipped model, or path of a file that ``edgecae convert`` made.
        size: width and height of a frame, for the memory; None for :data:`DEFAULT_SIZE`, or for
            the stored size where that is the only one.

    Raises:
        ModelFileError: there is no such file, or it is not one of edgecae's.
        SettingError: the model can't take frames of this size, or is one that edgecae doesn't run,
            which is described at its stored size alone.
    """
    file, refused = model_file.look(models.find_model(model))
    return inspect_file(file, size, refused)


def inspect_file(
    file: ModelFile, size: tuple[int, int] | None = None, refused: str = ""
) -> Inspection:
    """Look into a model file that was read already.

    Args:
        file: from :func:`edgecae.tflite.model_file.look`, or ``read``.
        size: see :func:`inspect`.
        refused: from ``look``.

    Raises:
        SettingError: see :func:`inspect`.
    """
    graph = file.graph
    if refused and size is not None:
        raise SettingError(
            f"{file.path} is described at its stored size alone, as edgecae doesn't run it "
            f"({refused}): leave --size out"
        )
    digest = hashlib.sha256(file.content).hexdigest()
    return Inspection(
        file=file,
        sha256=digest,
        shipped=next((name for name, of in models.hashes().items() if of == digest), None),
        tensors=dict(Counter(tensor.dtype for tensor in graph.tensors).most_common()),
        frame=_end(graph.frame, graph.open_size),
        denoised=_end(graph.denoised, graph.open_size),
        states=tuple(_end(state.before, graph.open_size) for state in graph.states),
        memory=_stored_memory(graph) if refused else _memory(graph, *_padded(file, size)),
        refused=refused,
    )


def _end(given: Tensor, open_size: bool) -> End:
    quantized = bool(len(given.scale))
    return End(
        given.name,
        given.dtype,
        (1, -1, -1, given.shape[3]) if open_size else given.shape,
        float(given.scale[0]) if quantized else None,
        int(given.zero[0]) if quantized else None,
    )


def _padded(file: ModelFile, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return width and height that the network gets for a frame of this size."""
    if size is None:
        size = DEFAULT_SIZE if file.open_size else (file.frame_size[1], file.frame_size[0])
    stride = file.metadata.stride
    width, height = (-(-side // stride) * stride for side in size)
    if min(size) < 1 or max(width, height) > MAX_SIDE:
        raise SettingError(f"a frame has 1 to {MAX_SIDE} pixels a side, not {size[0]}x{size[1]}")
    if not file.open_size and (height, width) != file.frame_size:
        stored = f"{file.frame_size[1]}x{file.frame_size[0]}"
        raise SettingError(
            f"{file.path} takes frames of {stored} alone, not {size[0]}x{size[1]}: leave --size out"
        )
    return width, height


def _stored_memory(graph: Graph) -> Memory:
    """Count by the shapes that the file says, which nobody has checked."""
    height, width = graph.frame_size
    stored = {each.index: Inferred(each.shape) for each in graph.tensors}
    return _count(graph, width, height, stored)


def _memory(graph: Graph, width: int, height: int) -> Memory:
    return _count(graph, width, height, infer(graph, height, width))


def _count(graph: Graph, width: int, height: int, inferred: dict[int, Inferred]) -> Memory:
    dtypes = {op.output.index: op.output.dtype for op in graph.operators}
    dtypes |= {end.index: end.dtype for end in graph.inputs}
    sizes = {index: _bytes(inferred[index], dtype) for index, dtype in dtypes.items()}
    last = {
        tensor.index: number
        for number, op in enumerate(graph.operators)
        for tensor in (op.output, *op.inputs)
        if tensor.index in sizes
    }
    last |= {end.index: len(graph.operators) for end in graph.outputs}
    alive, peak = sum(sizes[end.index] for end in graph.inputs), 0
    for number, op in enumerate(graph.operators):
        alive += sizes[op.output.index]
        peak = max(peak, alive)
        alive -= sum(sizes[index] for index, end in last.items() if end == number)
    return Memory(width, height, peak, sum(sizes.values()))


def _bytes(tensor: Inferred, dtype: str) -> int:
    return math.prod(tensor.shape) * np.dtype(dtype).itemsize
