"""The end of a stream: a thread for each sink, and frames that several of them share."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from edgecae import naming
from edgecae.errors import EdgecaeError, SinkError, SinkRefusedError, shortage
from edgecae.media.buffers import Buffers
from edgecae.media.frame import Frame
from edgecae.media.sinks import Sink
from edgecae.stream.capture import BACKOFF
from edgecae.stream.channel import ClosedError, FrameQueue
from edgecae.stream.stats import Stats

__all__ = ["Shared", "SinkWorker"]

log = naming.logger(__name__)

WAITING = 4
"""Frames that may wait for a sink."""


class Shared:
    """A frame that several sinks get; its buffers are used again after the last one.

    Args:
        frame: denoised.
        holders: how many will :meth:`release` it.
        buffers: where its pixels go then.
        done: called with the frame after the last release, if every holder used it.
    """

    def __init__(
        self, frame: Frame, holders: int, buffers: Buffers, done: Callable[[Frame], None]
    ) -> None:
        self.frame = frame
        self._holders, self._buffers, self._done = holders, buffers, done
        self._used = True
        self._lock = threading.Lock()

    def release(self, used: bool) -> None:
        """Give up one share, whether the frame was used or dropped."""
        with self._lock:
            self._holders -= 1
            self._used &= used
            last = self._holders == 0
        if last:
            if self._used:
                self._done(self.frame)
            for pixels in (self.frame.pixels, self.frame.before):
                if pixels is not None:
                    self._buffers.give(pixels)


class SinkWorker:
    """The thread that hands frames to one sink.

    A sink that failed and may recover gets none for a while, and then one as another attempt; the
    longer it has failed, the longer the while (see :data:`.capture.BACKOFF`). Any sink of a live
    stream may recover from a lack of memory, threads or file descriptors.

    Args:
        sink: opened; left open.
        newest: whether a slow sink loses frames, or makes the stream wait. A sink may only recover
            where it loses some.
        stats: counts what a slow sink loses.
        failed: called, from the thread, when the sink failed.

    Attributes:
        error: why the sink failed, if it did and has not recovered.
        takes: whether it shall get frames now.
        recovers: whether it will be tried again after a failure.
        said: whether people know of the failure.
        reason: of the failure, for people.
        frames: that the sink took.
        dropped: that it was too slow for.
    """

    def __init__(self, sink: Sink, newest: bool, stats: Stats, failed: Callable[[], None]) -> None:
        self.sink, self._stats, self._failed = sink, stats, failed
        self.error: BaseException | None = None
        self.takes, self.recovers, self.said = True, newest and sink.recovers, False
        self.frames = self.dropped = 0
        self._newest, self._wait, self._again = newest, 0.0, -math.inf
        self._channel: FrameQueue[Shared] = FrameQueue(WAITING, newest)
        self._thread = threading.Thread(
            target=naming.in_this_stream(self._work), name=f"sink {sink.name}", daemon=True
        )

    @property
    def reason(self) -> str:
        """See the class."""
        lacking = shortage(self.error)
        said = str(self.error) if isinstance(self.error, EdgecaeError) else ""
        if lacking is None:
            return said or f"{self.sink.name}: unexpected {type(self.error).__name__}: {self.error}"
        return f"{said or self.sink.name} ({lacking})"

    @property
    def awaited(self) -> bool:
        """Whether it failed, and the stream goes on for its sake even if no other sink works.

        So it does for a server that may come back, and for a lack that has not lasted long.
        """
        if self.error is None or not self.recovers:
            return False
        lacking = shortage(self.error) is not None and self._wait < BACKOFF[1]
        return lacking or getattr(self.sink, "reconnects", False)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def put(self, shared: Shared) -> None:
        """Send a frame to the sink; it is released afterwards in any case."""
        self._drop(self._channel.put(shared))

    def close(self, drain: bool = True) -> None:
        """Send no more; what waits is still written, or dropped without ``drain``."""
        self._drop(self._channel.close(drain))

    def join(self, timeout: float) -> bool:
        """Wait until the sink has its last frame; whether it came to that."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _drop(self, gone: list[Shared]) -> None:
        for shared in gone:
            if self.error is None:
                self.dropped += 1
                self._stats.sink_dropped += 1
            shared.release(used=False)

    def _work(self) -> None:
        while True:
            try:
                shared = self._channel.get(60.0 if self.takes else self._again - time.monotonic())
            except ClosedError:
                return
            if not self.takes and time.monotonic() >= self._again:
                self.takes = True
            if shared is None:
                continue
            if not self.takes:
                shared.release(used=False)
                continue
            used = self._write(shared.frame)
            shared.release(used)
            if used:
                continue
            self._failed()
            if not self.recovers:
                self.close(drain=False)
                return

    def _write(self, frame: Frame) -> bool:
        """Hand a frame to the sink; whether it took it."""
        try:
            self.sink.write(frame)
        except BaseException as error:  # raised again, or logged, by who runs the stream
            if not isinstance(error, EdgecaeError):
                log.debug("%s", self.sink.name, exc_info=error)
            if shortage(error) is not None:
                self.recovers = self._newest
            else:  # only what a sink says itself may pass: anything else is a bug
                self.recovers &= isinstance(error, SinkError)
                self.recovers &= not isinstance(error, SinkRefusedError)
            self._put_off(time.monotonic())
            again = self.error is not None
            if not again:
                self.said = False  # before there is something to be said
            self.error = error
            if again:
                log.info("%s; trying again", self.reason)
            return False
        self.frames += 1
        if self.error is not None:
            log.warning("%s works again", self.sink.name)
            self.error = None
        return True

    def _put_off(self, now: float) -> None:
        """Set the time of the next attempt, later each time unless it worked for a while."""
        worked = now - self._again > BACKOFF[1]
        self._wait = BACKOFF[0] if worked else min(2 * self._wait, BACKOFF[1])
        self.takes, self._again = False, now + self._wait


def latency_into(stats: Stats) -> Callable[[Frame], None]:
    """What to do with a frame that every sink has: note how long it took."""

    def done(frame: Frame) -> None:
        stats.latency.append((time.monotonic() - frame.time) * 1000)

    return done
