"""Sources of frames, and the registry that finds the one for a description.

===========================  ==========================================================
``test:640x480@30?frames=N`` a built-in moving scene, see :mod:`.test_scene`
a folder, a glob, an image   images in sorted order
``-``, ``raw:640x480``       standard input, see :mod:`.pipe`
any other file               video, through PyAV
===========================  ==========================================================

To add one, write its module and enter its opener in ``OPENERS``.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecae.errors import SourceError
from edgecae.runtime.sources import image_files, pipe, test_scene, video_file
from edgecae.runtime.sources.base import Source

__all__ = ["OPENERS", "Source", "open_source"]


OPENERS: tuple[Callable[[str], Source | None], ...] = (
    test_scene.open_source,
    pipe.open_source,
    image_files.open_source,
    video_file.open_source,
)
"""Tried in this order; each returns None for a description that is not its own."""


def open_source(spec: str) -> Source:
    """Open the source of a description.

    Raises:
        SourceError: nothing of that description can be opened.
    """
    for opener in OPENERS:
        source = opener(spec)
        if source is not None:
            return source
    raise SourceError(f"source {spec!r}: there is no such file, folder or source")
