"""``null:``: a sink that throws frames away, to measure everything before it."""

from __future__ import annotations

from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings

__all__ = ["Null", "open_sink"]


class Null:
    """Takes every frame and keeps none."""

    needs_original = False
    wants_slates = False
    recovers = False
    name = "null:"

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`."""

    def __enter__(self) -> Null:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""


def open_sink(spec: str, settings: SinkSettings) -> Null | None:  # noqa: ARG001
    """Open ``null:``; None for any other description."""
    return Null() if spec == "null:" else None
