"""Standard output as a sink: ``-`` writes Y4M, ``raw:`` or ``raw:FORMAT`` frames and nothing else.

Y4M says all that a reader must know: it is what ``ffmpeg``, ``x264``, ``mpv`` and the like expect.
(YUV4MPEG2, mjpegtools' yuv4mpeg(5).)
"""

from __future__ import annotations

import sys
import time
from typing import Any, BinaryIO

from edgecae import naming
from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import FALLBACK_RATE, SinkSettings
from edgecae.media.sources.base import Source
from edgecae.media.sources.video_file import VideoFile
from edgecae.media.video.deep_pixels import layout_of
from edgecae.media.video.fitting import Fitting
from edgecae.media.video.stored import BOTTOM_FIRST, TOP_FIRST, colour_matrix, from_rgb
from edgecae.redact import redacted

__all__ = ["PipeSink", "Unbuffered", "is_pipe", "open_sink"]

log = naming.logger(__name__)

_POLL = 0.01
"""Seconds between two looks whether a pipe that does not block has room."""

_CHROMA = {"yuv420p": "420jpeg", "yuv444p": "444", "gray": "mono"}
"""Y4M's word for each pixel format that it is written in."""


_MAX_GAP = 10
"""Seconds without a frame of a live source that are filled with the last one."""


def _is_420(pixel_format: str) -> bool:
    return layout_of(pixel_format)[:2] == ("yuv", "420")


class PipeSink:
    """Writes frames to an open file as they come.

    Y4M is 4:2:0 where the source is, 4:4:4 where it is not, so that no colour is lost on the way;
    gray frames stay gray. Of a live source, frames are written at its nominal rate, in real time:
    the last one fills the gap before a late one. Neither form can change its size: frames of
    another size than the first one's are scaled to it, as FFmpeg does (``-autoscale``), in their
    own proportions, with black beside them.

    Args:
        file: for writing, binary.
        source: where the frames come from.
        raw: pixel format, as FFmpeg names it, of raw video; None: Y4M.

    Raises:
        SinkError: PyAV is not installed, or FFmpeg knows no such format.
    """

    needs_original = False
    wants_slates = False
    recovers = False
    name = "standard output"

    def __init__(self, file: BinaryIO, source: Source, raw: str | None = None) -> None:
        try:
            import av
        except ImportError as error:
            raise SinkError("a pipe needs PyAV: pip install 'edgecae[video]'") from error
        self._file = Unbuffered(file)
        self._raw = raw
        self._rate = source.rate or FALLBACK_RATE
        self._live = source.live
        self._aspect = "0:0"
        if isinstance(source, VideoFile) and source.stream.sample_aspect_ratio:
            aspect = source.stream.sample_aspect_ratio
            self._aspect = f"{aspect.numerator}:{aspect.denominator}"
        self._matrix, self._fields = "ITU601", "p"
        self._start: float | None = None
        self._written, self._last = 0, b""
        try:
            av.VideoFormat(raw or "yuv444p")
        except ValueError as error:
            raise SinkError(
                f"sink {redacted(f'raw:{raw}')!r}: there is no such pixel format"
            ) from error
        self._fitting: Fitting | None = None
        self._form = raw or ""
        self._begun = False  # whether anything was written

    def _format(self, frame: Frame) -> str:
        if frame.pixels.ndim == 2:
            return "gray"
        even = not any(side % 2 for side in frame.pixels.shape[:2])
        subsampled = frame.stored is not None and _is_420(frame.stored.pixel_format)
        return "yuv420p" if subsampled and even else "yuv444p"

    def _begin(self, frame: Frame) -> Fitting:
        """Choose, by the first frame, what all of them have."""
        self._fitting = Fitting(self.name, (frame.pixels.shape[0], frame.pixels.shape[1]))
        self._form = self._raw or self._format(frame)
        stored = frame.stored
        if stored is not None:
            self._matrix = colour_matrix(stored.matrix)
            self._fields = {TOP_FIRST: "t", BOTTOM_FIRST: "b"}.get(stored.field_order or "", "p")
            if stored.picture is not None:
                log.warning("%s: %s becomes %s", self.name, stored.pixel_format, self._form)
        return self._fitting

    def _pace(self, frame: Frame) -> int:
        """How often to write the last frame again before this one; −1: leave this one out.

        Neither form has timestamps: a frame stands for a moment by its number.
        """
        if not self._live or frame.pts is None or frame.time_base is None:
            return 0
        now = float(frame.pts * frame.time_base)
        if self._start is None:
            self._start = now
        late = (now - self._start) * float(self._rate) - self._written
        if late > _MAX_GAP * self._rate:
            log.warning("%s: a gap of %.0f s is left out", self.name, late / float(self._rate))
            self._start = now - self._written / float(self._rate)
            return 0
        # A frame that comes a little early or late keeps its place.
        return -1 if late <= -1 else max(0, int(late))

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: nobody reads any more.
        """
        head = b"" if self._raw else b"FRAME\n"
        fitting = self._fitting or self._begin(frame)
        again = self._pace(frame)
        if again < 0:
            return
        if not self._raw and not self._begun:
            rate = self._rate.limit_denominator(65535)
            tall, wide = fitting.size
            head = (
                f"YUV4MPEG2 W{wide} H{tall} F{rate.numerator}:{rate.denominator} "
                f"I{self._fields} A{self._aspect} C{_CHROMA[self._form]} "
                f"XCOLORRANGE=LIMITED\nFRAME\n"
            ).encode()
        pixels = fitting.fit(frame.pixels)
        form = self._form
        full, interlaced = form.startswith("yuvj"), self._fields != "p"
        try:
            picture = from_rgb(pixels, form, self._matrix, full, interlaced)
            content = picture.to_ndarray().tobytes()
            self._begun = True
            for _ in range(again):
                self._file.write(self._last)
            self._file.write(head + content)
            self._written += again + 1
            self._last = content if self._raw else b"FRAME\n" + content
        except ValueError as error:
            raise SinkError(f"{self.name} can't be written as {form}: {error}") from error
        except OSError as error:
            raise SinkError(f"{self.name} can't be written: {error.strerror}") from error

    def __enter__(self) -> PipeSink:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held back."""


class Unbuffered:
    """Standard output without a buffer: a thread that waits in one keeps Python from its end.

    Args:
        file: for writing, binary.
    """

    def __init__(self, file: BinaryIO) -> None:
        file.flush()
        self._file: Any = getattr(file, "raw", file)

    def write(self, content: bytes) -> int:
        """Write all of it; return its length.

        Raises:
            OSError: nobody reads any more.
        """
        left = memoryview(content)
        while left:
            written = self._file.write(left)
            if written is None:  # a pipe that another process made non-blocking is full
                time.sleep(_POLL)
            else:
                left = left[written:]
        return len(content)


def is_pipe(spec: str) -> bool:
    """Whether a description means standard output."""
    return spec == "-" or spec.startswith(("raw:", "mpegts:"))


def open_sink(spec: str, settings: SinkSettings) -> PipeSink | None:
    """Open standard output; None for any other description."""
    if not is_pipe(spec) or spec.startswith("mpegts:"):  # see .mpegts
        return None
    raw = None if spec == "-" else spec.removeprefix("raw:") or "rgb24"
    return PipeSink(sys.stdout.buffer, settings.source, raw)
