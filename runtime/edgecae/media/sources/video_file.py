"""A video file as a source of frames, through PyAV (extra ``video``).

The boundary where whatever PyAV raises while reading becomes a :class:`SourceError`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgecae import naming
from edgecae.errors import SourceError
from edgecae.media import containers
from edgecae.media.buffers import Buffers
from edgecae.media.file_reader import FileReader
from edgecae.media.frame import MAX_PIXELS, Frame
from edgecae.media.sources.base import SourceSettings, refuse_camera_options
from edgecae.media.video.decode_errors import DecodeErrors
from edgecae.media.video.filters import filter_graph, pulled, rest_of
from edgecae.media.video.stored import BOTTOM_FIRST, TOP_FIRST, stored
from edgecae.media.video.timestamps import RisingClock

__all__ = ["SIDE_DATA", "VideoFile", "field_order", "open_source"]

log = naming.logger(__name__)

MIN_SHORTFALL = 0.2
"""Seconds that a file must lack of what it announces before it is said to end early."""

_ANNOUNCING = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf")
"""FFmpeg's names of the formats whose header says how long they are. Of others, FFmpeg estimates it
from what is there."""

_RAW = ("h264", "hevc", "m4v", "mpegvideo", "mjpeg", "obu")
"""FFmpeg's names of the formats that are frames and nothing else: no timestamp, no duration."""

_JOINED = ("mpegts", "mpeg")
"""Of those whose clock begins anywhere, as a broadcast's does."""

MAX_AHEAD = 2**24
"""Bytes of packets that may be read before the first one of a stream of sound comes."""

_FIELD_ORDERS = {2: TOP_FIRST, 3: BOTTOM_FIRST, 4: BOTTOM_FIRST, 5: TOP_FIRST}
"""By FFmpeg's number (``AVFieldOrder``): which field is shown first."""

SIDE_DATA = {
    "MASTERING_DISPLAY_METADATA": "mastering display",
    "CONTENT_LIGHT_LEVEL": "content light level",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DOVI_METADATA": "Dolby Vision",
    "DISPLAYMATRIX": "rotation",
}
"""What a frame may carry along, by PyAV's names, and what people call it."""


def field_order(stream: Any) -> str | None:
    """``tff`` or ``bff``, of interlaced frames of PyAV's stream; None: unknown."""
    return _FIELD_ORDERS.get(stream.codec_context.field_order)


class VideoFile:
    """The first video stream of a file, or of a pipe. No frame is dropped.

    Timestamps rise from frame to frame, also where those of the file are missing or disordered.

    Args:
        path: of the file; of a pipe, what to call it.
        pipe: an open binary file to read in place of ``path``.
        container: FFmpeg's name of the format, where it can't be recognized.
        options: of the container, as FFmpeg names them.
        buffers: where pixels of frames come from.
        max_pixels: of a frame, see :class:`edgecae.media.sources.SourceSettings`.
        rate: frames a second, of a file without timestamps; None: what its stream says.
        deinterlace: make one whole picture of the two fields of each interlaced frame.

    Attributes:
        path: of the file; None for a pipe.
        container: PyAV's, which a sink may copy metadata from.
        stream: PyAV's video stream, likewise.
        other_streams: all others but attachments: sound, subtitles, data, more video.
        on_packet: called, each of them, with every packet of these, in the order of the file.
        first_packets: of streams of AAC that do not say their settings elsewhere, by index; known
            before the first frame comes.
        display_matrix: nine numbers by which a player turns the pictures, as FFmpeg has them; known
            with the first frame, None where there are none.
        side_data: bytes of FFmpeg's structures that the first frame carries, by PyAV's names.
        ended: whether all of it has been read.
        skipped: frames that were thrown away, see :meth:`skip`.

    Raises:
        SourceError: PyAV is not installed, the file can't be opened as a video, its frames are too
            large, or it has timestamps and ``rate`` is given.
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
        rate: Fraction | None = None,
        deinterlace: bool = False,
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
            self.container: Any = containers.open_file(
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
        try:
            self.stream = self._main_stream(failed)
            self.stream.thread_type = "AUTO"
            largest = containers.limit_frames(self.stream, self.name, max_pixels)
            self._rate = self._own_rate(rate)
        except SourceError:
            self.__exit__()
            raise
        self._broken = DecodeErrors(largest)
        self.other_streams = [
            stream
            for stream in self.container.streams
            if stream is not self.stream and stream.type != "attachment"
        ]
        self.first_packets: dict[int, bytes] = {}
        self.display_matrix: tuple[int, ...] | None = None
        self.side_data: dict[str, bytes] | None = None
        self.ended = False
        self.skipped = 0
        self._start = self._start_of_clock()
        self._deinterlace = deinterlace
        self._pictures: Iterator[Any] | None = None

    def _main_stream(self, failed: OSError | None) -> Any:
        """The first stream of video that is no cover picture, if there is one."""
        videos = self.container.streams.video
        if not videos:
            raise SourceError(f"{self.name} holds no video") from failed
        covers = self._av.stream.Disposition.attached_pic
        return next((stream for stream in videos if not stream.disposition & covers), videos[0])

    def _own_rate(self, asked: Fraction | None) -> Fraction | None:
        """Frames a second of a file without timestamps; None: it has some."""
        if self.container.format.name not in _RAW:
            if asked is not None:
                raise SourceError(
                    f"{self.name} has timestamps of its own; --fps is for cameras, folders of "
                    f"pictures, and raw streams such as .h264"
                )
            return None
        # FFmpeg's reader of raw streams assumes 25; what the stream itself says, its decoder knows.
        told = self.stream.codec_context.framerate or self.stream.average_rate
        rate: Fraction | None = asked or told
        return rate

    def _start_of_clock(self) -> Fraction:
        """What to take from all timestamps, seconds."""
        start = self.container.start_time
        if self.container.format.name not in _JOINED or start is None:
            return Fraction(0)
        return Fraction(start, self._av.time_base)

    @property
    def rate(self) -> Fraction | None:
        """Average frames a second."""
        rate: Fraction | None = self._rate or self.stream.average_rate or self.stream.guessed_rate
        return rate

    @property
    def expected_frames(self) -> int | None:
        """How many frames the file seems to have; None: nothing says so."""
        if self.stream.frames:
            return int(self.stream.frames)
        if self.container.duration and self.rate:
            return round(Fraction(self.container.duration, self._av.time_base) * self.rate)
        return None

    @property
    def field_order(self) -> str | None:
        """``tff`` or ``bff``, of interlaced frames; None: unknown."""
        return field_order(self.stream)

    def _with_sound_known(self, packets: Iterator[Any]) -> Iterator[Any]:
        """The packets, begun once :attr:`first_packets` are known: a sink asks for them at once."""
        wanted = {
            stream.index
            for stream in self.other_streams
            if stream.type == "audio"
            and stream.codec_context is not None
            and stream.codec_context.name == "aac"
            and not stream.codec_context.extradata
        }
        ahead: list[Any] = []
        failure, size = None, 0
        while wanted and size < MAX_AHEAD:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError as error:
                failure = error
                break
            if packet is None:
                break
            ahead.append(packet)
            size += packet.size
            index = packet.stream.index
            if index in wanted and packet.size:
                wanted.remove(index)
                self.first_packets[index] = bytes(packet)
        yield from ahead
        if failure is not None:
            raise failure
        yield from packets

    def _packets(self) -> Iterator[Any]:
        """Packets of video, the last of which is empty; those of the other_streams are handed on.

        Raises:
            SourceError: after the last packet: the file could not be read to its end.
        """
        packets = self.container.demux(self.stream, *self.other_streams)
        end = 0.0
        try:
            for packet in self._with_sound_known(packets):
                if packet.pts is not None and packet.stream.type != "data":
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is self.stream:
                    yield packet
                elif packet.size:  # else it only says that the stream ends
                    self._hand_on(packet)
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
        self.ended = True

    def _hand_on(self, packet: Any) -> None:
        if self._start:
            shift = round(self._start / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        for listener in self.on_packet:
            listener(packet)

    def _warn_if_early(self, end: float) -> None:
        """Say so where a file is shorter than it announces; ``end``: of all that came, seconds."""
        container = self.container
        if container.format.name not in _ANNOUNCING or not container.duration:
            return
        announced, rate = container.duration / self._av.time_base, float(self.rate or 30)
        if container.format.name == "avi":  # FFmpeg shortens the duration of one that is cut
            announced = max(announced, self.stream.frames / rate)
        if announced - end > max(MIN_SHORTFALL, 3 / rate):
            log.warning("%s ends early: %.1f of %.1f s", self.name, end, announced)

    def _decoded(self) -> Iterator[Any]:
        """PyAV's pictures, with rising timestamps."""
        clock: RisingClock | None = None
        step = 1 / (self.rate or Fraction(25))
        for packet in self._packets():
            try:
                pictures = packet.decode()
            except self._av.FFmpegError as error:
                self._broken.packet(self.name, str(error), error)
                continue
            for picture in pictures:
                if self._rate is not None:
                    picture.pts = picture.dts = None
                    picture.time_base = 1 / self._rate
                if clock is None:
                    dts_only = self.container.format.name == "avi"
                    clock = RisingClock(picture.time_base, step, dts_only)
                shift = round(self._start / picture.time_base)
                picture.pts = clock.next(picture.pts, picture.dts) - shift
                if self.side_data is None:
                    self._look_at_side_data(picture)
                yield picture

    def _look_at_side_data(self, picture: Any) -> None:
        kinds = self._av.sidedata.sidedata.Type
        found = {name: picture.side_data.get(getattr(kinds, name)) for name in SIDE_DATA}
        self.side_data = {name: bytes(data) for name, data in found.items() if data is not None}
        matrix = self.side_data.pop("DISPLAYMATRIX", None)
        if matrix is not None:
            self.display_matrix = tuple(int(n) for n in np.frombuffer(matrix, np.int32)[:9])

    def _deinterlaced(self, pictures: Iterator[Any]) -> Iterator[Any]:
        """Pictures of which those that are interlaced are made whole."""
        graph: Any = None
        form = None
        for picture in pictures:
            if (picture.width, picture.height, picture.format.name) != form:
                yield from rest_of(graph)
                form = picture.width, picture.height, picture.format.name
                parity = {TOP_FIRST: "tff", BOTTOM_FIRST: "bff"}.get(self.field_order or "", "auto")
                filters = ("bwdif", f"mode=send_frame:deint=interlaced:parity={parity}")
                graph = filter_graph(picture, [filters])
            graph.push(picture)
            yield from pulled(graph)
        yield from rest_of(graph)

    def _next_pictures(self) -> Iterator[Any]:
        """What is left of the pictures; asked for again, it goes on."""
        if self._pictures is None:
            decoded = self._decoded()
            self._pictures = self._deinterlaced(decoded) if self._deinterlace else decoded
        return self._pictures

    def look_ahead(self) -> Frame | None:
        """Return the first frame, which will come again; None: there is none."""
        pictures = self._next_pictures()
        for picture in pictures:
            self._pictures = itertools.chain([picture], pictures)
            return self._frame(picture)
        return None

    def skip(self) -> bool:
        """Throw the next frame away; return whether there was one."""
        skipped = next(self._next_pictures(), None) is not None
        self.skipped += skipped
        return skipped

    def _frame(self, picture: Any) -> Frame | None:
        """PyAV's picture as a frame; None if it can't be made RGB."""
        pixels = self._broken.rgb(self.name, picture, self._buffers)
        if pixels is None:
            return None
        kept = stored(picture, self.field_order)
        return Frame(pixels, time.monotonic(), picture.pts, picture.time_base, stored=kept)

    def __iter__(self) -> Iterator[Frame]:
        for picture in self._next_pictures():
            frame = self._frame(picture)
            if frame is not None:
                yield frame

    @property
    def broken(self) -> int:
        """Packets and frames so far that could not be decoded or made RGB."""
        return self._broken.count

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()
        self._close_file()

    def _close_file(self) -> None:
        if self.path is not None:  # a pipe is its owner's
            self._file.close()


def open_source(spec: str, settings: SourceSettings) -> VideoFile | None:
    """Open a video file; None if there is no such file."""
    path = Path(spec)
    if not path.is_file():
        return None
    refuse_camera_options(spec, settings, rate=True)
    return VideoFile(
        path, buffers=settings.buffers, max_pixels=settings.max_pixels, rate=settings.rate
    )
