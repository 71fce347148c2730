"""Verify a model file that nobody vouches for, before an interpreter or LiteRT's schema sees it.

Neither looks closely: an ADD whose result has a scale of 1e-12, for one, ends the process. Here
everything that is not known to be as edgecae writes it is refused, in time and memory bounded by
the length of the file.

A new operation gets a rule in :mod:`.operators`, its options a line in :mod:`.schema`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgecae.errors import ModelFileError
from edgecae.tflite import flatbuffer
from edgecae.tflite.graph import Graph, read_graph
from edgecae.tflite.operators import require
from edgecae.tflite.schema import OPTIONS, SCHEMA
from edgecae.tflite.tensors import text

__all__ = ["Verified", "verify"]

LARGEST_METADATA = 2**16


@dataclass(frozen=True)
class Verified:
    """A file whose parts are as edgecae writes them, one by one.

    Attributes:
        graph: whose :meth:`Graph.check_sizes` is still to be called, with the metadata's stride.
        metadata: the bytes that are said to be JSON.
    """

    graph: Graph
    metadata: bytes


def verify(content: bytes, metadata_name: str) -> Verified:
    """Verify all of a file but what its metadata say.

    Args:
        content: the whole file.
        metadata_name: under which its metadata lie.

    Raises:
        ModelFileError: it is no TFLite file, damaged, or not as edgecae writes it.
    """
    if content[4:8] != b"TFL3":
        raise ModelFileError("it is no TFLite file")
    model = flatbuffer.decode(content, SCHEMA, "Model", OPTIONS)
    names = [text(entry.name) for entry in model.metadata or ()]
    require(
        metadata_name in names, "it has no edgecae metadata: it was not made by edgecae convert"
    )
    require(len(names) == 1, "it has other metadata than edgecae's")
    place = model.metadata[0].buffer
    buffers = model.buffers or []
    require(0 < place < len(buffers), "it has no room for metadata")
    data = buffers[place].data
    require(
        data is not None and len(data) <= LARGEST_METADATA, "its metadata are none, or too long"
    )
    return Verified(read_graph(model), data.tobytes())
