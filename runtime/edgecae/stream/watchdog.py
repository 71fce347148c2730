"""Ends the process when inference hangs, and tells systemd while the stream is alive."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator

from edgecae.device import systemd

__all__ = ["HUNG", "LIMIT", "Watchdog"]

log = logging.getLogger(__name__)

HUNG = 70
"""Exit status after inference that hung (EX_SOFTWARE of sysexits.h)."""

LIMIT = 60.0
"""Seconds that one frame may take; far more than any frame on any device that is of use."""

_PERIOD = 0.5


class Watchdog:
    """A thread that watches over those that denoise, and over the loop that they work for.

    A hung interpreter can be neither interrupted nor freed: all that helps is another process.
    What else may bring the loop to a stand, systemd finds out: it hears nothing any more.

    Args:
        limit: seconds that one piece of work may take.
        status: one line for ``systemctl status``.
    """

    def __init__(self, limit: float, status: Callable[[], str]) -> None:
        self._limit, self._status = limit, status
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
        interval = systemd.watchdog_interval() or 30.0
        told = 0.0
        while not self._end.wait(_PERIOD):
            now = time.monotonic()
            oldest = min(list(self._working.values()), default=now)
            if now - oldest > self._limit:
                log.critical("inference has hung for %.0f seconds: the process ends", now - oldest)
                logging.shutdown()
                os._exit(HUNG)
            alive = self._beat > told or bool(self._working)
            if alive and now - told >= min(interval, 10.0):
                systemd.notify(f"WATCHDOG=1\nSTATUS={self._status()}")
                told = now

    def __enter__(self) -> Watchdog:
        systemd.notify("READY=1")
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
        systemd.notify("STOPPING=1")
