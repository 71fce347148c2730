"""The part of a video that an interrupted run left: what of it can be used, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgecae import atomic
from edgecae.media import containers
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.video.timestamps import PacketTimes

__all__ = ["Part", "part_name"]

_PLAIN = {
    "h264": "h264_mp4toannexb,filter_units=remove_types=7-8",
    "hevc": "hevc_mp4toannexb,filter_units=remove_types=32-34",
}
"""Filters that make packets of a file what an encoder gives; the encoder that goes on has the same
parameter sets, which stand in the header."""


MAX_NAME = 255
"""Bytes that a file system takes for a name."""


def part_name(target: Path) -> Path:
    """Where the part of a target stands."""
    named = target.with_name(f".{target.stem}.part{target.suffix}")
    if len(named.name.encode()) <= MAX_NAME:
        return named
    digest = hashlib.sha256(target.stem.encode()).hexdigest()[:16]
    return target.with_name(f".{target.stem[: atomic.MAX_STEM]}.{digest}.part{target.suffix}")


class Part:
    """The frames of a video whose writing was interrupted.

    Args:
        path: of the part.
        frames: how many it has, where it was finished in order; None: only what comes before its
            last key frame is whole.

    Attributes:
        count: frames that can be used, the first ones of the video; 0: it is of no use.
    """

    def __init__(self, path: Path, frames: int | None = None) -> None:
        import av

        self._path = path
        self.count = 0
        self.layout: tuple[str, int, int, str | None] = ("", 0, 0, None)
        try:
            with path.open("rb") as file, containers.open_file(file, MAX_PIXELS) as container:
                context = container.streams.video[0].codec_context
                name = context.codec.canonical_name
                self.layout = (name, context.width, context.height, context.pix_fmt)
                total = 0
                for packet in container.demux(video=0):
                    if packet.size:
                        self.count = total if packet.is_keyframe else self.count
                        total += 1
                self.count = total if total == frames else self.count
        except (av.FFmpegError, OSError, ValueError, IndexError):
            self.count = 0

    def fits(self, stream: Any) -> bool:
        """Whether a stream of an output can go on with it: codec, size, pixel format."""
        context = stream.codec_context
        name = context.codec.canonical_name
        return self.layout == (name, stream.width, stream.height, stream.pix_fmt)

    def packets(self, stream: Any, start: Fraction) -> Iterator[Any]:
        """Give its packets, one for each of the ``count`` frames, as an encoder would.

        Args:
            stream: PyAV's, of the output.
            start: when the first frame is shown, seconds.

        Raises:
            av.FFmpegError, OSError, ValueError: it can't be read any more.
        """
        import av

        with self._path.open("rb") as file, containers.open_file(file, MAX_PIXELS) as container:
            source = container.streams.video[0]
            description = _PLAIN.get(source.codec_context.codec.canonical_name)
            plain = (
                av.BitStreamFilterContext(description, in_stream=source) if description else None
            )
            times = PacketTimes(source.time_base, 1 / (source.average_rate or Fraction(25)))
            shift: int | None = None
            count = 0
            for packet in container.demux(source):
                if not packet.size or count == self.count:
                    continue
                count += 1
                pts, dts = times.next(packet.pts, packet.dts, packet.duration, True)
                if shift is None:  # containers move all times where sound begins before zero
                    shift = round(start / source.time_base) - pts
                duration, key = packet.duration, packet.is_keyframe
                for each in plain.filter(packet) if plain is not None else [packet]:
                    copy = av.Packet(bytes(each))
                    copy.time_base, copy.is_keyframe, copy.duration = (
                        source.time_base,
                        key,
                        duration,
                    )
                    copy.pts, copy.dts = pts + shift, dts + shift
                    copy.stream = stream
                    yield copy
