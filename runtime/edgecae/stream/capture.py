"""The beginning of a stream: a thread that reads the source."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from edgecae import naming
from edgecae.errors import OfflineError, RefusedError, SourceError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import Frame
from edgecae.media.sources import Source, SourceSettings, open_source
from edgecae.stream.channel import FrameQueue
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop
from edgecae.timeout import call_with_timeout

__all__ = ["Capture", "Reconnecting", "closing", "offline_since", "open_lasting"]

log = naming.logger(__name__)

S = TypeVar("S", bound=Source)

BACKOFF = (0.5, 30.0)
"""Seconds between two attempts to open a live source: the first time, and at most."""

_POLL = 0.005
"""Seconds between two looks whether a large frame may go on."""

_MAX_NAP = 0.05
"""Seconds between two looks whether a stream that waits for a frame's time shall end."""

CLOCK = Fraction(1, 90_000)
"""Time base of live frames, whose timestamps are when they arrived."""


class Reconnecting:
    """A live source that is opened again whenever it goes offline, for as long as it takes.

    Whatever is wrong with one that has worked before (no video in it while it boots, a format that
    it does not know just after it was plugged in) passes like its absence; only a refused password
    does not.

    Args:
        name: for people, while it has never been there.
        opener: opens it; raises :class:`OfflineError` while it is not there, and any other
            :class:`SourceError` where no waiting will help.
        stop: ends the iteration.
        first: the source, where it is open already.
        backoff: see :data:`BACKOFF`; doubled from one attempt to the next.

    Attributes:
        offline_since: seconds of the monotonic clock; None while frames come.
        reconnects: how often it came back.
    """

    live = True

    def __init__(
        self,
        name: str,
        opener: Callable[[], Source],
        stop: Stop,
        first: Source | None = None,
        backoff: tuple[float, float] = BACKOFF,
    ) -> None:
        self.name = first.name if first else name
        self.offline_since: float | None = None if first else time.monotonic()
        self.reconnects = 0
        self._opener, self._stop, self._backoff = opener, stop, backoff
        # The source, and how many frames were broken in those before it: replaced together, since
        # any thread may add them up.
        self._counted: tuple[Source | None, int] = first, 0

    @property
    def rate(self) -> Fraction | None:
        """See :class:`edgecae.media.sources.Source`."""
        source, _ = self._counted
        return source.rate if source else None

    @property
    def broken(self) -> int:
        """See :class:`edgecae.media.sources.Source`; of all openings."""
        source, before = self._counted
        return before + (source.broken if source else 0)

    def __iter__(self) -> Iterator[Frame]:
        wait = self._backoff[0]
        been_online, said = self._counted[0] is not None, False
        while not self._stop.requested:
            try:
                source = self._counted[0] or self._opener()
                self._counted = source, self._counted[1]
                self.name = source.name
                for frame in source:
                    if self.offline_since is not None:
                        log.warning("%s: online", self.name)
                        self.offline_since = None
                        self.reconnects += been_online
                    been_online, said = True, False
                    wait = self._backoff[0]
                    yield frame
                return  # a live source that ends of its own accord has nothing more to give
            except SourceError as error:
                passes = been_online or isinstance(error, OfflineError)
                if isinstance(error, RefusedError) or not passes:
                    raise
                # Once is enough for people; who wants to know every attempt gets it with -v.
                log.log(
                    logging.INFO if said else logging.WARNING, "offline: %s; trying again", error
                )
                said = True
                self.offline_since = self.offline_since or time.monotonic()
                try:
                    self._close()
                except SourceError as failure:
                    log.info("%s", failure)
                self._stop.sleep(wait)
                wait = min(2 * wait, self._backoff[1])

    def _close(self) -> None:
        source, _ = self._counted
        if source is not None:
            self._counted = None, self.broken
            source.__exit__(None, None, None)

    def __enter__(self) -> Reconnecting:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()


def open_lasting(spec: str, settings: SourceSettings, stop: Stop, name: str) -> Source:
    """Open a source; a live one so that it outlives its own absence.

    Args:
        spec: see :mod:`edgecae.media.sources`.
        settings: what the user asks of it.
        stop: ends a live one.
        name: what to call a live source that is not there yet; without secrets.

    Returns:
        The source; where ``stop`` was requested before it was open, one without frames.

    Raises:
        SourceError: it can't be opened, and no waiting will help.
    """
    first: Source | None = None
    try:
        # Standard input may keep whoever opens it waiting for ever for its first bytes.
        first = call_with_timeout(
            None,
            lambda: open_source(spec, settings),
            lambda source: source.__exit__(None, None, None),
            cancelled=lambda: stop.requested,
        )
        if not first.live:
            return first
    except CancelledError:
        log.debug("%s: not waited for", name)
    except OfflineError as error:
        log.info("offline: %s", error)
    return Reconnecting(name, lambda: open_source(spec, settings), stop, first)


def offline_since(source: Source) -> float | None:
    """Since when a source is away, seconds of the monotonic clock; None while it is there."""
    return source.offline_since if isinstance(source, Reconnecting) else None


@contextlib.contextmanager
def closing(source: S, stats: Stats) -> Iterator[S]:
    """Close a source that a stream has read.

    One that never came back from a read is left to the capture thread, see :class:`Capture`: to
    close it would free what FFmpeg is reading from.
    """
    try:
        yield source
    finally:
        if not stats.stuck:
            source.__exit__(None, None, None)


class Capture:
    """The thread that reads a source into a channel.

    Args:
        source: opened; left open, unless it is abandoned in a read.
        channel: closed when the source ends, fails, or somebody asks to stop.
        stats: counts what comes.
        stop: looked at after each frame.
        buffers: those that the source takes its pixels from; a large frame waits until no other of
            them is in use.
        paced: hand out frames when their timestamps say, for people who watch.

    Attributes:
        error: what ended it, if anything did.
    """

    def __init__(
        self,
        source: Source,
        channel: FrameQueue[Frame],
        stats: Stats,
        stop: Stop,
        buffers: Buffers,
        paced: bool = False,
    ) -> None:
        self._buffers, self._paced = buffers, paced
        self._first: float | None = None
        self._source, self._channel, self._stats, self._stop = source, channel, stats, stop
        self.error: BaseException | None = None
        # Whoever comes second, the thread at its end or the one that waits for it, closes.
        self._lock = threading.Lock()
        self._ended = self._abandoned = False
        # A daemon: a read that never returns must not keep the process from its end.
        self._thread = threading.Thread(
            target=naming.in_this_stream(self._work), name="capture", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end; return whether it came.

        If it did not, the thread is left behind, and closes the source when it comes back from the
        read that holds it up.
        """
        self._thread.join(timeout)
        with self._lock:
            self._abandoned = not self._ended
            return self._ended

    def drop(self, frames: list[Frame]) -> None:
        """Count frames that nobody will denoise, and take their pixels back."""
        for frame in frames:
            self._stats.dropped += 1
            self._buffers.give(frame.pixels)

    def _wait_for(self, frame: Frame, started: float) -> Frame:
        """Wait until the frame is due, counted from when the first one came."""
        if frame.pts is None or frame.time_base is None:
            return frame
        when = float(frame.pts * frame.time_base)
        if self._first is None:
            self._first = when
        due = started + when - self._first
        while (left := due - time.monotonic()) > 0:
            if self._stop.requested or self._channel.closed:
                break
            time.sleep(min(left, _MAX_NAP))
        return replace(frame, time=time.monotonic())

    def _work(self) -> None:
        stats, live = self._stats, self._source.live
        try:
            for frame in self._source:
                if self._stop.requested:
                    return
                stats.frames_in += 1
                if stats.started is None:
                    stats.started = frame.time
                if live:  # a camera's own clock may jump, ours does not
                    ticks = round((frame.time - stats.started) / CLOCK)
                    opening = getattr(self._source, "reconnects", 0)
                    frame = replace(frame, pts=ticks, time_base=CLOCK, opening=opening)
                while not self._buffers.has_room(frame.pixels.nbytes, frame.pixels):
                    if self._stop.requested or self._channel.closed:
                        return
                    time.sleep(_POLL)
                if self._paced:
                    frame = self._wait_for(frame, stats.started)
                self.drop(self._channel.put(frame))
                if self._channel.closed:
                    return
        except BaseException as error:  # raised again by who runs the stream
            self.error = error
        finally:
            self._channel.close()
            with self._lock:
                self._ended, abandoned = True, self._abandoned
            if abandoned:
                try:
                    self._source.__exit__(None, None, None)
                except Exception as error:
                    log.debug("%s can't be closed", self._source.name, exc_info=error)
