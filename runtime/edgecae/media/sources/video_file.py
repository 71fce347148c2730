"""A video file as a source of frames, through PyAV (extra ``video``).

The boundary where whatever PyAV raises while reading becomes a :class:`SourceError`.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SourceError
from edgecae.media import containers
from edgecae.media.buffers import Buffers
from edgecae.media.file_reader import FileReader
from edgecae.media.frame import MAX_PIXELS, Frame, check_size
from edgecae.media.sources.base import SourceSettings

__all__ = ["DecodeErrors", "VideoFile", "colour_matrix", "open_source", "to_rgb"]

log = logging.getLogger(__name__)

MIN_SHORTFALL = 0.2
"""Seconds that a file must lack of what it announces before it is said to end early."""

_ANNOUNCING = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf")
"""FFmpeg's names of the formats whose header says how long they are. Of others, FFmpeg estimates it
from what is there."""

BT709 = 1
"""FFmpeg's number for the matrix of ITU-R BT.709."""


def colour_matrix(colorspace: int) -> str:
    """The matrix between YCbCr and RGB that a stream's tag stands for.

    Untagged streams count as BT.601: what comes in by one matrix goes out by the same, under the
    same tag, so that a player shows the colours that it would have shown.
    """
    return "ITU709" if colorspace == BT709 else "ITU601"


def to_rgb(picture: Any, buffers: Buffers) -> NDArray[np.uint8]:
    """The pixels of PyAV's picture, uint8, H×W×3, in an array from ``buffers``.

    Rounded to the nearest level: FFmpeg's fast conversion rounds down, and a video that goes
    through it becomes one level darker each time. Each chroma sample is repeated, so that a picture
    that nothing changed is stored as it came.

    Raises:
        SourceError: FFmpeg can't convert its pixel format.
    """
    import av
    from av.video.reformatter import Interpolation

    exact = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    matrix = colour_matrix(picture.colorspace)
    try:
        if any(component.bits > 16 for component in picture.format.components):
            raise ValueError  # FFmpeg aborts the process on some of these
        rgb = picture.reformat(
            format="rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            interpolation=exact,
            threads=1,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        name = picture.format.name
        raise SourceError(f"frames of pixel format {name} can't be made RGB") from error
    (plane,) = rgb.planes
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    pixels = buffers.take((rgb.height, rgb.width, 3))
    pixels.reshape(rgb.height, -1)[...] = rows[: rgb.height, : 3 * rgb.width]
    return pixels


class DecodeErrors:
    """What a source has that can't be shown: counted, named, passed over.

    Args:
        max_pixels: of a frame; a larger one can't be shown.

    Attributes:
        count: packets and frames so far.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.count = 0
        self._max_pixels = max_pixels
        self._said = False

    def packet(self, name: str, why: str, error: Exception) -> None:
        """Count a packet of a source that can't be decoded."""
        self.count += 1
        if getattr(error, "errno", 0) != errno.EINVAL:  # of damaged ones, FFmpeg says EINVALDATA
            log.info("%s: %s", name, why)
            return
        self._say(f"{name}: a frame was refused; has it more than {self._max_pixels:,} pixels?")

    def _say(self, message: str) -> None:
        # Once is enough for people: those that follow are likely to be like it.
        log.log(logging.INFO if self._said else logging.WARNING, "%s", message)
        self._said = True

    def rgb(self, name: str, picture: Any, buffers: Buffers) -> NDArray[np.uint8] | None:
        """A decoded picture of a source as H×W×3 in a buffer; None if it can't be made RGB."""
        try:
            check_size("a frame", picture.width, picture.height, self._max_pixels)
            return to_rgb(picture, buffers)
        except SourceError as error:
            self.count += 1
            self._say(f"{name}: {error}")
            return None


class VideoFile:
    """The first video stream of a file, or of a pipe. No frame is dropped.

    Args:
        path: of the file; of a pipe, what to call it.
        pipe: an open binary file to read in place of ``path``.
        container: FFmpeg's name of the format, where it can't be recognized.
        options: of the container, as FFmpeg names them.
        buffers: where pixels of frames come from.
        max_pixels: of a frame, see :class:`edgecae.media.sources.SourceSettings`.

    Attributes:
        path: of the file; None for a pipe.
        stream: PyAV's video stream, which a sink may copy settings from.
        other_streams: the streams of sound and subtitles.
        on_packet: called, each of them, with every packet of these, in the order of the file.
        rotation: by how many degrees a player turns the pictures, counter-clockwise.

    Raises:
        SourceError: PyAV is not installed, the file can't be opened as a video, or its frames are
            too large.
    """

    live = False

    def __init__(
        self,
        path: Path,
        pipe: BinaryIO | None = None,
        container: str | None = None,
        options: dict[str, str] | None = None,
        buffers: Buffers | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise SourceError(f"{path}: video needs PyAV: pip install 'edgecae[video]'") from error
        self._av: Any = av
        self._buffers = buffers or Buffers()
        self.name = str(path)
        self.path = None if pipe else path
        self.on_packet: list[Callable[[Any], None]] = []
        try:
            self._file = pipe or path.open("rb", buffering=0)
        except OSError as error:
            raise SourceError(f"{path} can't be opened: {error.strerror}") from error
        self._reader = FileReader(self._file, self.name)
        try:
            self._container: Any = containers.open_file(
                self._reader, max_pixels, container, options or {}
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            self._close_file()
            self._reader.check()
            why = getattr(error, "strerror", None) or error
            kind = "no video" if pipe else "neither an image nor a video"
            raise SourceError(f"{path} is {kind}: {why}") from error
        # FFmpeg looks at the end of a file to know how long it is. What it could not read there, it
        # will not be able to read in its turn either; what is before that can be had.
        failed, self._reader.error = self._reader.error, None
        streams = self._container.streams
        if not streams.video:
            self.__exit__()
            raise SourceError(f"{path} holds no video") from failed
        self.stream = streams.video[0]
        self.stream.thread_type = "AUTO"
        try:
            largest = containers.limit_frames(self.stream, self.name, max_pixels)
        except SourceError:
            self.__exit__()
            raise
        self._broken = DecodeErrors(largest)
        self.other_streams = [
            stream
            for stream in (*streams.audio, *streams.subtitles)
            if stream.codec_context is not None
        ]
        self.rotation = 0

    @property
    def rate(self) -> Fraction | None:
        """Average frames a second."""
        rate: Fraction | None = self.stream.average_rate or self.stream.guessed_rate
        return rate

    def _packets(self) -> Iterator[Any]:
        """Packets of video, the last of which is empty; those of the other_streams are handed on.

        Raises:
            SourceError: after the last packet: the file could not be read to its end.
        """
        packets = self._container.demux(self.stream, *self.other_streams)
        end = 0.0
        try:
            for packet in packets:
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is self.stream:
                    yield packet
                elif packet.dts is not None:  # else it only says that the stream ends
                    for listener in self.on_packet:
                        listener(packet)
        except self._av.FFmpegError as error:
            last = self._av.Packet()  # empty: the decoder gives out what it holds back
            last.stream = self.stream
            yield last
            self._reader.check()
            if not self._reader.at_end:
                why = error.strerror or type(error).__name__
                raise SourceError(f"{self.name} can't be read any further: {why}") from error
        self._reader.check()
        self._warn_if_early(end)

    def _warn_if_early(self, end: float) -> None:
        """Say so where a file is shorter than it announces; ``end``: of all that came, seconds."""
        container = self._container
        if container.format.name not in _ANNOUNCING or not container.duration:
            return
        announced, rate = container.duration / self._av.time_base, float(self.rate or 30)
        if container.format.name == "avi":  # FFmpeg shortens the duration of one that is cut
            announced = max(announced, self.stream.frames / rate)
        if announced - end > max(MIN_SHORTFALL, 3 / rate):
            log.warning("%s ends early: %.1f of %.1f s", self.name, end, announced)

    def __iter__(self) -> Iterator[Frame]:
        import av

        for packet in self._packets():
            try:
                pictures = packet.decode()
            except av.FFmpegError as error:
                self._broken.packet(self.name, str(error), error)
                continue
            for picture in pictures:
                assert isinstance(picture, av.VideoFrame)
                self.rotation = picture.rotation
                pixels = self._broken.rgb(self.name, picture, self._buffers)
                if pixels is not None:
                    yield Frame(pixels, time.monotonic(), picture.pts, picture.time_base)

    @property
    def broken(self) -> int:
        """Packets and frames so far that could not be decoded or made RGB."""
        return self._broken.count

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()
        self._close_file()

    def _close_file(self) -> None:
        if self.path is not None:  # a pipe is its owner's
            self._file.close()


def open_source(spec: str, settings: SourceSettings) -> VideoFile | None:
    """Open a video file; None if there is no such file."""
    path = Path(spec)
    if not path.is_file():
        return None
    return VideoFile(path, buffers=settings.buffers, max_pixels=settings.max_pixels)
