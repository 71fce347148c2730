"""``rtsp://…``, ``rtsps://…``: publishes the stream to an RTSP server (extra ``video``).

The server hands it on: mediamtx, go2rtc, an NVR. H.264 that holds no frame back, a picture to start
from each second, over TCP. A server that is away is tried again, as sources are. FFmpeg encodes and
makes the packets; :mod:`.session` sends them, and never waits without a limit.

All of it is imported when such a sink is opened: other streams start sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecae.media.sinks.base import SinkSettings

if TYPE_CHECKING:
    from edgecae.media.sinks.rtsp.sink import RtspSink

__all__ = ["is_rtsp", "open_sink"]


def is_rtsp(spec: str) -> bool:
    """Whether a description is a URL that this publishes to."""
    scheme, separator, _ = spec.partition("://")
    return bool(separator) and scheme.lower() in ("rtsp", "rtsps")


def open_sink(spec: str, settings: SinkSettings) -> RtspSink | None:
    """Publish to a URL; None for any other description."""
    if not is_rtsp(spec):
        return None
    from edgecae.media.sinks.rtsp.sink import RtspSink

    return RtspSink(spec, settings)
