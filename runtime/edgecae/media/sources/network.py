"""A stream over the network as a source, through PyAV (extra ``video``).

``rtsp://``, ``rtsps://``, ``http://``, ``https://``, ``udp://`` and ``tcp://``. Live, except for
what has a duration, as a file on a web server has.
"""

from __future__ import annotations

import re
from typing import Any

from edgecae.errors import RefusedError, SourceError
from edgecae.media import containers
from edgecae.media.live_video import VideoStream, open_container, reason
from edgecae.media.sources.base import SourceSettings, refuse_camera_options
from edgecae.redact import redacted

__all__ = ["SCHEMES", "open_source"]

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/{0,2})(?P<rest>.+)", re.DOTALL)
_NO_SUCH_PAGE = "HTTPNotFoundError", "HTTPBadRequestError", "HTTPOtherClientError"
"""PyAV's names of what a server answers that has nothing there."""

SCHEMES = "rtsp", "rtsps", "http", "https", "udp", "tcp"


def _open(url: str, scheme: str, settings: SourceSettings) -> Any:
    options = {
        # FFmpeg looks at a stream for up to five seconds before the first frame; one is enough for
        # a camera. (Not fflags nobuffer: it throws away what was looked at, of a file as well.)
        "analyzeduration": "1000000",
    }
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # over UDP, lost packets smear
    return containers.open_network(url, scheme, settings.max_pixels, options, settings.stall)


def open_source(spec: str, settings: SourceSettings) -> VideoStream | None:
    """Open a stream; None for what is no URL.

    Its sound goes to ``settings.sound`` if a sink listens there; else one warning says that it is
    left out.

    Raises:
        OfflineError: nobody answers.
        RefusedError: the user or password is wrong.
        SourceError: there is no such protocol or address, or something else than video.
    """
    match = _URL.fullmatch(spec)
    scheme = match["scheme"].lower() if match else ""
    if match is None or (match["slashes"] != "//" and scheme not in SCHEMES):
        return None
    url = f"{scheme}://{match['rest']}"
    name = redacted(url)
    if match["slashes"] != "//":
        raise SourceError(f"source {name!r} lacks a slash: a URL begins with {scheme}://")
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise SourceError(f"source {name!r}: a URL begins with one of {known}")

    refuse_camera_options(name, settings)

    def refusal(error: Exception) -> SourceError | None:
        # No second try: some cameras lock a user out after a few wrong passwords.
        if type(error).__name__ in ("HTTPUnauthorizedError", "HTTPForbiddenError"):
            return RefusedError(f"{name}: {reason(error)}; check user and password in the URL")
        if type(error).__name__ in _NO_SUCH_PAGE:
            return SourceError(f"{name}: {reason(error)}; check the path of the URL")
        if scheme in ("http", "https") and isinstance(error, ValueError):  # FFmpeg's "invalid data"
            return SourceError(f"{name} answers, but with no video: {reason(error)}")
        return None

    opened = open_container(name, url, settings, lambda: _open(url, scheme, settings), refusal)
    return VideoStream(opened, name, settings, live=not opened.duration)
