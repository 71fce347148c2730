"""Sinks of frames, and the registry that finds the one for a description.

===================  =======================================================
``null:``            throws frames away
a folder             one PNG a frame (a path that ends in / or has no suffix)
any other path       video, through PyAV; the suffix says which container
===================  =======================================================

To add one, write its module and enter its opener in ``OPENERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from edgecae.errors import SinkError
from edgecae.runtime.frame import Frame
from edgecae.runtime.sinks import image_folder, null, video_file
from edgecae.runtime.sources import Source

__all__ = ["OPENERS", "Settings", "Sink", "open_sink"]


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
    codec: str = video_file.DEFAULT_CODEC


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


OPENERS: tuple[Callable[[str, Settings], Sink | None], ...] = (
    null.open_sink,
    image_folder.open_sink,
    video_file.open_sink,
)
"""Tried in this order; each returns None for a description that is not its own."""


def open_sink(spec: str, settings: Settings) -> Sink:
    """Open the sink of a description.

    Raises:
        SinkError: nothing of that description can be written.
    """
    for opener in OPENERS:
        sink = opener(spec, settings)
        if sink is not None:
            return sink
    raise SinkError(f"sink {spec!r}: there is no such sink")
