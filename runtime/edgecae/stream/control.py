"""What a viewer may see of a stream, and change in it."""

from __future__ import annotations

import time
from typing import Any

from edgecae.denoise.denoiser import Denoiser
from edgecae.media.sources import Source
from edgecae.stream.capture import offline_since
from edgecae.stream.stats import Stats

__all__ = ["StreamControl"]


class StreamControl:
    """The :class:`edgecae.media.sinks.base.Control` of one stream.

    Args:
        source: opened.
        stats: of the stream.
        denoisers: of the stream; may still grow.
        strength: to begin with, from 0 to 1; None: by the estimated noise.
    """

    def __init__(
        self, source: Source, stats: Stats, denoisers: list[Denoiser], strength: float | None = 1.0
    ) -> None:
        self.stats = stats
        self._source, self._denoisers, self._strength = source, denoisers, strength

    def adopt(self, denoiser: Denoiser) -> None:
        """Take in another denoiser."""
        denoiser.strength = self._strength
        self._denoisers.append(denoiser)

    @property
    def offline_seconds(self) -> float | None:
        """For how long a live source has been away; None while it is there."""
        since = offline_since(self._source)
        return None if since is None else time.monotonic() - since

    def snapshot(self) -> dict[str, Any]:
        """See :class:`edgecae.media.sinks.base.Control`."""
        offline = self.offline_seconds
        first = self._denoisers[0] if self._denoisers else None
        noise = first.noise if first else None
        return {
            **self.stats.figures(),
            "fps": round(self.stats.recent_rate, 2),
            "noise": None if noise is None else round(noise, 2),
            "strength": round(first.share if first else (self._strength or 0.0), 3),
            "strength_auto": self._strength is None,
            "offline_seconds": None if offline is None else round(offline, 1),
            "source": self._source.name,
            "model": first.metadata.name if first else None,
        }

    def set_strength(self, strength: float | None) -> None:
        """See :class:`edgecae.media.sinks.base.Control`."""
        for denoiser in self._denoisers:
            denoiser.strength = strength
        self._strength = strength
