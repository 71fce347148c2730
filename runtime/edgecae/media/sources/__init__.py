"""Sources of frames, and the registry that finds the one for a description.

============================ ==========================================================
``test:640x480@30?frames=N`` a built-in moving scene, see :mod:`.scene`
a folder, a glob, an image   images in sorted order
``-``, ``raw:640x480``       standard input, see :mod:`.pipe`
``rtsp://…``, ``http://…``   live over the network, see :mod:`.network`
``0``, ``/dev/video0``       a camera, see :mod:`.camera`
``picamera2:``               a camera of the Raspberry Pi, see :mod:`.pi_camera`
any other file               video, through PyAV
============================ ==========================================================

To add one, write its module and enter its opener in ``OPENERS``.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecae.errors import SourceError
from edgecae.media.sources import camera, image_files, network, pi_camera, pipe, scene, video_file
from edgecae.media.sources.base import Source, SourceSettings
from edgecae.redact import redacted

__all__ = ["OPENERS", "Source", "SourceSettings", "open_source"]


OPENERS: tuple[Callable[[str, SourceSettings], Source | None], ...] = (
    scene.open_source,
    pipe.open_source,
    network.open_source,
    camera.open_source,
    pi_camera.open_source,
    image_files.open_source,
    video_file.open_source,
)
"""Tried in this order; each returns None for a description that is not its own."""


def open_source(spec: str, settings: SourceSettings | None = None) -> Source:
    """Open the source of a description.

    Args:
        spec: see the table at the top of this module.
        settings: what the user asks of it.

    Raises:
        OfflineError: it is a live source, and not there now.
        SourceError: nothing of that description can be opened.
    """
    settings = settings or SourceSettings()
    for opener in OPENERS:
        source = opener(spec, settings)
        if source is not None:
            return source
    raise SourceError(f"source {redacted(spec)!r}: there is no such file, folder or source")
