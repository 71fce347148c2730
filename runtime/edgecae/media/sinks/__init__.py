"""Sinks of frames, and the registry that finds the one for a description.

===================  =======================================================
``null:``            throws frames away
``view:``            a web page, see :mod:`.view`
``-``, ``raw:``      standard output, see :mod:`.pipe`
``mpegts:-``         standard output, H.264 in MPEG-TS, see :mod:`.mpegts`
``rtsp://``          an RTSP server, see :mod:`.rtsp`
``camera:DEVICE``    a virtual camera, see :mod:`.virtual_camera`
a folder             one PNG a frame (a path that ends in / or has no suffix)
any other path       video, through PyAV; the suffix says which container. In parts, see
                     :mod:`.recording`, where the source is live or ``--segment`` is given; with
                     its name only when it is whole, see :mod:`.whole_video`, where the source is a
                     video file
===================  =======================================================

To add one, write its module and enter its opener in ``OPENERS``.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecae.errors import SinkError
from edgecae.media.sinks import (
    image_folder,
    mpegts,
    null,
    pipe,
    recording,
    rtsp,
    video_file,
    view,
    virtual_camera,
    whole_video,
)
from edgecae.media.sinks.base import Sink, SinkSettings
from edgecae.redact import is_url, redacted

__all__ = ["OPENERS", "Sink", "SinkSettings", "open_sink"]


OPENERS: tuple[Callable[[str, SinkSettings], Sink | None], ...] = (
    null.open_sink,
    view.open_sink,
    mpegts.open_sink,
    pipe.open_sink,
    rtsp.open_sink,
    virtual_camera.open_sink,
    image_folder.open_sink,
    recording.open_sink,
    whole_video.open_sink,
    video_file.open_sink,
)
"""Tried in this order; each returns None for a description that is not its own."""


def open_sink(spec: str, settings: SinkSettings) -> Sink:
    """Open the sink of a description.

    Raises:
        SinkError: nothing of that description can be written.
    """
    if is_url(spec) and not rtsp.is_rtsp(spec):  # as a path, it would make folders of its password
        raise SinkError(
            f"sink {redacted(spec)!r}: of URLs, only rtsp:// and rtsps:// are published to; hand "
            f"the frames to a program that does: --sink - | ffmpeg -i - URL (a path that looks "
            f"like one, or holds token=, begins with ./)"
        )
    for opener in OPENERS:
        sink = opener(spec, settings)
        if sink is not None:
            return sink
    raise SinkError(f"sink {redacted(spec)!r}: there is no such sink")
