"""A video file as a sink, through PyAV (extra ``video``).

The boundary where whatever PyAV raises while writing becomes a :class:`SinkError`. A recording is
written in place, in a container that plays when it is cut off.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgecae import naming
from edgecae.errors import SinkError
from edgecae.media import containers
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import DEFAULT_CODEC, FALLBACK_RATE, Encoding, SinkSettings
from edgecae.media.sound import SoundQueue
from edgecae.media.sources.video_file import SIDE_DATA, VideoFile
from edgecae.media.video.companions import Companions
from edgecae.media.video.encoder import FrameEncoder
from edgecae.media.video.part import Part
from edgecae.media.video.sound_track import SoundTrack, open_track, zero_of

__all__ = ["VideoSink", "open_sink"]

log = naming.logger(__name__)

_MP4 = (".mp4", ".m4v", ".mov")
_FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"
"""A file that plays when cut off; the header waits for the first packets, because only then can it
say that the sound starts before zero, as AAC does."""

_WHOLE = "hybrid_fragmented"
"""The same, made an ordinary file when it is finished."""

_IN_PIECES = {
    "flush_packets": "1",
    "cluster_time_limit": "500",
    "max_interleave_delta": "1000000",
}
"""No long clusters, and no waiting for sound that ends: what is on the disk plays up to the last
second."""


def _container_options(path: Path, source: VideoFile | None, live: bool) -> dict[str, str]:
    """Options of the container, as FFmpeg names them."""
    options = dict(_IN_PIECES) if live else {}
    if path.suffix.lower() in _MP4:
        flags = [_FRAGMENTED] if live else [_FRAGMENTED, _WHOLE]
        # Keys that are no others' (com.apple.quicktime.make) need a table of keys, which only some
        # players read.
        if source is not None and any("." in key for key in source.container.metadata):
            flags.append("use_metadata_tags")
        options["movflags"] = "+".join(flags)
    return options


class VideoSink:
    """Encodes frames into a file; copies what goes with them where they are a video's.

    All frames must be of one size. Packets of sound may come from the thread that reads the
    source; they are written with the next frame.

    Args:
        path: the suffix says which container: ``.mkv``, ``.mp4``, ``.mov``, ``.webm`` …
        source: the video that the frames come from, if they do.
        rate: nominal frames a second.
        codec: as FFmpeg names it; ``ffv1`` is lossless. ``auto``: see :data:`DEFAULT_CODEC`.
        overwrite: replace an existing file.
        live: write in small pieces, so that little is lost when the process is killed.
        encoding: what the user asks of the encoder.
        name: what to call the file; ``path`` unless given.
        sound: of a live source, that goes along; left open.

    Attributes:
        empty: whether nothing came into the file; known once it is closed. Such a file is removed,
            unless there was one before.
        needs_original: whether frames shall come with the picture as it was: where they have more
            than 8 bits or alpha, the change is added to it.

    Raises:
        SinkError: PyAV is not installed, the file exists, can't be written, or can't hold the
            codec.
    """

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
        encoding: Encoding | None = None,
        name: str | None = None,
        sound: SoundQueue | None = None,
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise SinkError(f"{path}: video needs PyAV: pip install 'edgecae[video]'") from error
        self._av: Any = av
        self._path, self.name = path, name or str(path)
        self._new = False
        if there := path.exists():
            if not overwrite:
                raise SinkError(f"{path} exists; --overwrite replaces it")
            if source is not None and source.path and path.samefile(source.path):
                raise SinkError(f"{path} can't be read and written at once")
        self.needs_original = source is not None and _is_deep(source)
        self._encoding = encoding or Encoding()
        try:
            if not there:  # for this file alone: nothing that leads elsewhere is followed
                path.touch(exist_ok=False)
                self._new = True
            self._container = containers.open_output(path, _container_options(path, source, live))
        except FileExistsError as error:
            raise SinkError(f"{path} exists; --overwrite replaces it") from error
        except SinkError:
            self._forget()
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            self._forget()
            why = getattr(error, "strerror", None) or error
            raise SinkError(f"{self.name} can't be written as a video: {why}") from error
        try:
            self._encoder = FrameEncoder(
                self.name, self._container, codec, rate, live, self._encoding
            )
        except SinkError:
            self._container.close()
            self._forget()
            raise
        self._source = source
        self._rate = rate or FALLBACK_RATE
        self._failed = False
        self._last_dts: Fraction | None = None
        self._sound = sound
        self._sound_track: SoundTrack | None = None
        self.empty = False
        self._companions = (
            Companions(source, self._container, self.name, self._encoding.audio, self._holds)
            if source is not None
            else None
        )

    @property
    def count(self) -> int:
        """Frames so far."""
        return self._encoder.count

    def _forget(self) -> None:
        """Remove the file, if it was not there before and nothing came into it."""
        if self._new:
            self._path.unlink(missing_ok=True)

    def _holds(self, codec: Any) -> bool:
        """Whether the container holds a codec of PyAV's; of MPEG-TS, FFmpeg has no list."""
        held = self._container.supported_codecs
        return self._container.format.name == "mpegts" or bool(
            held & {codec.name, codec.canonical_name}
        )

    def _open(self, frame: Frame) -> None:
        """Set up the streams, now that the frames' size is known."""
        source = self._source
        stream = self._encoder.open(frame, (source.side_data if source is not None else None) or {})
        if self._encoder.lost:
            words = ", ".join(SIDE_DATA[each] for each in self._encoder.lost)
            log.warning("%s: left out: metadata of HDR (%s)", self.name, words)
        context = stream.codec_context
        if context.codec.canonical_name == "hevc" and self._path.suffix.lower() in _MP4:
            context.codec_tag = "hvc1"  # Apple's players show no other
        if source is not None and self._companions is not None:
            aspect = source.stream.sample_aspect_ratio
            if aspect:
                context.sample_aspect_ratio = aspect
            if source.display_matrix:
                stream.set_display_matrix(source.display_matrix)
            self._companions.add_streams(stream)
        self._sound_track = open_track(self._sound, self._container, self.name)

    def _mux(self, packets: Any) -> None:
        try:
            self._container.mux(packets)
        except (self._av.FFmpegError, ValueError) as error:
            self._failed = True
            why = getattr(error, "strerror", None) or error
            raise SinkError(f"{self.name} can't be written: {why}") from error

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: the frame's size differs from the first one's, or writing failed.
        """
        if self._encoder.stream is None:
            self._open(frame)
        self._copy_companions()
        packets = self._encoder.encode(frame)
        if self._sound_track is not None:
            self._mux(self._sound_track.packets(zero_of(frame), until=frame.time))
        self._write(packets)

    def go_on_from(self, part: Part, stopped: Callable[[], bool] = lambda: False) -> int:
        """Take over the frames of a part, as they are, before the first frame is written.

        The source is read past them; it goes on with the frame after.

        Args:
            part: that an interrupted run with the same source and the same settings left.
            stopped: asked after each frame; True ends it.

        Returns:
            How many frames were taken over; 0: the part is of no use, and the source at its begin.

        Raises:
            SinkError: writing failed, or the part can't be read any more.
        """
        source = self._source
        first = source.look_ahead() if source is not None and part.count else None
        if source is None or first is None:
            return 0
        self._open(first)
        if not part.fits(self._encoder.stream):
            return 0
        time_base = first.time_base or 1 / self._rate
        try:
            taken = 0
            for packet in part.packets(self._encoder.stream, (first.pts or 0) * time_base):
                if stopped() or not source.skip():
                    break
                self._last_dts = packet.dts * packet.time_base
                self._mux(packet)
                self._copy_companions()
                taken += 1
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise SinkError(f"{self.name}: what was there can't be taken over: {error}") from error
        self._encoder.count = taken
        return taken

    def _copy_companions(self) -> None:
        """Write the packets of sound and subtitles that have come."""
        if self._companions is not None:
            for packet in self._companions.packets():
                self._mux(packet)

    def _write(self, packets: list[Any]) -> None:
        if self._last_dts is not None:
            self._follow(packets)
        self._mux(packets)

    def _follow(self, packets: Any) -> None:
        """Have the first packets of an encoder come after those that were taken over."""
        for packet in packets:
            last = math.floor((self._last_dts or 0) / packet.time_base)
            packet.dts = min(max(packet.dts, last + 1), packet.pts)
            self._last_dts = packet.dts * packet.time_base

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(self, *error: object) -> None:
        # Once it has failed, whoever wrote knows; that it can't be finished either is no news.
        failing = error[0] is not None or self._failed
        try:
            if self._encoder.stream is not None:
                self._copy_companions()
                self._write(self._encoder.rest())
        except SinkError:
            if not failing:  # else this one only follows from that one
                raise
        finally:
            self._close(quietly=failing)
        whole = self._source is not None and self._source.ended and not self.empty
        if self._companions is not None and whole and not failing:
            self._companions.name_what_is_lost(self._path)

    def _close(self, quietly: bool) -> None:
        try:
            self._container.close()
        except (self._av.FFmpegError, OSError) as error:
            if not quietly:
                raise SinkError(f"{self.name} can't be finished: {error}") from error
        path = self._path
        with contextlib.suppress(OSError):  # where its folder is gone, so is the file
            self.empty = (
                self._encoder.stream is None or not path.exists() or not path.stat().st_size
            )
            if self.empty:
                self._forget()


def _is_deep(source: VideoFile) -> bool:
    """Whether pictures of a source hold more than 8-bit RGB."""
    layout = source.stream.codec_context.format
    if layout is None:
        return False
    return any(part.is_alpha or part.bits > 8 for part in layout.components)


def open_sink(spec: str, settings: SinkSettings) -> VideoSink | None:
    """Open a video file for writing."""
    source = settings.source if isinstance(settings.source, VideoFile) else None
    return VideoSink(
        Path(spec),
        source,
        settings.source.rate,
        settings.codec,
        settings.overwrite,
        encoding=settings.encoding,
    )
