"""One measurement of time and memory, in a process of its own.

``python -m edgecae.bench.case`` reads a :class:`Case` as JSON from standard input and writes
:class:`Times` as JSON. So every case starts alike: nothing warmed up by another, no memory of
another in its peak, and no package's threads beside it. And any other installation of edgecae can
be measured in turn with this one, see ``python`` of :func:`run`.
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

__all__ = ["Case", "Times", "measure", "run"]

LEAST_RUNS = 5
WARM_UPS = 5
"""Frames at most; or a fifth of the time, but always one: it plans memory and packs weights."""

SLOW = 10
"""A first frame that takes so many times ``seconds`` is measured: warm or not makes no odds."""

FRAMES = 4
"""That take turns, so that no peer's cache knows the picture, and a temporal one sees it move."""


@dataclass(frozen=True)
class Case:
    """What to measure.

    Attributes:
        method: see :mod:`edgecae.bench.methods`.
        width: of a frame, pixels.
        height: likewise.
        threads: of what computes.
        backend: the interpreter of models.
        sigma: of the noise in the frames, 0–255 scale.
        seconds: that it may take, about; at least :data:`LEAST_RUNS` frames are measured, but only
            one where a frame takes longer than that.
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
    """What came out.

    Attributes:
        ms: of each frame after the warm-up, in order.
        peak_bytes: largest resident memory of the process.
        idle_bytes: that it had before the first frame and the model were there: Python and numpy.
        made_with: package and version of what computed.
    """

    ms: tuple[float, ...]
    peak_bytes: int
    idle_bytes: int
    made_with: str


def _memory(key: str) -> int:
    """Bytes, by a key of /proc/self/status; 0 on systems other than Linux, which lack the file.

    Unlike getrusage, the file's figures begin anew with a program.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(rf"^{key}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def measure(case: Case, clock: Callable[[], float] = time.perf_counter) -> Times:
    """Measure in this process.

    Raises:
        EdgecaeError: the method is not there, or can't do it.
    """
    idle = _memory("VmRSS")
    method = methods.find(case.method, case.backend)
    scene = TestScene(case.width, case.height, frames=FRAMES, noise=gaussian(case.sigma))
    frames = [frame.pixels for frame in scene]

    with method.open(case.sigma, case.threads) as stream:
        results = stream(itertools.cycle(frames))

        def timed() -> float:
            begin = clock()
            next(results)
            return clock() - begin

        began = clock()
        first = timed()
        for _ in range(WARM_UPS - 1):
            if clock() - began > case.seconds / 5:
                break
            timed()
        times = [first if first > SLOW * case.seconds else timed()]
        least = LEAST_RUNS if times[0] < case.seconds else 1
        while len(times) < least or clock() - began + times[-1] < case.seconds:
            times.append(timed())
        peak = _memory("VmHWM")
    return Times(tuple(round(1000 * t, 4) for t in times), peak, idle, method.made_with)


def run(case: Case, python: str = sys.executable) -> Times:
    """Measure in a process of its own.

    Args:
        case: what.
        python: that runs it; another one has another edgecae.

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
        why = _end(done)
        raise BackendError(f"the process that measured {case.method} failed: {why}") from error


def _end(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == -getattr(signal, "SIGKILL", 9):  # Windows has no such signal
        return "it was killed, for want of memory perhaps"
    last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return last[0]


def main() -> None:
    """What the module does as a program."""
    try:
        answer = dataclasses.asdict(measure(Case(**json.load(sys.stdin))))
    except EdgecaeError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
