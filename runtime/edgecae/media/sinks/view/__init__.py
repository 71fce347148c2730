"""``view:``: a web page that shows the stream, before and after (extra ``view``).

The server, and asyncio under it, are imported when a view is opened: other streams start sooner.
Other machines only see it with a token, and nothing that a viewer does slows the stream: ``write``
copies the frame and returns, everything else is the server's, see :mod:`.server`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Control, SinkSettings

if TYPE_CHECKING:
    from edgecae.media.sinks.view import address

__all__ = ["MAX_JPEG_SIDE", "View", "open_sink"]

MAX_JPEG_SIDE = 65500
"""Pixels: JPEG's own limit, as libjpeg has it."""


class View:
    """Shows the newest frame to whoever opens ``url`` in a browser.

    Args:
        where: to listen; see :func:`address.parse`.
        control: of the stream: its figures are shown, its strength can be set.

    Attributes:
        name: URL without the token.
        url: URL to open, with the token where there is one.
        token_made: whether the token was made here: whoever opened this must be told the URL.

    Raises:
        SinkError: aiohttp or simplejpeg is not installed, or the port can't be had.
    """

    needs_original = True
    wants_slates = False  # the page itself says since when the source is offline
    recovers = True
    watched = True  # by people: a file is shown at its own pace

    def __init__(self, where: address.Address, control: Control | None = None) -> None:
        try:
            import simplejpeg  # noqa: F401

            from edgecae.media.sinks.view import address
            from edgecae.media.sinks.view.pictures import Feed
            from edgecae.media.sinks.view.server import Server
        except ImportError as error:
            raise SinkError(
                "sink view: needs aiohttp and simplejpeg: pip install 'edgecae[view]'"
            ) from error
        listener = address.listen(where)
        self.name, self.url = listener.where, listener.url
        self.token_made = listener.made
        self._feed = Feed()
        self._server = Server(listener, self._feed, control)

    @property
    def viewers(self) -> int:
        """How many look at this moment."""
        return self._server.viewers

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the frame is larger than a JPEG can be.
        """
        if max(frame.pixels.shape[:2]) > MAX_JPEG_SIDE:
            height, width = frame.pixels.shape[:2]
            raise SinkError(
                f"sink view: a frame of {width}×{height} does not fit into a JPEG, whose sides end "
                f"at {MAX_JPEG_SIDE}"
            )
        self._feed.put(frame)

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()


def open_sink(spec: str, settings: SinkSettings) -> View | None:
    """Open ``view:…``; None for any other description.

    Where a token had to be made, the URL that holds it is printed on standard error.
    """
    if not spec.startswith("view:"):
        return None
    from edgecae.media.sinks.view import address

    view = View(address.parse(spec, settings.token), settings.control)
    if view.token_made:
        print(f"open {view.url}", file=sys.stderr, flush=True)
    return view
