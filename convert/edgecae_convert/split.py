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

from edgecae import atomic
from edgecae.errors import SettingError
from edgecae.tflite import model_file, writer
from edgecae.tflite.graph import DENOISED, FRAME, LATENT, Graph, Operator, Tensor
from edgecae.tflite.model_file import ModelFile

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


def bottleneck(graph: Graph) -> Tensor:
    """Find where a graph can be cut.

    Returns:
        The tensor that all of the picture passes and that holds the fewest numbers, among those of
        the lowest resolution.

    Raises:
        SettingError: there is none.
    """
    # Folding pixels into channels is no bottleneck: only where the resolution is lowest.
    lowest = min(op.output.shape[1] for op in _spatial(graph))
    found = [tensor for tensor in _cuts(graph) if tensor.shape[1] == lowest]
    if not found:
        raise SettingError(
            "the network can't be split: it has no bottleneck that all of the picture passes "
            "(skips lead past it); train --model classic --latent N"
        )
    narrowest = min(found, key=lambda tensor: math.prod(tensor.shape))
    numbers, pixels = math.prod(narrowest.shape), math.prod(graph.frame_size)
    if numbers >= pixels * FRAME_CHANNELS:
        log.warning(
            "the latent holds %g numbers for a pixel, the frame %d: it can be stored or sent, but "
            "saves nothing; --model classic --latent N trains a narrower one",
            numbers / pixels,
            FRAME_CHANNELS,
        )
    return narrowest


def _makers_of(graph: Graph, tensor: Tensor) -> set[int]:
    """Return the numbers of all operations that a tensor is made by."""
    makers = {op.output.index: number for number, op in enumerate(graph.operators)}
    found: set[int] = set()
    pending = [tensor.index]
    while pending:
        number = makers.get(pending.pop())
        if number is not None and number not in found:
            found.add(number)
            pending += [each.index for each in graph.operators[number].inputs]
    return found


def _spatial(graph: Graph) -> list[Operator]:
    """List the operations that make something of height and width."""
    return [op for op in graph.operators if len(op.output.shape) == 4]


def _cuts(graph: Graph) -> Iterator[Tensor]:
    """Find tensors that are all that the operations behind them read of those before."""
    for op in _spatial(graph):
        if op.output is graph.denoised:
            continue
        before = _makers_of(graph, op.output)
        behind = [o for number, o in enumerate(graph.operators) if number not in before]
        made = {o.output.index for o in behind} | {op.output.index}
        read = [each for o in behind for each in o.inputs]
        if all(each.index in made or each.data is not None for each in read):
            yield op.output


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
    graph = whole.graph
    latent = bottleneck(graph)
    digest = hashlib.sha256(whole.content).hexdigest()
    first = _makers_of(graph, latent)
    second = set(range(len(graph.operators))) - first
    files = []
    for half, operators, ends, names in (
        ("encoder", first, (graph.frame, latent), (FRAME, LATENT)),
        ("decoder", second, (latent, graph.denoised), (LATENT, DENOISED)),
    ):
        model = writer.cut(graph, operators, [ends[0].index], [ends[1].index])
        writer.sign(model, names)
        writer.set_metadata(model, dataclasses.replace(whole.metadata, half=half, whole=digest))
        files.append(writer.encode(model))
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
