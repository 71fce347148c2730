"""The stream: capture, inference and every sink apart, with little between them.

A file loses no frame: whoever is ahead waits. A live source is never waited for and never makes
anybody wait: of frames that arrive while the denoiser is busy the newest alone is kept, and a sink
that is slower than the rest loses frames of its own. At most a handful of frames are under way at
any time, so that there is no backlog that could grow.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgecae import naming
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SettingError, SinkError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import Frame
from edgecae.media.sinks import Sink
from edgecae.media.sources import Source
from edgecae.stream.capture import CLOCK, Capture, offline_since
from edgecae.stream.channel import ClosedError, FrameQueue
from edgecae.stream.sink_worker import Shared, SinkWorker, latency_into
from edgecae.stream.slate import slate
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop
from edgecae.stream.watchdog import MAX_HANG_SECONDS, HungError, StreamHooks, Watchdog
from edgecae.timeout import call_with_timeout

__all__ = ["run"]

log = naming.logger(__name__)

_PATIENCE = 5.0
"""Seconds that a live stream's source and sinks get to come to an end."""

_IDLE = 0.25
"""Seconds between two looks around while no frame comes."""

_SLATE_PERIOD = 1.0


class _Inline(Executor):
    """Runs what it is given at once, in the caller's thread: one denoiser needs no other."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        """See :class:`concurrent.futures.Executor`."""
        future: Future[Frame] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def _process(denoiser: Denoiser, frame: Frame, out: NDArray[np.uint8]) -> None:
    """Denoise a frame into ``out``: of an interlaced one, each of its two fields by itself."""
    noisy = frame.pixels if frame.before is None else frame.before
    if frame.stored is None or frame.stored.field_order is None or len(noisy) < 2:
        denoiser.process(noisy, out=out)
        return
    for first in (0, 1):
        denoiser.process(noisy[first::2], out=out[first::2], sequence=first)


class _Denoisers:
    """Denoisers that work on successive frames at the same time, results in order.

    Args:
        denoisers: one thread is used for each; a single one works in the caller's.
        buffers: for results, where the frame is kept as well.
        keep: whether frames are kept as they came.
        watchdog: told when a frame begins and ends.
        stats: counts frames.
        ready: called, from any thread, when a result can be had.
    """

    def __init__(
        self,
        denoisers: Sequence[Denoiser],
        buffers: Buffers,
        keep: bool,
        watchdog: Watchdog,
        stats: Stats,
        ready: Callable[[], None],
    ) -> None:
        self._idle = deque((denoiser, 0) for denoiser in denoisers)  # and the opening it is at
        self._count = len(denoisers)
        self._buffers, self._keep = buffers, keep
        self._watchdog, self._stats, self._ready = watchdog, stats, ready
        self._pending: deque[Future[tuple[Frame, float]]] = deque()
        self._executor = (
            ThreadPoolExecutor(self._count, "denoise", watchdog.hooks.on_denoise)
            if self._count > 1
            else _Inline()
        )

    def _work(self, frame: Frame) -> tuple[Frame, float]:
        denoiser, opening = self._idle.popleft()
        if frame.opening != opening:
            denoiser.reset()  # a camera that was away may look elsewhere, in another light
        before = time.monotonic()
        self._watchdog.working(before)
        try:
            if self._keep:
                out = self._buffers.take(frame.pixels.shape)
                frame = replace(frame, pixels=out, before=frame.pixels)
            else:
                out = frame.pixels
            _process(denoiser, frame, out)
        finally:
            self._watchdog.working(None)
            self._idle.append((denoiser, frame.opening))
        return frame, (time.monotonic() - before) * 1000

    def put(self, frame: Frame) -> Iterator[Frame]:
        """Send a frame; yields what had to be finished before there was room for it."""
        while len(self._pending) >= self._count:
            yield self._take()
        future = self._executor.submit(self._work, frame)
        self._pending.append(future)
        if self._count > 1:
            future.add_done_callback(lambda _: self._ready())

    def _take(self) -> Frame:
        frame, milliseconds = self._pending.popleft().result()
        self._stats.denoised(milliseconds)
        return frame

    def finished(self) -> Iterator[Frame]:
        """Results that are there, in order."""
        while self._pending and self._pending[0].done():
            yield self._take()

    @property
    def busy(self) -> bool:
        """Whether results are still to come."""
        return bool(self._pending)

    def rest(self) -> Iterator[Frame]:
        """All results that are still to come, in order."""
        while self._pending:
            yield self._take()

    def close(self) -> None:
        """End the threads once they are idle."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Stream:
    """One run; see :func:`run`."""

    def __init__(
        self,
        source: Source,
        sinks: Sequence[Sink],
        stop: Stop,
        stats: Stats,
        buffers: Buffers,
        report: Callable[[Stats], None],
        watchdog: Watchdog,
    ) -> None:
        self.source, self.stop, self.stats = source, stop, stats
        stats.source = source
        self.buffers, self.report, self.watchdog = buffers, report, watchdog
        self.frames: FrameQueue[Frame] = FrameQueue(1 if source.live else 2, source.live)
        paced = not source.live and any(getattr(sink, "watched", False) for sink in sinks)
        self.capture = Capture(source, self.frames, stats, stop, buffers, paced)
        self.sink_workers = [
            SinkWorker(sink, source.live, stats, self.frames.wake) for sink in sinks
        ]
        self.done = latency_into(stats)
        self._shape: tuple[int, ...] | None = None
        self._slated = 0.0

    def deliver(self, frame: Frame) -> None:
        """Hand a denoised frame to every sink that still works."""
        self._shape = frame.pixels.shape
        self.watchdog.beat(waits=not self.source.live)  # as long as a file's sinks are busy
        self._send(frame, self.sink_workers, self.done)
        self.watchdog.beat()
        self.report(self.stats)

    def _send(
        self, frame: Frame, sink_workers: Sequence[SinkWorker], done: Callable[[Frame], None]
    ) -> None:
        takers = [worker for worker in sink_workers if worker.takes]
        if not takers:
            return
        shared = Shared(frame, len(takers), self.buffers, done)
        for worker in takers:
            worker.put(shared)

    def check_workers(self) -> bool:
        """Look after the workers between two frames; return whether to go on."""
        self.watchdog.beat()
        failed = [(each, each.error) for each in self.sink_workers if each.error is not None]
        if failed and not self.source.live:
            return False
        awaited = any(worker.awaited for worker, _ in failed)
        if failed and len(failed) == len(self.sink_workers) and not awaited:
            raise failed[-1][1]
        for worker, _ in failed:
            if not worker.recovers:
                self.sink_workers.remove(worker)
                log.error("%s; the stream goes on without it", worker.reason)
            elif not worker.said:
                worker.said = True
                log.error("%s; trying again, the stream goes on meanwhile", worker.reason)
        return not self.stop.requested

    def say_offline(self, since: float) -> None:
        """Give those who want it a picture that says so, once a second."""
        now = time.monotonic()
        if self._shape is None or now - self._slated < _SLATE_PERIOD:
            return
        self._slated = now
        ticks = round((now - (self.stats.started or now)) / CLOCK)
        frame = Frame(slate(self._shape, since), now, ticks, CLOCK)
        wanting = [worker for worker in self.sink_workers if worker.sink.wants_slates]
        self._send(frame, wanting, lambda frame: None)

    def finish(self, failing: bool) -> None:
        """End the threads: the source first, then sinks, which get what was denoised."""
        live, sink_workers = self.source.live, self.sink_workers
        self.watchdog.beat(waits=True)
        self.capture.drop(self.frames.close(drain=False))
        for worker in sink_workers:
            worker.close(drain=not failing)
        self.stats.stuck = not self.capture.join(_PATIENCE if live else 1.0)
        until = time.monotonic() + _PATIENCE
        for worker in sink_workers:
            while not worker.join(0.2):
                late = time.monotonic() > until
                if late and (live or failing or self.stop.requested):
                    log.warning("%s takes no frames any more: left behind", worker.sink.name)
                    break
        unsaid = [worker for worker in sink_workers if worker.error is not None and not worker.said]
        for worker in unsaid:
            if worker.recovers:  # it would have been tried again: no reason to fail
                log.error("%s", worker.reason)
        errors = [each.error for each in unsaid if each.error and not each.recovers]
        if not failing:
            if self.capture.error is not None:
                raise self.capture.error
            if errors:
                raise errors[0]


def run(
    source: Source,
    denoiser: Denoiser | Sequence[Denoiser] | Callable[[Frame], Sequence[Denoiser]],
    sinks: Sequence[Sink],
    stop: Stop | None = None,
    report: Callable[[Stats], None] = lambda stats: None,
    *,
    stats: Stats | None = None,
    buffers: Buffers | None = None,
    hang: float = MAX_HANG_SECONDS,
    watchdog: Watchdog | None = None,
    hooks: StreamHooks | None = None,
) -> Stats:
    """Denoise the frames of a source and hand them to every sink.

    Every frame of a file goes through, in order; of a live source, the newest one does. Without a
    sink that wants to see the picture before, each frame is denoised in its own buffer.

    Args:
        source: opened; read to its end, or until asked to stop.
        denoiser: opened; several work on successive frames, one alone if its model is recurrent; a
            function is called with the first frame and chooses them; it has ``hang`` seconds, or
            those for each part of its work that it watches by ``watchdog``.
        sinks: opened. A sink that fails ends the stream of a file; a live one goes on while
            another works, and tries those again that may recover.
        stop: looked at after each frame.
        report: told after each frame, and now and then while none comes.
        stats: to count in; a new one unless given.
        buffers: those that the source takes its pixels from.
        hang: seconds that a frame may take.
        watchdog: made by the caller, not entered; one with ``hang`` and ``hooks`` unless given.
        hooks: what the process does for its stream; by default nothing, and the stream runs in a
            thread of its own, which is left behind where inference hangs.

    Raises:
        HungError: a frame took longer than ``hang``.
        SettingError: there are several denoisers of a recurrent model.
        SourceError, SinkError, BackendError, FrameError: as they come up.
    """
    if not sinks:
        raise SinkError("a stream needs a sink; null: takes all and keeps nothing")
    stop, stats = stop or Stop(), stats if stats is not None else Stats()
    watchdog = watchdog or Watchdog(hang, stats.summary, hooks)
    stream = _Stream(source, sinks, stop, stats, buffers or Buffers(), report, watchdog)
    if watchdog.hooks.on_hang is not None:
        _loop(stream, denoiser, watchdog)
        return stats
    ended = threading.Event()

    def loop() -> None:
        try:
            _loop(stream, denoiser, watchdog)
        finally:
            ended.set()

    try:
        call_with_timeout(None, loop, cancelled=lambda: watchdog.hung is not None)
    except CancelledError:
        stop.requested = True
        stream.finish(failing=True)
        raise HungError(f"{watchdog.hung}; its thread is left behind") from None
    except BaseException:  # such as KeyboardInterrupt, in this thread
        stop.requested = True
        while not ended.wait(0.1) and watchdog.hung is None:
            pass
        raise
    return stats


def _loop(
    stream: _Stream,
    denoiser: Denoiser | Sequence[Denoiser] | Callable[[Frame], Sequence[Denoiser]],
    watchdog: Watchdog,
) -> None:
    """Denoise until the source ends, fails, or somebody asks to stop; see :func:`run`."""
    keep = any(worker.sink.needs_original for worker in stream.sink_workers)
    stats, report = stream.stats, stream.report
    failing = True
    with watchdog, contextlib.ExitStack() as stack:
        workers: _Denoisers | None = None
        stream.capture.start()
        for worker in stream.sink_workers:
            worker.start()
        try:
            while stream.check_workers():
                # Asked first: a source is away only behind its last frame, which waits by then.
                away = offline_since(stream.source)
                try:
                    frame = stream.frames.get(_IDLE)
                except ClosedError:
                    break
                if frame is None:  # figures are wanted above all where no frames come
                    report(stats)
                if workers is None and frame is not None:
                    watchdog.hooks.on_denoise()
                    with watchdog.watching():
                        chosen = denoiser(frame) if callable(denoiser) else denoiser
                    every = [chosen] if isinstance(chosen, Denoiser) else list(chosen)
                    if len(every) > 1 and any(each.metadata.states for each in every):
                        raise SettingError(
                            f"a recurrent model takes frames in order: give one denoiser, not "
                            f"{len(every)}"
                        )
                    workers = _Denoisers(
                        every, stream.buffers, keep, watchdog, stats, stream.frames.wake
                    )
                    stack.callback(workers.close)
                if workers is None:
                    continue
                for clean in workers.put(frame) if frame is not None else ():
                    stream.deliver(clean)
                for clean in workers.finished():
                    stream.deliver(clean)
                if away is not None and frame is None and not workers.busy:
                    stream.say_offline(away)
            for clean in workers.rest() if workers is not None else ():
                stream.deliver(clean)
            failing = False
        finally:
            stream.finish(failing)
