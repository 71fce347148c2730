"""A stream over the network as a source, through PyAV (extra ``video``).

``rtsp://``, ``rtsps://``, ``http://``, ``https://``, ``udp://`` and ``tcp://``. Live, except for
what has a duration, as a file on a web server has.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from edgecae.errors import RefusedError, SourceError
from edgecae.media.live_video import VideoStream, open_container, reason
from edgecae.media.redact import redacted
from edgecae.media.sources.base import SourceSettings

__all__ = ["PROTOCOLS", "open_source"]

log = logging.getLogger(__name__)

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/{0,2})(?P<rest>.+)", re.DOTALL)
_RTSP = "rtsp,rtsps,rtp,srtp,udp,tcp,tls"
_HTTP = "http,https,httpproxy,tls,tcp,crypto"

PROTOCOLS = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "http": _HTTP,
    "https": _HTTP,
    "udp": "udp",
    "tcp": "tcp",
}
"""By scheme, what FFmpeg may open for it: a playlist that a stranger wrote can't name a file."""


def _open(url: str, scheme: str, stall: float) -> Any:
    import av

    options = {
        "protocol_whitelist": PROTOCOLS[scheme],
        # FFmpeg looks at a stream for up to five seconds before the first frame; one is enough for
        # a camera. (Not fflags nobuffer: it throws away what was looked at, of a file as well.)
        "analyzeduration": "1000000",
    }
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # over UDP, lost packets smear
    return av.open(url, container_options=options, timeout=stall)


def open_source(spec: str, settings: SourceSettings) -> VideoStream | None:
    """Open a stream; None for what is no URL.

    Its sound is left out, which one warning says.

    Raises:
        OfflineError: nobody answers, or with something that is no video.
        RefusedError: the user or password is wrong.
        SourceError: there is no such protocol.
    """
    match = _URL.fullmatch(spec)
    scheme = match["scheme"].lower() if match else ""
    if match is None or (match["slashes"] != "//" and scheme not in PROTOCOLS):
        return None
    url = f"{scheme}://{match['rest']}"
    name = redacted(url)
    if match["slashes"] != "//":
        raise SourceError(f"source {name!r} lacks a slash: a URL begins with {scheme}://")
    if scheme not in PROTOCOLS:
        known = ", ".join(f"{each}://" for each in PROTOCOLS)
        raise SourceError(f"source {name!r}: a URL begins with one of {known}")

    def refusal(error: Exception) -> SourceError | None:
        # No second try: some cameras lock a user out after a few wrong passwords.
        if type(error).__name__ in ("HTTPUnauthorizedError", "HTTPForbiddenError"):
            return RefusedError(f"{name}: {reason(error)}; check user and password in the URL")
        return None

    opened = open_container(
        name, url, settings, lambda: _open(url, scheme, settings.stall), refusal
    )
    stream = VideoStream(opened, name, settings, live=not opened.duration)
    warning = f"{name}: its sound is left out"
    if opened.streams.audio and warning not in settings.warned:
        settings.warned.add(warning)
        log.warning("%s", warning)
    return stream
