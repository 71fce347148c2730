"""A view of several cameras: one page with all of them, and each alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Control
from edgecae.media.sinks.view import address
from edgecae.media.sinks.view.pictures import SHARE, Feed, check_size
from edgecae.media.sinks.view.server import Server
from edgecae.media.sinks.view.shown import Shown

__all__ = ["CameraView", "Gallery"]


class CameraView:
    """The sink of one camera in a :class:`Gallery`; closing it leaves the last picture there.

    Args:
        name: for people.
        feed: where frames go.
    """

    needs_original = True
    wants_slates = False  # the page itself says since when the camera is offline
    recovers = True
    watched = True  # by people: a file is shown at its own pace

    def __init__(self, name: str, feed: Feed) -> None:
        self.name, self._feed = name, feed

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the frame is larger than a JPEG can be.
        """
        check_size(frame)
        self._feed.put(frame)

    def __enter__(self) -> CameraView:
        return self

    def __exit__(self, *error: object) -> None:
        """The gallery goes on."""


class Gallery:
    """Shows cameras that come and go, each under its name.

    Args:
        where: to listen.

    Attributes:
        name: URL without the token.
        url: URL to open, with the token where there is one.
        token_made: whether the token was made here: whoever opened this must be told the URL.

    Raises:
        SinkError: the port can't be had.
    """

    def __init__(self, where: address.Address) -> None:
        listener = address.listen(where)
        self.name, self.url, self.token_made = listener.where, listener.url, listener.made
        self._lock = threading.Lock()
        self._shown: dict[str, Shown] = {}
        self._server = Server(listener, self._shown, several=True)

    def show(self, cameras: Mapping[str, Control]) -> None:
        """Show these cameras from now on, in this order.

        One that was shown before under its name keeps its picture and its viewers.
        """
        with self._lock:
            shown: dict[str, Shown] = {}
            for name, control in cameras.items():
                one = self._shown.get(name) or Shown(Feed(), control)
                one.control, one.feed.share = control, SHARE / len(cameras)
                one.forget()
                shown[name] = one
            self._shown = shown
        self._server.show(shown)

    def sink(self, name: str) -> CameraView:
        """Open the sink of a camera.

        Raises:
            SinkError: it is not shown.
        """
        with self._lock:
            if name not in self._shown:
                raise SinkError(f"view: there is no camera {name!r}")
            return CameraView(f"{self.name}cameras/{name}/", self._shown[name].feed)

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()
