"""Latency of a frame, and the memory that it needs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecae.bench import case as cases
from edgecae.bench.case import Case, Times
from edgecae.errors import BackendError

__all__ = ["SIZES", "Latency", "case_key", "case_label", "measure_latencies", "summarize"]

SIZES: tuple[tuple[int, int], ...] = (
    (320, 240),
    (640, 480),
    (1280, 720),
    (1920, 1080),
    (3840, 2160),
)
"""QVGA, VGA, 720p, 1080p and 4K."""


@dataclass(frozen=True)
class Latency:
    """The latency of a case over all its rounds.

    Attributes:
        method: a name of :mod:`edgecae.bench.methods`.
        width: of a frame, pixels.
        height: of a frame, pixels.
        threads: number that the method computed with.
        made_with: name and version of the package that computed.
        runs: frames measured, of all rounds.
        median_ms: median time of a frame, milliseconds.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile; of fewer than 100 runs it is little less than the slowest.
        rounds: medians of the rounds, each in a process of its own: how far they lie apart is how
            far the figure can be trusted.
        peak_bytes: largest resident memory of a process that does nothing else.
        idle_bytes: its memory before the model and the first frame were there.
    """

    method: str
    width: int
    height: int
    threads: int
    made_with: str
    runs: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    rounds: tuple[float, ...]
    peak_bytes: int
    idle_bytes: int

    @property
    def fps(self) -> float:
        """Frames a second, one after the other."""
        return 1000 / self.median_ms

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes and ``fps``, for JSON."""
        return {**dataclasses.asdict(self), "fps": round(self.fps, 2)}


def case_key(latency: Latency) -> tuple[str, int, int, int, str]:
    """Return what two measurements must share to be compared: method, size, threads, package."""
    package = latency.made_with.split(" ")[0]
    return latency.method, latency.width, latency.height, latency.threads, package


def case_label(case: Case | Latency) -> str:
    """Describe a case for people."""
    threads = f"{case.threads} thread{'s' * (case.threads > 1)}"
    return f"{case.method} at {case.width}x{case.height}, {threads}"


def summarize(case: Case, rounds: Sequence[Times]) -> Latency:
    """Put the rounds of a case together."""
    every = np.concatenate([np.asarray(each.ms) for each in rounds])
    median, p95, p99 = (round(float(v), 4) for v in np.percentile(every, (50, 95, 99)))
    return Latency(
        method=case.method,
        width=case.width,
        height=case.height,
        threads=case.threads,
        made_with=rounds[0].made_with,
        runs=len(every),
        median_ms=median,
        p95_ms=p95,
        p99_ms=p99,
        rounds=tuple(round(statistics.median(each.ms), 4) for each in rounds),
        peak_bytes=max(each.peak_bytes for each in rounds),
        idle_bytes=max(each.idle_bytes for each in rounds),
    )


def measure_latencies(
    every: Sequence[Case],
    rounds: int,
    pythons: Sequence[str],
    tell: Callable[[str], None] = lambda text: None,
    run: Callable[[Case, str], Times] = cases.run_case,
) -> tuple[list[list[Latency | None]], dict[str, str]]:
    """Measure cases in turn, round after round, so that whatever else the machine does meets all.

    Args:
        every: the cases.
        rounds: how often each is measured, each time in a new process.
        pythons: Python interpreters with an edgecae, measured in turn.
        tell: is called with a line about what is measured.
        run: see :func:`edgecae.bench.case.run`.

    Returns:
        For each of ``pythons`` a latency a case, None where it failed; and what failed, and why.

    Raises:
        SettingError: one of ``pythons`` can't be run.
    """
    times: dict[tuple[int, Case], list[Times]] = {}
    failed: dict[str, str] = {}
    # By place: the two may be one and the same Python, to see how much is noise.
    turns = [
        (which, case) for _ in range(rounds) for case in every for which in range(len(pythons))
    ]
    for number, (which, case) in enumerate(turns):
        name = f"{case_label(case)}, {pythons[which]}" if which else case_label(case)
        if name in failed:
            continue
        tell(f"{number + 1} of {len(turns)}: {name}")
        try:
            times.setdefault((which, case), []).append(run(case, pythons[which]))
        except BackendError as error:
            failed[name] = str(error)
            times.pop((which, case), None)

    def latency(which: int, case: Case) -> Latency | None:
        of_case = times.get((which, case))
        return summarize(case, of_case) if of_case else None

    return [[latency(which, case) for case in every] for which in range(len(pythons))], failed
