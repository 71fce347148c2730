"""Whether the device holds the rate of a live source; if not, says so once, and what would."""

from __future__ import annotations

import time
from collections import deque

from edgecae import models
from edgecae.media.sources import Source
from edgecae.stream.capture import offline_since
from edgecae.stream.stats import Stats

__all__ = ["Overload", "faster_model"]

_SECONDS = 5.0
"""How long it is watched before it is judged."""

_SETTLING = 2.0
"""Seconds that are not watched at the begin: a server hands on at once what it has kept."""

_TOLERATED = 0.1
"""Share of frames that may be dropped without a word."""


def faster_model(name: str, rate: float, wanted: float) -> tuple[str, float] | None:
    """The best shipped model that would hold a rate where another one does not.

    Args:
        name: of the model in use.
        rate: frames a second that it holds.
        wanted: frames a second.

    Returns:
        Its name and about what it would hold, by the times that the models took side by side
        (:func:`edgecae.models.figures`); None where there is none, or the model in use is not
        shipped. The slowest that would do counts as the best.
    """
    measured = models.figures()["milliseconds"]
    # The reference is slower than any of the others, and worse.
    alike = models.video_names() if name in models.video_names() else models.still_names()
    times = {m: measured[m]["1"] for m in alike if m in measured and m != "classic"}
    if name not in times:
        return None
    found = [
        (time_, other, rate * times[name] / time_)
        for other, time_ in times.items()
        if rate * times[name] / time_ >= wanted
    ]
    return max(found)[1:] if found else None


class Overload:
    """Watches the frames that a live source loses.

    Args:
        source: opened.
        stats: of the stream.
        model: name of the model in use.
    """

    def __init__(self, source: Source, stats: Stats, model: str) -> None:
        self._source, self._stats, self.model = source, stats, model
        self._said = not source.live
        self._past: deque[tuple[float, int, int]] = deque()
        self._begun: float | None = None

    def notice(self) -> str | None:
        """What to say now, if anything."""
        now = time.monotonic()
        if self._said or offline_since(self._source) is not None or not self._stats.frames_in:
            self._past.clear()
            self._begun = None
            return None
        self._begun = self._begun or now
        if now - self._begun < _SETTLING:
            return None
        self._past.append((now, self._stats.frames_in, self._stats.dropped))
        since, frames, dropped = self._past[0]
        if now - since < _SECONDS:
            return None
        while self._past[0][0] < now - _SECONDS:
            self._past.popleft()
        came, lost = self._stats.frames_in - frames, self._stats.dropped - dropped
        if lost <= _TOLERATED * came:
            return None
        self._said = True
        offered, held = came / (now - since), self._stats.recent_rate
        better = faster_model(self.model, held, offered)
        advice = (
            f"{better[0]} would hold about {better[1]:.0f}"
            if better
            else "no shipped model would hold them; a smaller picture or --threads auto may help"
        )
        return (
            f"this device holds {held:.1f} of {offered:.1f} frames/s with {self.model}, older "
            f"frames are dropped; {advice}"
        )
