"""Make small videos for tests."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile

__all__ = ["copy_clip", "frames_of", "make_clip", "sound_of"]


def make_clip(
    path: Path,
    frames: list[NDArray[np.uint8]],
    times: list[int] | None = None,
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    sound: bool = False,
    more_sound: int = 0,
) -> Path:
    """Write frames (H×W×3) at times in units of 1/30 s, with a tone as sound if asked for.

    The tone goes on after the last frame for ``more_sound`` thirtieths of a second.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for index in range(len(frames) + more_sound):
            if index < len(frames):
                frame = av.VideoFrame.from_ndarray(frames[index], format="rgb24")
                frame.pts = times[index] if times else index
                frame.time_base = Fraction(1, 30)
                container.mux(stream.encode(frame))
            if audio is not None:
                t = np.arange(1600) + 1600 * index
                wave = (0.2 * np.sin(2 * np.pi * 440 * t / 48000)).astype(np.float32)
                tone = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
                tone.sample_rate, tone.pts, tone.time_base = 48000, int(t[0]), Fraction(1, 48000)
                container.mux(audio.encode(tone))
        for each in [s for s in (stream, audio) if s is not None]:
            container.mux(each.encode(None))
    return path


def frames_of(path: Path) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """All frames of a video as RGB, rounded to the nearest level, and their times in seconds."""
    exact = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
        return (
            [f.to_ndarray(format="rgb24", interpolation=exact) for f in decoded],
            [float(f.pts * f.time_base) for f in decoded],
        )


def sound_of(path: Path) -> list[bytes]:
    """The packets of sound, as they are in the file."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        return [bytes(p) for p in container.demux(audio=0) if p.dts is not None]


def copy_clip(
    source: Path,
    target: Path,
    codec: str = "auto",
    encoding: Encoding | None = None,
    **options: Any,
) -> int:
    """Read a video and write it, frame by frame, undenoised; return how many frames it has.

    ``options`` are those of :class:`VideoFile`.
    """
    count = 0
    with (
        VideoFile(source, **options) as video,
        VideoSink(target, video, video.rate, codec, True, encoding=encoding) as sink,
    ):
        for frame in video:
            before = frame.pixels.copy()
            sink.write(replace(frame, before=before))
            count += 1
    return count
