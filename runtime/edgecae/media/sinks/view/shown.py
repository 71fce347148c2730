"""What a view has of one stream: its pictures, its figures, and who looks."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from edgecae.media.sinks.base import Control
from edgecae.media.sinks.view.pictures import Feed

__all__ = ["STATUS_AGE", "Shown"]

STATUS_AGE = 0.25
"""Seconds that figures are good for: they cost the stream some work."""


class Shown:
    """One stream in a view.

    Args:
        feed: its pictures.
        control: of the stream; None: there is nothing to say of it or to set.

    Attributes:
        viewers: connections of those who look at this stream alone.
    """

    def __init__(self, feed: Feed, control: Control | None) -> None:
        self.feed, self.control = feed, control
        self.viewers: set[asyncio.BaseTransport] = set()
        self._status: tuple[float, dict[str, Any]] = (-math.inf, {})

    def figures(self) -> tuple[float, dict[str, Any]]:
        """When they were taken, and the figures."""
        now = time.monotonic()
        if now - self._status[0] > STATUS_AGE:
            snapshot = {} if self.control is None else dict(self.control.snapshot())
            self._status = (now, snapshot)
        return self._status

    def forget(self) -> None:
        """Take the figures anew: something was changed."""
        self._status = (-math.inf, {})
