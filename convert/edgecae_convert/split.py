"""Cut an int8 model file in two at its bottleneck: an encoder and a decoder.

The cut goes through a tensor that is all the second half needs of the first. Nothing is rounded
anew there: the two in a row compute what the whole file computes, byte for byte, of the same input.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import atomic
from edgecae.errors import SettingError
from edgecae.tflite import model_file
from edgecae.tflite.metadata import METADATA_NAME
from edgecae.tflite.model_file import ModelFile, parse_flatbuffer

__all__ = ["bottleneck", "paths", "split", "write"]

log = logging.getLogger(__name__)

HALVES = ("encoder", "decoder")
FRAME_CHANNELS = 3


def paths(output: Path) -> tuple[Path, Path]:
    """Where the halves of a model file go: ``encoder.tflite`` and ``decoder.tflite`` beside it.

    Raises:
        SettingError: the whole file has the name of a half.
    """
    encoder, decoder = (output.with_name(f"{half}.tflite") for half in HALVES)
    if output in (encoder, decoder):
        raise SettingError(f"{output} is the name of a half; give the whole file another")
    return encoder, decoder


def bottleneck(content: bytes) -> int:
    """Find where a model file can be cut.

    Args:
        content: of a file that was just made.

    Returns:
        Index of the tensor that all of the picture passes and that holds the fewest numbers, among
        those of the lowest resolution.

    Raises:
        SettingError: there is none.
    """
    return _narrowest(parse_flatbuffer(content))


def _narrowest(model: Any) -> int:
    graph = model.subgraphs[0]
    _, height, width, _ = graph.tensors[graph.inputs[0]].shape
    # Folding pixels into channels is no bottleneck: only where the resolution is lowest.
    sides = [int(graph.tensors[int(op.outputs[0])].shape[1]) for op in _spatial(model)]
    found = {
        tensor: math.prod(map(int, graph.tensors[tensor].shape))
        for tensor in _cuts(model)
        if graph.tensors[tensor].shape[1] == min(sides)
    }
    if not found:
        raise SettingError(
            "the network can't be split: it has no bottleneck that all of the picture passes "
            "(skips lead past it); train --model classic --latent N"
        )
    narrowest = min(found, key=lambda tensor: found[tensor])
    pixels = int(height) * int(width)
    if found[narrowest] >= pixels * FRAME_CHANNELS:
        log.warning(
            "the latent holds %g numbers for a pixel, the frame %d: it can be stored or sent, but "
            "saves nothing; --model classic --latent N trains a narrower one",
            found[narrowest] / pixels,
            FRAME_CHANNELS,
        )
    return narrowest


def _constant(model: Any, tensor: int) -> bool:
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return data is not None and len(data) > 0


def _before(model: Any, tensor: int) -> set[int]:
    """Numbers of the operations that a tensor is made by."""
    graph = model.subgraphs[0]
    makers = {int(op.outputs[0]): number for number, op in enumerate(graph.operators)}
    found: set[int] = set()
    open_ = [tensor]
    while open_:
        number = makers.get(open_.pop())
        if number is not None and number not in found:
            found.add(number)
            open_ += [int(index) for index in graph.operators[number].inputs]
    return found


def _spatial(model: Any) -> list[Any]:
    """Operations that make something of height and width."""
    graph = model.subgraphs[0]
    made = [(op, graph.tensors[int(op.outputs[0])].shape) for op in graph.operators]
    return [op for op, shape in made if shape is not None and len(shape) == 4]


def _cuts(model: Any) -> Iterator[int]:
    """Tensors that are all that the operations behind them read of those before."""
    graph = model.subgraphs[0]
    for op in _spatial(model):
        cut = int(op.outputs[0])
        if cut in graph.outputs:
            continue
        before = _before(model, cut)
        behind = [o for number, o in enumerate(graph.operators) if number not in before]
        made = {int(o.outputs[0]) for o in behind} | {cut}
        read = {int(index) for o in behind for index in o.inputs}
        if all(index in made or _constant(model, index) for index in read):
            yield cut


def _half(content: bytes, cut: int, which: str) -> Any:
    """One side of the cut, as a parsed file of its own."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse_flatbuffer(content)
    graph = model.subgraphs[0]
    before = _before(model, cut)
    first = which == "encoder"
    operators = [op for number, op in enumerate(graph.operators) if (number in before) == first]
    ends = (int(graph.inputs[0]), cut) if first else (cut, int(graph.outputs[0]))
    indices = {int(i) for op in operators for i in (*op.inputs, *op.outputs)}
    place = {index: new for new, index in enumerate(sorted(indices | set(ends)))}
    codes = {int(op.opcodeIndex): None for op in operators}
    buffers = [schema.BufferT()]
    for index in place:
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data
        tensor.buffer = 0
        if data is not None and len(data):
            buffers.append(schema.BufferT(data=data))
            tensor.buffer = len(buffers) - 1
    graph.tensors[cut].name = b"latent"
    for op in operators:
        op.opcodeIndex = list(codes).index(int(op.opcodeIndex))
        op.inputs = np.array([place[int(i)] for i in op.inputs], np.int32)
        op.outputs = np.array([place[int(i)] for i in op.outputs], np.int32)
    model.operatorCodes = [model.operatorCodes[code] for code in codes]
    signature = model.signatureDefs[0]
    for field, maps, end in zip(
        ("inputs", "outputs"), (signature.inputs, signature.outputs), ends, strict=True
    ):
        maps[0].name, maps[0].tensorIndex = graph.tensors[end].name, place[end]
        setattr(graph, field, np.array([place[end]], np.int32))
    graph.tensors = [graph.tensors[index] for index in place]
    graph.operators, model.buffers, model.metadata = operators, buffers, []
    return model


def split(whole: ModelFile) -> tuple[bytes, bytes]:
    """Cut a model file in two.

    Args:
        whole: int8, just made.

    Returns:
        Encoder (frame, int8 1×H×W×3, to latent, int8 1×H/stride×W/stride×N) and decoder (latent to
        denoised frame) as files with the metadata of the whole, which say which half each is. Equal
        files give equal bytes.

    Raises:
        SettingError: the network has no bottleneck.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    cut = bottleneck(whole.content)
    digest = hashlib.sha256(whole.content).hexdigest()
    files = []
    for which in HALVES:
        model = _half(whole.content, cut, which)
        about = dataclasses.replace(whole.metadata, half=which, whole=digest)
        text = np.frombuffer(about.to_json().encode(), np.uint8)
        model.buffers.append(schema.BufferT(data=text))
        model.metadata = [
            schema.MetadataT(name=METADATA_NAME.encode(), buffer=len(model.buffers) - 1)
        ]
        builder = flatbuffers.Builder(len(whole.content) + 4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        files.append(bytes(builder.Output()))
    return files[0], files[1]


def write(whole: ModelFile, targets: Sequence[Path], overwrite: bool) -> None:
    """Write the halves of a model file, after each was read as the runtime will read it.

    Args:
        whole: int8, just made.
        targets: from :func:`paths`.
        overwrite: replace files that exist.

    Raises:
        SettingError: the network has no bottleneck.
        ModelFileError: a half is refused by the runtime.
        SinkError: a file exists and is not to be replaced, or can't be written.
    """
    with contextlib.ExitStack() as files:
        for target, content in zip(targets, split(whole), strict=True):
            temporary = files.enter_context(atomic.writing(target, overwrite))
            temporary.write_bytes(content)
            model_file.read(temporary)
