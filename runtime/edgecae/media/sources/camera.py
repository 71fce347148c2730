"""A camera on USB or CSI as a source: Video4Linux2, through PyAV (extra ``video``).

``0`` is ``/dev/video0``; ``/dev/v4l/by-id/…`` names a camera wherever it is plugged in.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgecae.errors import OfflineError, SourceError
from edgecae.media import containers
from edgecae.media.live_video import VideoStream, open_container, reason
from edgecae.media.sources.base import SourceSettings

__all__ = ["open_device", "open_source"]

_SPEC = re.compile(r"[0-9]{1,3}|/dev/(video[0-9]+|v4l/.+)")

_NONBLOCK = "+4"
"""FFmpeg's AVFMT_FLAG_NONBLOCK, which has no name among its options (libavformat/avformat.h).

With it, libavdevice's v4l2.c opens the device with O_NONBLOCK and says EAGAIN while there is no
frame. Without, it waits in VIDIOC_DQBUF for as long as a camera is silent.
"""


open_device = containers.open_device
"""The lowest seam, where tests put another in its place."""


def _options(settings: SourceSettings) -> dict[str, str]:
    """FFmpeg's options of v4l2 for what the user asks."""
    asked = {
        "video_size": settings.size and f"{settings.size[0]}x{settings.size[1]}",
        "framerate": settings.rate and str(settings.rate),
        "input_format": settings.pixel_format,
    }
    return {"fflags": _NONBLOCK} | {key: value for key, value in asked.items() if value}


def open_source(spec: str, settings: SourceSettings) -> VideoStream | None:
    """Open a camera; None for any other description.

    Raises:
        OfflineError: it is not there, in use, or gives nothing.
        SourceError: it is no camera, or does not do what was asked.
    """
    if not _SPEC.fullmatch(spec):
        return None
    device = f"/dev/video{int(spec)}" if spec.isdigit() else spec
    name = f"camera {device}"
    options = _options(settings)

    def refusal(error: Exception) -> SourceError | None:
        if isinstance(error, FileNotFoundError):
            return OfflineError(f"{name} is not there; is it plugged in? (ls /dev/video*)")
        if isinstance(error, PermissionError):
            return OfflineError(f"{name}: permission denied; is this user in the group video?")
        if isinstance(error, ValueError):
            asked = ", ".join(f"{k} {v}" for k, v in options.items() if k != "fflags")
            return SourceError(
                f"{name} does not give {asked or 'a picture'}: {reason(error)}; "
                f"v4l2-ctl --list-formats-ext -d {Path(device)} says what it does give"
            )
        return None

    opened = open_container(
        name, device, settings, lambda: open_device(device, options, settings.stall), refusal
    )
    return VideoStream(opened, name, settings)
