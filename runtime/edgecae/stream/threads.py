"""Choose by measuring: threads inside one interpreter, or interpreters over successive frames.

Threads shorten each frame; interpreters side by side waste less, and lengthen none. Which of the
two a device is better at depends on its cores, caches and kernels, so that it is tried.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.denoiser import Denoiser
from edgecae.device import machine

__all__ = ["Choice", "best", "cores", "measure_side_by_side", "measure_threads"]

_SECONDS = 0.4
"""How long each combination is measured, after a first frame that makes the plan."""

_ALIKE = 0.9
"""A rate from this share of the highest on counts as equal to it."""


@dataclass(frozen=True)
class Choice:
    """A combination and what it came to.

    Attributes:
        threads: of each interpreter.
        interpreters: that work on successive frames.
        rate: frames a second.
        milliseconds: that one frame takes.
    """

    threads: int
    interpreters: int
    rate: float
    milliseconds: float

    def __str__(self) -> str:
        many = f" in each of {self.interpreters} interpreters" if self.interpreters > 1 else ""
        threads = f"{self.threads} thread" + ("s" if self.threads > 1 else "")
        return f"{threads}{many}: {self.rate:.1f} frames/s, {self.milliseconds:.1f} ms each"


def cores() -> int:
    """How many CPU cores this process may use, by its affinity and its control group's quota."""
    return machine.read_this_machine().cpu.usable


def combinations(count: int) -> list[tuple[int, int]]:
    """Threads and interpreters worth trying on so many cores."""
    splits = {(count, 1), (1, count), (1, 1)}
    if count >= 4:
        splits.add((count // 2, 2))
    return sorted(splits)


def measure_threads(
    make: Callable[[int], Denoiser],
    shape: tuple[int, ...],
    count: int | None = None,
    watching: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> list[Choice]:
    """Try every combination on frames of one shape.

    Args:
        make: makes a denoiser with so many threads.
        shape: of a frame.
        count: of cores; as many as there are unless given.
        watching: entered by whoever makes a denoiser or denoises a frame, while that lasts, see
            :meth:`.watchdog.Watchdog.watching`.
    """
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = []
    for threads, interpreters in combinations(count or cores()):
        with contextlib.ExitStack() as stack:
            denoisers = []
            for _ in range(interpreters):
                with watching():
                    denoisers.append(stack.enter_context(make(threads)))
            if interpreters > 1 and denoisers[0].metadata.states:
                continue  # what one frame leaves behind, the next one needs
            found.append(measure_side_by_side(denoisers, frame, threads, watching))
    return found


def measure_side_by_side(
    denoisers: Sequence[Denoiser],
    frame: NDArray[np.uint8],
    threads: int,
    watching: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> Choice:
    """Let denoisers work at the same time on one frame, for about half a second.

    Args:
        denoisers: opened, each for one thread.
        frame: H×W×3 or H×W.
        threads: of each interpreter.
        watching: see :func:`measure_threads`.
    """

    def warm_up(denoiser: Denoiser) -> None:
        with watching():
            denoiser.process(frame)

    def work(denoiser: Denoiser) -> int:
        done, out = 0, np.empty_like(frame)
        while time.monotonic() < end or not done:
            with watching():
                denoiser.process(frame, out)
            done += 1
        return done

    with ThreadPoolExecutor(len(denoisers)) as pool:
        list(pool.map(warm_up, denoisers))
        begin = time.monotonic()
        end = begin + _SECONDS
        total = sum(pool.map(work, denoisers))
        elapsed = time.monotonic() - begin
    return Choice(threads, len(denoisers), total / elapsed, 1000 * elapsed * len(denoisers) / total)


def best(
    choices: Sequence[Choice], rate: float | None = None, max_latency: float | None = None
) -> Choice:
    """The combination to use.

    Args:
        choices: from :func:`measure`.
        rate: frames a second that have to be held, where that is known: what holds it with a
            quarter to spare is good enough, and the shortest of these is best.
        max_latency: milliseconds that a frame may take.

    Returns:
        The one of the highest rate, or of about that and shorter, among those within
        ``max_latency``; the shortest of all where none is.
    """
    within = [c for c in choices if max_latency is None or c.milliseconds <= max_latency]
    if not within:
        return min(choices, key=lambda c: c.milliseconds)
    enough = [c for c in within if rate is not None and c.rate >= 1.25 * rate]
    highest = max(c.rate for c in within)
    equal = enough or [c for c in within if c.rate >= _ALIKE * highest]
    return min(equal, key=lambda c: c.milliseconds)
