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
    from edgecae.media.sinks.view.gallery import Gallery

__all__ = ["View", "open_gallery", "open_sink"]


def _check_packages() -> None:
    """Import what a view needs and other streams do without.

    Raises:
        SinkError: it is not installed.
    """
    try:
        import aiohttp  # noqa: F401
        import simplejpeg  # noqa: F401
    except ImportError as error:
        raise SinkError(
            "sink view: needs aiohttp and simplejpeg: pip install 'edgecae[view]'"
        ) from error


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
        _check_packages()
        from edgecae.media.sinks.view import address
        from edgecae.media.sinks.view.pictures import Feed
        from edgecae.media.sinks.view.server import Server
        from edgecae.media.sinks.view.shown import Shown

        listener = address.listen(where)
        self.name, self.url = listener.where, listener.url
        self.token_made = listener.made
        self._feed = Feed()
        self._server = Server(listener, {"": Shown(self._feed, control)})

    @property
    def viewers(self) -> int:
        """How many look at this moment."""
        return self._server.viewers

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the frame is larger than a JPEG can be.
        """
        from edgecae.media.sinks.view.pictures import check_size

        check_size(frame)
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
    _tell_url(view)
    return view


def open_gallery(where: str, token: str | None = None) -> Gallery:
    """Open a view of several cameras; its URL is printed as that of :func:`open_sink`.

    Args:
        where: ``[HOST:]PORT``, and ``?token=TOKEN`` after it.
        token: that opens the view where there is none in ``where``.

    Raises:
        SinkError: a package is not installed, or the port can't be had.
    """
    _check_packages()
    from edgecae.media.sinks.view import address, gallery

    opened = gallery.Gallery(address.parse(f"view:{where}", token))
    _tell_url(opened)
    return opened


def _tell_url(view: View | Gallery) -> None:
    if view.token_made:
        print(f"open {view.url}", file=sys.stderr, flush=True)
