"""Frames from a source, through a denoiser, to sinks: in order, none lost."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType

import numpy as np

from edgecae.runtime.denoiser import Denoiser
from edgecae.runtime.sinks import Sink
from edgecae.runtime.sources import Source

__all__ = ["Stats", "Stop", "run", "stop_on_signals"]


@dataclass
class Stop:
    """A request to end after the frame at hand.

    Attributes:
        signal: number of the signal that asked for it, if one did.
    """

    signal: int | None = None

    @property
    def requested(self) -> bool:
        """Whether somebody asked."""
        return self.signal is not None


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a :class:`Stop` while the block runs.

    Use it in the main thread. The handlers that were there come back afterwards.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Stats:
    """What a stream did.

    Attributes:
        frames: that went through.
        broken: that the source could not decode.
        seconds: from the first frame's arrival to the last one's end.
        process: milliseconds of the denoiser, one number a frame.
        latency: milliseconds from the source handing a frame out to the last sink having it.
    """

    frames: int = 0
    broken: int = 0
    seconds: float = 0.0
    process: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Frames a second, end to end."""
        return self.frames / self.seconds if self.seconds else 0.0

    def percentiles(self) -> dict[str, float]:
        """p50, p95 and p99 of ``process`` and ``latency``, in milliseconds."""
        result = {}
        for name, values in (("process", self.process), ("latency", self.latency)):
            for percent in (50, 95, 99):
                figure = float(np.percentile(values, percent)) if values else 0.0
                result[f"{name}_p{percent}_ms"] = round(figure, 3)
        return result

    def summary(self) -> str:
        """One line for people."""
        p = self.percentiles()
        return (
            f"{self.frames} frames"
            + (f", {self.broken} broken" if self.broken else "")
            + f", {self.rate:.1f} frames/s; denoising p50 {p['process_p50_ms']:.1f}, "
            f"p95 {p['process_p95_ms']:.1f}, p99 {p['process_p99_ms']:.1f} ms; "
            f"source to sink p50 {p['latency_p50_ms']:.1f}, p99 {p['latency_p99_ms']:.1f} ms"
        )


def run(
    source: Source,
    denoiser: Denoiser,
    sinks: Sequence[Sink],
    stop: Stop | None = None,
    report: Callable[[Stats], None] = lambda stats: None,
) -> Stats:
    """Denoise every frame of a source and hand it to every sink.

    Each frame is denoised in place: the source's buffer is also the result's.

    Args:
        source: opened; read to its end, or until asked to stop.
        denoiser: opened.
        sinks: opened.
        stop: looked at after each frame.
        report: told after each frame.

    Raises:
        SourceError, SinkError, BackendError, FrameError: as they come up.
    """
    stats = Stats()
    start = None
    for frame in source:
        if stop is not None and stop.requested:
            break
        start = start or frame.time
        before = time.monotonic()
        clean = replace(frame, pixels=denoiser.process(frame.pixels, out=frame.pixels))
        after = time.monotonic()
        for sink in sinks:
            sink.write(clean)
        end = time.monotonic()
        stats.frames += 1
        stats.broken = source.broken
        stats.process.append((after - before) * 1000)
        stats.latency.append((end - frame.time) * 1000)
        stats.seconds = end - start
        report(stats)
    stats.broken = source.broken
    return stats
