"""Standard output as a sink: ``-`` writes Y4M, ``raw:`` or ``raw:FORMAT`` frames and nothing else.

Y4M says all that a reader must know: it is what ``ffmpeg``, ``x264``, ``mpv`` and the like expect.
(YUV4MPEG2, mjpegtools' yuv4mpeg(5).)
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import FALLBACK_RATE, SinkSettings
from edgecae.media.sources.base import Source
from edgecae.media.sources.video_file import VideoFile
from edgecae.media.video.deep_pixels import layout_of
from edgecae.media.video.stored import BOTTOM_FIRST, TOP_FIRST, colour_matrix, from_rgb
from edgecae.redact import redacted

__all__ = ["PipeSink", "is_pipe", "open_sink"]

log = logging.getLogger(__name__)

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
        self._av: Any = av
        file.flush()
        # Unbuffered: a thread that waits for a reader inside a buffer keeps Python from its end.
        self._file = getattr(file, "raw", file)
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
        self._size: tuple[int, int] | None = None
        self._form = raw or ""
        self._begun = False  # whether anything was written
        self._said = False

    def _format(self, frame: Frame) -> str:
        if frame.pixels.ndim == 2:
            return "gray"
        even = not any(side % 2 for side in frame.pixels.shape[:2])
        subsampled = frame.stored is not None and _is_420(frame.stored.pixel_format)
        return "yuv420p" if subsampled and even else "yuv444p"

    def _begin(self, frame: Frame) -> None:
        """Choose, by the first frame, what all of them have."""
        self._size = frame.pixels.shape[0], frame.pixels.shape[1]
        self._form = self._raw or self._format(frame)
        stored = frame.stored
        if stored is not None:
            self._matrix = colour_matrix(stored.matrix)
            self._fields = {TOP_FIRST: "t", BOTTOM_FIRST: "b"}.get(stored.field_order or "", "p")
            if stored.picture is not None:
                log.warning("%s: %s becomes %s", self.name, stored.pixel_format, self._form)

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

    def _picture(self, pixels: NDArray[np.uint8]) -> Any:
        kind = "gray" if pixels.ndim == 2 else "rgb24"
        return self._av.VideoFrame.from_ndarray(pixels, format=kind)

    def _say_scaled(self, from_size: str) -> None:
        """Once: pictures of a folder may each have a size of their own."""
        if not self._said and self._size is not None:
            self._said = True
            log.warning(
                "%s: a frame of %s is scaled to %d×%d, and so will be all others: a pipe keeps the "
                "size that it began with; start anew for another, or write to a file",
                *(self.name, from_size, self._size[1], self._size[0]),
            )

    def _fitted(self, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture as large as it fits in, in the middle of a black one of ``size``."""
        scale = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
        height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        fitted = np.zeros((*size, *pixels.shape[2:]), np.uint8)
        fitted[top : top + height, left : left + width] = (
            self._picture(pixels).reformat(width=width, height=height).to_ndarray()
        )
        return fitted

    def _put(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            written = self._file.write(left)
            if written is None:  # a pipe that another process made non-blocking is full
                time.sleep(_POLL)
            else:
                left = left[written:]

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: nobody reads any more.
        """
        height, width = frame.pixels.shape[:2]
        head = b"" if self._raw else b"FRAME\n"
        if self._size is None:
            self._begin(frame)
        assert self._size is not None
        again = self._pace(frame)
        if again < 0:
            return
        if not self._raw and not self._begun:
            rate = self._rate.limit_denominator(65535)
            head = (
                f"YUV4MPEG2 W{self._size[1]} H{self._size[0]} F{rate.numerator}:{rate.denominator} "
                f"I{self._fields} A{self._aspect} C{_CHROMA[self._form]} "
                f"XCOLORRANGE=LIMITED\nFRAME\n"
            ).encode()
        pixels = frame.pixels
        if (height, width) != self._size:
            self._say_scaled(f"{width}×{height}")
            pixels = self._fitted(pixels, self._size)
        form = self._form
        full, interlaced = form.startswith("yuvj"), self._fields != "p"
        try:
            picture = from_rgb(pixels, form, self._matrix, full, interlaced)
            content = picture.to_ndarray().tobytes()
            self._begun = True
            for _ in range(again):
                self._put(self._last)
            self._put(head + content)
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


def is_pipe(spec: str) -> bool:
    """Whether a description means standard output."""
    return spec == "-" or spec.startswith("raw:")


def open_sink(spec: str, settings: SinkSettings) -> PipeSink | None:
    """Open standard output; None for any other description."""
    if not is_pipe(spec):
        return None
    raw = None if spec == "-" else spec.removeprefix("raw:") or "rgb24"
    return PipeSink(sys.stdout.buffer, settings.source, raw)
