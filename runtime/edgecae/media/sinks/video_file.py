"""A video file as a sink, through PyAV (extra ``video``).

The boundary where whatever PyAV raises while writing becomes a :class:`SinkError`. A recording is
written in place, in a container that plays when it is cut off.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgecae.errors import SinkError
from edgecae.media import containers
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import DEFAULT_CODEC, FALLBACK_RATE, SinkSettings
from edgecae.media.sources.video_file import VideoFile, colour_matrix

__all__ = ["VideoSink", "open_sink"]

log = logging.getLogger(__name__)

_OPTIONS = {
    # Nearly transparent: what noise is left shall be the denoiser's, not the encoder's.
    "libx264": {"crf": "16", "preset": "veryfast"},
    "libx265": {"crf": "18", "preset": "veryfast", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8"},
    "mpeg4": {"qscale": "2"},
}
_LOSSLESS_RGB = {"ffv1": "bgr0"}
_MP4 = (".mp4", ".m4v", ".mov")
_FRAGMENTED = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}
"""A file that plays when cut off; the header waits for the first packets, because only then can it
say that the sound starts before zero, as AAC does."""


_IN_PIECES = {"flush_packets": "1", "cluster_time_limit": "500"}
_LIVE = {"libx264": {"tune": "zerolatency"}, "libx265": {"tune": "zerolatency"}}
"""Encoders that hold nothing back, a picture to start from each second, no long clusters: what is
on the disk plays up to the last second."""


class VideoSink:
    """Encodes frames into a file; copies sound and subtitles where the frames are a video's.

    All frames must be of one size. Packets of sound may come from the thread that reads the
    source; they are written with the next frame.

    Args:
        path: the suffix says which container: ``.mkv``, ``.mp4``, ``.mov``, ``.webm`` …
        source: the video that the frames come from, if they do.
        rate: nominal frames a second.
        codec: as FFmpeg names it; ``ffv1`` is lossless. ``auto``: see :data:`DEFAULT_CODEC`.
        overwrite: replace an existing file.
        live: write in small pieces, so that little is lost when the process is killed.

    Attributes:
        empty: whether nothing came into the file; known once it is closed. Such a file is removed,
            unless there was one before.

    Raises:
        SinkError: PyAV is not installed, the file exists, can't be written, or can't hold the
            codec.
    """

    needs_original = False
    wants_slates = True
    recovers = False

    def __init__(
        self,
        path: Path,
        source: VideoFile | None = None,
        rate: Fraction | None = None,
        codec: str = DEFAULT_CODEC,
        overwrite: bool = False,
        live: bool = False,
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise SinkError(f"{path}: video needs PyAV: pip install 'edgecae[video]'") from error
        self._av: Any = av
        self.name = str(path)
        self._new = False
        if there := path.exists():
            if not overwrite:
                raise SinkError(f"{path} exists; --overwrite replaces it")
            if source is not None and source.path and path.samefile(source.path):
                raise SinkError(f"{path} can't be read and written at once")
        try:
            options = _FRAGMENTED if path.suffix.lower() in _MP4 else {}
            if not there:  # for this file alone: nothing that leads elsewhere is followed
                path.touch(exist_ok=False)
                self._new = True
            self._container = containers.open_output(
                path, {**options, **(_IN_PIECES if live else {})}
            )
        except FileExistsError as error:
            raise SinkError(f"{path} exists; --overwrite replaces it") from error
        except SinkError:
            self._forget()
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            self._forget()
            why = getattr(error, "strerror", None) or error
            raise SinkError(f"{path} can't be written as a video: {why}") from error
        try:
            self._codec = self._choose(codec)
        except SinkError:
            self._container.close()
            self._forget()
            raise
        self._source = source
        self._rate = rate or FALLBACK_RATE
        self._stream: Any = None
        self._passengers: dict[int, Any] = {}
        self._waiting: deque[Any] = deque()
        self._count = 0
        self._latest = -1
        self._live, self._failed = live, False
        self.empty = False
        if source is not None:
            source.on_packet.append(self._waiting.append)

    def _forget(self) -> None:
        """Remove the file, if it was not there before and nothing came into it."""
        if self._new:
            Path(self.name).unlink(missing_ok=True)

    def _holds(self, codec: str) -> bool:
        """Whether the container holds a codec; of MPEG-TS, FFmpeg has no list."""
        return self._container.format.name == "mpegts" or codec in self._container.supported_codecs

    def _choose(self, codec: str) -> str:
        """The encoder to use, held by the container."""
        if codec == DEFAULT_CODEC:
            return "libx264" if self._holds("h264") else self._container.default_video_codec
        try:
            encoder = self._av.Codec(codec, "w")
        except ValueError as error:
            raise SinkError(f"{self.name}: there is no encoder {codec!r}") from error
        if encoder.type != "video" or not self._holds(encoder.canonical_name):
            raise SinkError(f"{self.name}: this container does not hold {codec} video")
        return codec

    def _open(self, frame: Frame) -> None:
        """Set up the streams, now that the frames' size is known."""
        height, width = frame.pixels.shape[:2]
        rate = self._rate.limit_denominator(65535)
        stream: Any = self._container.add_stream(self._codec, rate=rate)
        stream.width, stream.height = width, height
        odd = height % 2 or width % 2
        formats = [f.name for f in stream.codec_context.codec.video_formats or []]
        wanted = _LOSSLESS_RGB.get(self._codec, "yuv444p" if odd else "yuv420p")
        if wanted not in formats and formats:
            raise SinkError(
                f"{self.name}: {self._codec} can't encode {wanted}, which frames of "
                f"{width}×{height} need; choose another --codec"
            )
        stream.pix_fmt = wanted
        stream.options = dict(_OPTIONS.get(self._codec, {}))
        if self._live:
            stream.options = {**stream.options, **_LIVE.get(self._codec, {})}
            stream.codec_context.gop_size = max(1, round(rate))
        stream.codec_context.time_base = frame.time_base or 1 / self._rate
        if self._source is not None:
            theirs: Any = self._source.stream.codec_context
            ours = stream.codec_context
            ours.colorspace = theirs.colorspace
            ours.color_primaries, ours.color_trc = theirs.color_primaries, theirs.color_trc
            if theirs.sample_aspect_ratio:
                ours.sample_aspect_ratio = theirs.sample_aspect_ratio
            stream.metadata.update(
                {k: v for k, v in self._source.stream.metadata.items() if k == "language"}
            )
            if self._source.rotation:
                stream.set_display_rotation(self._source.rotation)
            for passenger in self._source.other_streams:
                self._board(passenger)
        self._stream = stream

    def _board(self, passenger: Any) -> None:
        """Take a stream of sound or subtitles along, if the container holds its codec."""
        name = passenger.codec_context.name
        try:
            if not self._holds(passenger.codec_context.codec.canonical_name):
                raise ValueError(f"this container does not hold {name}")
            copy = self._container.add_stream_from_template(passenger)
            copy.metadata.update({k: v for k, v in passenger.metadata.items() if k == "language"})
            self._passengers[passenger.index] = copy
        except (ValueError, self._av.FFmpegError) as error:
            log.warning("%s: left out: %s (%s): %s", self.name, passenger.type, name, error)

    def _copy_waiting(self) -> None:
        """Write the packets of sound and subtitles that have come."""
        while self._waiting:
            packet = self._waiting.popleft()
            target = self._passengers.get(packet.stream.index)
            if target is not None:
                packet.stream = target
                self._mux(packet)

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except (self._av.FFmpegError, ValueError) as error:
            self._failed = True
            raise SinkError(f"{self.name} can't be written: {error}") from error

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the frame's size differs from the first one's, or writing failed.
        """
        if self._stream is None:
            self._open(frame)
        self._copy_waiting()
        stream = self._stream
        height, width = frame.pixels.shape[:2]
        if (height, width) != (stream.height, stream.width):
            raise SinkError(
                f"{self.name}: a frame of {width}×{height} in a video of "
                f"{stream.width}×{stream.height}"
            )
        kind = "gray" if frame.pixels.ndim == 2 else "rgb24"
        picture = self._av.VideoFrame.from_ndarray(frame.pixels, format=kind)
        matrix = colour_matrix(stream.codec_context.colorspace)
        picture = picture.reformat(
            format=stream.pix_fmt, src_colorspace=matrix, dst_colorspace=matrix
        )
        if frame.pts is None:
            picture.pts, picture.time_base = self._count, 1 / self._rate
        else:
            # Two frames of a live source may arrive within one tick.
            self._latest = max(self._latest + 1, frame.pts) if self._live else frame.pts
            picture.pts, picture.time_base = self._latest, frame.time_base
        self._count += 1
        self._encode(picture)

    def _encode(self, picture: Any) -> None:
        """Encode a picture, or with None whatever the encoder still holds back."""
        try:
            packets = self._stream.encode(picture)
        except (self._av.FFmpegError, ValueError) as error:
            raise SinkError(f"{self.name}: {self._codec} failed: {error}") from error
        self._mux(packets)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(self, *error: object) -> None:
        # Once it has failed, whoever wrote knows; that it can't be finished either is no news.
        failing = error[0] is not None or self._failed
        try:
            if self._stream is not None:
                self._copy_waiting()
                self._encode(None)
        except SinkError:
            if not failing:  # else this one only follows from that one
                raise
        finally:
            self._close(quietly=failing)

    def _close(self, quietly: bool) -> None:
        try:
            self._container.close()
        except (self._av.FFmpegError, OSError) as error:
            if not quietly:
                raise SinkError(f"{self.name} can't be finished: {error}") from error
        path = Path(self.name)
        with contextlib.suppress(OSError):  # where its folder is gone, so is the file
            self.empty = self._stream is None or not path.exists() or not path.stat().st_size
            if self.empty:
                self._forget()


def open_sink(spec: str, settings: SinkSettings) -> VideoSink | None:
    """Open a video file for writing."""
    source = settings.source if isinstance(settings.source, VideoFile) else None
    return VideoSink(Path(spec), source, settings.source.rate, settings.codec, settings.overwrite)
