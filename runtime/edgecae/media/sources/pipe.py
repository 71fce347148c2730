"""Standard input as a source of frames: any container that FFmpeg can read on the go, or raw video.

``-``
    Y4M, Matroska, MPEG-TS, … whatever the first bytes say.
``raw:640x480:rgb24@30``
    Frames one after the other with nothing between them; the pixel format is FFmpeg's name for it,
    ``rgb24`` if left out, and the rate 30.

Whoever writes into the pipe may be a stranger: a size is looked at before memory is taken for it.
"""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from edgecae.errors import SourceError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import MAX_PIXELS, check_size
from edgecae.media.sources.base import SourceSettings, refuse_camera_options
from edgecae.media.sources.video_file import VideoFile
from edgecae.redact import redacted

__all__ = ["NAME", "open_source", "read_container", "read_raw"]

NAME = Path("standard input")
MAX_RATE = 10_000
"""Frames a second."""

_RAW = re.compile(
    r"raw:(?P<width>[0-9]{1,5})x(?P<height>[0-9]{1,5})"
    r"(:(?P<format>[a-z0-9_]{1,32}))?(@(?P<rate>[0-9./]{1,32}))?"
)


def _rate(spec: str, text: str) -> str:
    try:
        if 0 < Fraction(text) <= MAX_RATE:
            return text
    except (ValueError, ZeroDivisionError):
        pass
    raise SourceError(f"source {spec!r}: {text} is no rate; 30 or 30000/1001 is, up to {MAX_RATE}")


def read_raw(
    spec: str, pipe: BinaryIO, buffers: Buffers | None = None, max_pixels: int = MAX_PIXELS
) -> VideoFile:
    """Read raw video from an open file.

    Raises:
        SourceError: the description does not parse or is out of range, or FFmpeg knows no such
            format.
    """
    match = _RAW.fullmatch(spec)
    if match is None:
        raise SourceError(
            f"source {redacted(spec)!r}: raw video is described as raw:640x480:rgb24@30"
        )
    check_size(f"source {spec!r}", int(match["width"]), int(match["height"]), max_pixels)
    options = {
        "video_size": f"{match['width']}x{match['height']}",
        "pixel_format": match["format"] or "rgb24",
        "framerate": _rate(spec, match["rate"] or "30"),
    }
    return VideoFile(NAME, pipe, "rawvideo", options, buffers, max_pixels)


def _standard_input() -> BinaryIO:
    """Standard input without Python's buffer.

    A thread that waits in that buffer's ``read`` holds its lock, on which the interpreter aborts
    when it ends.
    """
    buffer: Any = sys.stdin.buffer
    raw: BinaryIO = buffer.raw
    return raw


def read_container(
    pipe: BinaryIO, buffers: Buffers | None = None, max_pixels: int = MAX_PIXELS
) -> VideoFile:
    """Read video that says itself what it is from an open file.

    Raises:
        SourceError: it is no video, or one with frames too large.
    """
    return VideoFile(NAME, pipe, buffers=buffers, max_pixels=max_pixels)


def open_source(spec: str, settings: SourceSettings) -> VideoFile | None:
    """Open standard input; None for any other description."""
    if spec == "-":
        refuse_camera_options("standard input", settings)
        return read_container(_standard_input(), settings.buffers, settings.max_pixels)
    if spec.startswith("raw:"):
        refuse_camera_options("raw: (which says size, format and rate itself)", settings)
        return read_raw(spec, _standard_input(), settings.buffers, settings.max_pixels)
    return None
