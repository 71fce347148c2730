"""Standard input as a source of frames: any container that FFmpeg can read on the go, or raw video.

``-``
    Y4M, Matroska, MPEG-TS, … whatever the first bytes say.
``raw:640x480:rgb24@30``
    Frames one after the other with nothing between them; the pixel format is FFmpeg's name for it,
    ``rgb24`` if left out, and the rate 30.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

from edgecae.errors import SourceError
from edgecae.runtime.buffers import Buffers
from edgecae.runtime.sources.base import Settings
from edgecae.runtime.sources.video_file import VideoFile

__all__ = ["NAME", "open_source", "read_raw"]

NAME = Path("standard input")
_RAW = re.compile(r"raw:(?P<size>[0-9]{1,5}x[0-9]{1,5})(:(?P<format>\w+))?(@(?P<rate>[0-9./]+))?")


def read_raw(spec: str, pipe: BinaryIO, buffers: Buffers | None = None) -> VideoFile:
    """Read raw video from an open file.

    Raises:
        SourceError: the description does not parse, or FFmpeg knows no such format.
    """
    match = _RAW.fullmatch(spec)
    if match is None:
        raise SourceError(f"source {spec!r}: raw video is described as raw:640x480:rgb24@30")
    options = {
        "video_size": match["size"],
        "pixel_format": match["format"] or "rgb24",
        "framerate": match["rate"] or "30",
    }
    return VideoFile(NAME, pipe, "rawvideo", options, buffers)


def _standard_input() -> BinaryIO:
    """Standard input without Python's buffer.

    A thread that waits in that buffer's ``read`` holds its lock, on which the interpreter aborts
    when it ends.
    """
    buffer: Any = sys.stdin.buffer
    raw: BinaryIO = buffer.raw
    return raw


def open_source(spec: str, settings: Settings) -> VideoFile | None:
    """Open standard input; None for any other description."""
    if spec == "-":
        return VideoFile(NAME, _standard_input(), buffers=settings.buffers)
    if spec.startswith("raw:"):
        return read_raw(spec, _standard_input(), settings.buffers)
    return None
