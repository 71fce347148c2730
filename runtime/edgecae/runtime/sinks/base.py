"""What a sink is, and what it may want to know."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from edgecae.runtime.frame import Frame
from edgecae.runtime.sources.base import Source

__all__ = ["DEFAULT_CODEC", "FALLBACK_RATE", "Settings", "Sink"]

DEFAULT_CODEC = "auto"
"""H.264 where the container holds it, else the container's own default."""


FALLBACK_RATE = Fraction(30)
"""Frames a second of a video whose source has no rate."""


@dataclass(frozen=True)
class Settings:
    """What a sink may want to know before the first frame.

    Attributes:
        source: where the frames come from; a video's rate, timestamps and sound are its.
        overwrite: replace an existing file.
        codec: of a video, as FFmpeg names it.
    """

    source: Source
    overwrite: bool = False
    codec: str = DEFAULT_CODEC


class Sink(Protocol):
    """Something that frames go to.

    A sink is opened by making it and closed by leaving its ``with`` block, which finishes what it
    writes. What goes wrong in it is a :class:`SinkError`.
    """

    @property
    def name(self) -> str:
        """For people."""

    def write(self, frame: Frame) -> None:
        """Take one frame; its pixels may change once this returns."""

    def __enter__(self) -> Sink: ...

    def __exit__(self, *error: object) -> None: ...
