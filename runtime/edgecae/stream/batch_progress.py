"""How far a batch is, and how long the rest may take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BatchClock", "BatchProgress"]

_BAR = 20
"""Characters of the bar."""


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        finished: files that are done, were there already, or failed.
        total: all files.
        share: of the work that is finished, 0 to 1, by the bytes of the files.
        seconds_left: estimated from the files so far; None before the first one.
    """

    finished: int
    total: int
    share: float
    seconds_left: float | None

    def summary(self) -> str:
        """A bar, the count and the time left, in one line."""
        full = round(_BAR * self.share)
        line = f"[{'#' * full}{'-' * (_BAR - full)}] {self.finished} of {self.total} files"
        if self.seconds_left is None:
            return line
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
        return f"{line}, {left} left"


class BatchClock:
    """Estimates the time left by the bytes of the files, which differ more than they do in cost.

    Args:
        sources: files in the order in which they are worked on.
    """

    def __init__(self, sources: Sequence[Path]) -> None:
        self._sizes = [_size(path) for path in sources]
        self._all = sum(self._sizes)
        self._finished = self._passed = self._worked = 0
        self._seconds = 0.0
        self._since = time.monotonic()

    def next(self, worked: bool) -> None:
        """One more file is finished; ``worked``: it was not there already."""
        now = time.monotonic()
        size = self._sizes[self._finished]
        self._finished += 1
        self._passed += size
        if worked:
            self._worked += size
            self._seconds += now - self._since
        self._since = now

    def progress(self) -> BatchProgress:
        """How far it is now."""
        left = None
        if self._worked:
            left = self._seconds / self._worked * (self._all - self._passed)
        return BatchProgress(
            self._finished, len(self._sizes), self._passed / max(1, self._all), left
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
