"""Image files: read with all that belongs to the picture, written with the same.

:func:`read` gives a :class:`Picture`, :func:`write` makes a file of one. The content of a file says
which format it has; the suffix says in which one a file is written.
"""

from __future__ import annotations

from edgecae.media.images.formats import (
    LOSSY,
    SUFFIXES,
    WRITTEN_KINDS,
    WRITTEN_SUFFIXES,
    is_picture_name,
    kind_to_write,
)
from edgecae.media.images.picture import Picture, upright
from edgecae.media.images.reading import read, read_size, read_stream
from edgecae.media.images.transparency import cover_hidden
from edgecae.media.images.writing import SUBSAMPLINGS, Coding, write, write_stream

__all__ = [
    "LOSSY",
    "SUBSAMPLINGS",
    "SUFFIXES",
    "WRITTEN_KINDS",
    "WRITTEN_SUFFIXES",
    "Coding",
    "Picture",
    "cover_hidden",
    "is_picture_name",
    "kind_to_write",
    "read",
    "read_size",
    "read_stream",
    "upright",
    "write",
    "write_stream",
]
