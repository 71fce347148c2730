"""What a stream did: counts since its start, times of its latest frames."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecae.media.sources import Source

__all__ = ["RECENT", "Stats"]

RECENT = 1024
"""Percentiles are those of so many latest frames, so that a stream may run for ever."""


def _recent() -> deque[float]:
    return deque(maxlen=RECENT)


@dataclass
class Stats:
    """Counters, each written by one thread alone and read by any.

    Attributes:
        frames_in: that the source gave.
        frames: that were denoised and handed on.
        dropped: that a newer one replaced before they were denoised.
        sink_dropped: that a slow sink did not get, over all sinks.
        stuck: whether the source never came back from a read, see :func:`.capture.closing`.
        started: when the first frame came, seconds of a monotonic clock.
        seconds: from the first frame's arrival to the last one's end.
        process: milliseconds of the denoiser, of the latest frames.
        latency: milliseconds from the source handing a frame out to the last sink having it.
        ended: when the latest frames were denoised.
        source: of the stream; asked for what it counts itself, :attr:`broken` and
            :attr:`reconnects`, since a frame that never comes has no other way to be counted.
    """

    frames_in: int = 0
    frames: int = 0
    dropped: int = 0
    sink_dropped: int = 0
    stuck: bool = False
    started: float | None = None
    seconds: float = 0.0
    process: deque[float] = field(default_factory=_recent)
    latency: deque[float] = field(default_factory=_recent)
    ended: deque[float] = field(default_factory=_recent)
    source: Source | None = field(default=None, repr=False)

    def denoised(self, milliseconds: float) -> None:
        """Count a frame that has been denoised."""
        now = time.monotonic()
        self.frames += 1
        self.process.append(milliseconds)
        self.ended.append(now)
        self.seconds = now - (self.started or now)

    @property
    def broken(self) -> int:
        """Frames that the source could not decode."""
        return self.source.broken if self.source is not None else 0

    @property
    def reconnects(self) -> int:
        """How often a live source was opened again."""
        count: int = getattr(self.source, "reconnects", 0)
        return count

    @property
    def rate(self) -> float:
        """Frames a second since the first one."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def recent_rate(self) -> float:
        """Frames a second of late; what came more than ten seconds ago does not count."""
        since = time.monotonic() - 10
        times = [t for t in list(self.ended) if t >= since]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def percentiles(self) -> dict[str, float]:
        """p50, p95 and p99 of ``process`` and ``latency``, in milliseconds."""
        result = {}
        for name, values in (("process", list(self.process)), ("latency", list(self.latency))):
            for percent in (50, 95, 99):
                figure = float(np.percentile(values, percent)) if values else 0.0
                result[f"{name}_p{percent}_ms"] = round(figure, 3)
        return result

    def figures(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "frames": self.frames,
            "frames_in": self.frames_in,
            "frames_out": self.frames,
            "dropped": self.dropped,
            "sink_dropped": self.sink_dropped,
            "broken": self.broken,
            "reconnects": self.reconnects,
            "fps": round(self.rate, 3),
            **self.percentiles(),
        }

    def summary(self) -> str:
        """One line for people."""
        p = self.percentiles()
        counts = (
            (self.dropped, "dropped"),
            (self.sink_dropped, "dropped by a sink"),
            (self.broken, "broken"),
            (self.reconnects, "reconnects"),
        )
        return (
            f"{self.frames_in} frames in, {self.frames} out"
            + "".join(f", {count} {what}" for count, what in counts if count)
            + f", {self.rate:.1f} frames/s; denoising p50 {p['process_p50_ms']:.1f}, "
            f"p95 {p['process_p95_ms']:.1f}, p99 {p['process_p99_ms']:.1f} ms; "
            f"source to sink p50 {p['latency_p50_ms']:.1f}, p95 {p['latency_p95_ms']:.1f}, "
            f"p99 {p['latency_p99_ms']:.1f} ms"
        )
