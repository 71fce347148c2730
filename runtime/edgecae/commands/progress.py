"""A status line on a terminal's standard error, and what a signal makes of the exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec

from edgecae.commands.terminal import printable
from edgecae.stream import Stats, Stop
from edgecae.stream.batch_progress import BatchProgress

__all__ = ["STOPPED", "Files", "each_second", "exit_status", "line", "of_video"]

INTERRUPTED = 130
STOPPED = 1
"""For SIGTERM where work was left undone."""

_Arguments = ParamSpec("_Arguments")

_COLUMNS = 80
_PERIOD = 0.25
"""Seconds between two updates."""


@contextlib.contextmanager
def line() -> Iterator[Callable[[Callable[[], str]], None]]:
    """Show a line that overwrites itself; nothing at all where standard error is no terminal.

    Yields what shows a line. It is given a function that makes the line, and calls it when one is
    due, which is seldom beside the frames of a stream.
    """
    shown = 0.0
    terminal = sys.stderr.isatty()

    def show(text: Callable[[], str]) -> None:
        nonlocal shown
        now = time.monotonic()
        if terminal and now - shown >= _PERIOD:
            shown = now
            # A line that wraps can't overwrite itself. A terminal of no width does not know it.
            fits = _columns() - 1
            sys.stderr.write(f"\r\x1b[K{printable(text(), one_line=True)[:fits]}")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if terminal and shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def each_second(action: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Do something once a second at most, however often the result is called, and not at once."""
    done = time.monotonic()

    def due(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
        nonlocal done
        if time.monotonic() - done >= 1.0:
            done = time.monotonic()
            action(*arguments, **named)

    return due


class Files:
    """The part of the line that says how far a batch of several files is.

    Args:
        show: what :func:`line` yields.
        total: number of files.

    Attributes:
        line: what stands before the figures of a video; empty where there is one file.
    """

    def __init__(self, show: Callable[[Callable[[], str]], None], total: int) -> None:
        self._show, self._total = show, total
        self.line = ""

    def tell(self, progress: BatchProgress) -> None:
        """Show how far the batch is."""
        if self._total > 1:
            self.line = f"{progress.summary()}  "
            self._show(progress.summary)


def of_video(stats: Stats) -> str:
    """How far a video is: frames, share, rate and time left, as far as its length is known."""
    skipped: int = getattr(stats.source, "skipped", 0)
    done, total = skipped + stats.frames, getattr(stats.source, "expected_frames", None)
    rate = f"{stats.recent_rate or stats.rate:.1f} frames/s"
    if not total:
        return f"{done} frames, {rate}"
    total = max(total, done)
    left = ""
    if stats.rate:
        minutes, seconds = divmod(round((total - done) / (stats.recent_rate or stats.rate)), 60)
        left = f", {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
    return f"{done} of {total} frames, {100 * done // total} %, {rate}{left}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except OSError:  # the terminal has gone
        return _COLUMNS


def exit_status(stop: Stop) -> int:
    """Exit status after a clean end: 130 if it was SIGINT that asked for it, else 0."""
    return INTERRUPTED if stop.signal == signal.SIGINT else 0
