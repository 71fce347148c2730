"""Notices inference that hangs, and says while the stream is alive."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgecae.errors import BackendError

__all__ = ["MAX_HANG_SECONDS", "HungError", "StreamHooks", "Watchdog"]

log = logging.getLogger(__name__)

MAX_HANG_SECONDS = 60.0
"""Seconds that one frame may take; far more than any frame on any device that is of use."""

_PERIOD = 0.5


class HungError(BackendError):
    """Inference hung. Its thread can't be ended: don't use the denoiser any more."""


@dataclass(frozen=True)
class StreamHooks:
    """What a process does for its stream, called from threads of the stream.

    By default nothing happens outside of the stream: the process belongs to whoever calls.

    Attributes:
        on_ready: the stream begins.
        on_alive: it goes on; gets a line of status.
        on_stopping: it has ended.
        on_denoise: a thread of the stream is about to denoise for the first time; called in it.
        on_hang: inference hangs; gets a line that says so. It must end the process. None: the
            stream ends with :class:`HungError`.
        interval: seconds between two calls of ``on_alive``.
    """

    on_ready: Callable[[], object] = lambda: None
    on_alive: Callable[[str], object] = lambda status: None
    on_stopping: Callable[[], object] = lambda: None
    on_denoise: Callable[[], object] = lambda: None
    on_hang: Callable[[str], object] | None = None
    interval: float = 10.0


class Watchdog:
    """A thread that watches over those that denoise, and over the loop that they work for.

    A hung interpreter can be neither interrupted nor freed: all that helps is another process.
    Where something else holds up the loop, ``on_alive`` is not called any more.

    Args:
        limit: seconds that one piece of work may take.
        status: makes the line for ``on_alive``.
        hooks: what the process does.

    Attributes:
        hung: what hangs, in a line; None as long as nothing does.
    """

    def __init__(
        self, limit: float, status: Callable[[], str], hooks: StreamHooks | None = None
    ) -> None:
        self._limit, self._status = limit, status
        self.hooks = hooks or StreamHooks()
        self.hung: str | None = None
        self._working: dict[int, float] = {}
        self._beat = -math.inf
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def working(self, since: float | None) -> None:
        """Say that the calling thread began a piece of work at ``since``; None: it is done."""
        if since is None:
            self._working.pop(threading.get_ident(), None)
        else:
            self._working[threading.get_ident()] = since

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The block is one piece of work of the calling thread.

        It may be divided: once it has watched a part of itself, only such parts are watched.
        """
        self.working(time.monotonic())
        try:
            yield
        finally:
            self.working(None)

    def beat(self, waits: bool = False) -> None:
        """Say that the stream's loop goes round; ``waits``: until the next beat for others."""
        self._beat = math.inf if waits else time.monotonic()

    def _watch(self) -> None:
        told = 0.0
        while not self._end.wait(_PERIOD):
            now = time.monotonic()
            oldest = min(list(self._working.values()), default=now)
            if now - oldest > self._limit:
                self.hung = f"inference has hung for {now - oldest:.0f} seconds"
                if self.hooks.on_hang is not None:
                    self.hooks.on_hang(self.hung)
                return
            alive = self._beat > told or bool(self._working)
            if alive and now - told >= self.hooks.interval:
                self.hooks.on_alive(self._status())
                told = now

    def __enter__(self) -> Watchdog:
        self.hooks.on_ready()
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
        self.hooks.on_stopping()
