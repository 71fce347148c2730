"""One measurement of time and memory, in a process of its own.

``python -m edgecae.bench.case`` reads a :class:`Case` as JSON from standard input and writes
:class:`Times` as JSON. So every case starts alike: nothing warmed up by another, no memory of
another in its peak, and no package's threads beside it. And any other installation of edgecae can
be measured in turn with this one, see ``python`` of :func:`run_case`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecae.bench import methods
from edgecae.errors import BackendError, EdgecaeError, SettingError
from edgecae.media.sources.scene import TestScene
from edgecae.noise import gaussian

__all__ = ["Case", "Times", "measure_case", "run_case"]

MIN_RUNS = 5
"""Frames that are measured at least, where one takes less than the time for all."""

MAX_WARM_UPS = 5
"""Frames of the warm-up, which also ends after a fifth of the time. There is always one: it plans
memory and packs weights."""

MAX_WARM_UP = 10
"""A first frame that takes more than so many times ``seconds`` is itself the measurement: caches
make little difference then, and nobody waits for another."""

DISTINCT_FRAMES = 4
"""Frames that take turns, so that no peer's cache knows the picture, and a temporal one sees it
move."""


@dataclass(frozen=True)
class Case:
    """One method on frames of one size.

    Attributes:
        method: a name of :mod:`edgecae.bench.methods`.
        width: of a frame, pixels.
        height: of a frame, pixels.
        threads: number that the method computes with.
        backend: the interpreter of models.
        sigma: σ of the noise in the frames, 0–255 scale.
        seconds: how long it may take, about. At least :data:`MIN_RUNS` frames are measured, but
            only one where a frame takes longer than that.
    """

    method: str
    width: int
    height: int
    threads: int = 1
    backend: str = "auto"
    sigma: float = 25.0
    seconds: float = 2.0


@dataclass(frozen=True)
class Times:
    """Times and memory of a case.

    Attributes:
        ms: milliseconds of each frame after the warm-up, in order.
        peak_bytes: largest resident memory of the process.
        idle_bytes: its memory before the model and the first frame were there: Python and numpy.
        made_with: name and version of the package that computed.
    """

    ms: tuple[float, ...]
    peak_bytes: int
    idle_bytes: int
    made_with: str


def _memory(key: str) -> int:
    """Read a number of bytes from /proc/self/status; 0 on systems that lack the file.

    Unlike getrusage, it counts this process alone.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(rf"^{key}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def measure_case(case: Case, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Measure one case in this process.

    Args:
        case: what to measure.
        clock: gives a time in seconds; a test has its own.

    Raises:
        EdgecaeError: the method is not there, or can't do it.
    """
    idle = _memory("VmRSS")
    method = methods.find_method(case.method, case.backend)
    scene = TestScene(case.width, case.height, frames=DISTINCT_FRAMES, noise=gaussian(case.sigma))
    frames = [frame.pixels for frame in scene]

    with method.open(case.sigma, case.threads) as stream:
        results = stream(itertools.cycle(frames))

        def timed() -> float:
            begin = clock()
            next(results)
            return clock() - begin

        began = clock()
        first = timed()
        for _ in range(MAX_WARM_UPS - 1):
            if clock() - began > case.seconds / 5:
                break
            timed()
        times = [first if first > MAX_WARM_UP * case.seconds else timed()]
        least = MIN_RUNS if times[0] < case.seconds else 1
        while len(times) < least or clock() - began + times[-1] < case.seconds:
            times.append(timed())
        peak = _memory("VmHWM")
    return Times(tuple(round(1000 * t, 4) for t in times), peak, idle, method.made_with)


def run_case(case: Case, python: str = sys.executable) -> Times:
    """Measure one case in a process of its own.

    Args:
        case: what to measure.
        python: the interpreter that runs it; another one has another edgecae.

    Raises:
        SettingError: ``python`` can't be run, or has no edgecae that can do this.
        BackendError: the process was ended from outside, or what it measured failed.
    """
    # What has threads of its own is told by these; they are read when it is imported.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(case.threads))}
    try:
        done = subprocess.run(  # noqa: S603 - the Python that the user named
            [python, "-P", "-m", "edgecae.bench.case"],
            input=json.dumps(dataclasses.asdict(case)),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise SettingError(f"{python} can't be run: {error.strerror}") from error
    try:
        answer = json.loads(done.stdout) if done.stdout else {}
        if "error" in answer:
            raise BackendError(answer["error"])
        return Times(tuple(answer.pop("ms")), **answer)
    except (ValueError, KeyError, TypeError) as error:
        why = _failure(done)
        raise BackendError(f"the process that measured {case.method} failed: {why}") from error


def _failure(done: subprocess.CompletedProcess[str]) -> str:
    """Say in one line how a process ended."""
    if done.returncode == -getattr(signal, "SIGKILL", 9):  # Windows has no such signal
        return "it was killed, for want of memory perhaps"
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return last[0]


def main() -> None:
    """Read a case from standard input, measure it, and write the times to standard output."""
    try:
        answer = dataclasses.asdict(measure_case(Case(**json.load(sys.stdin))))
    except EdgecaeError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
