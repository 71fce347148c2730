"""The video of a PyAV container that may fall silent: what cameras and networks have in common.

The boundary where whatever PyAV raises becomes a :class:`SourceError`. No message of FFmpeg's goes
through it as it is, since those hold the URL with its password; only what the error number means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from edgecae import naming
from edgecae.errors import OfflineError, SourceError
from edgecae.media import containers
from edgecae.media.frame import Frame
from edgecae.media.live_sound import LiveSound, warn_once
from edgecae.media.sources.base import SourceSettings
from edgecae.media.sources.video_file import field_order
from edgecae.media.video.decode_errors import DecodeErrors
from edgecae.media.video.stored import Stored, stored
from edgecae.timeout import StillRunningError, call_with_timeout

__all__ = ["VideoStream", "open_container", "reason"]

log = naming.logger(__name__)

MAX_RATE = 1000
"""Frames a second; what claims more counts ticks of its clock."""

_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
"""Markers of JPEG: pixels begin, the picture ends. Neither occurs among pixels."""

POLL = 0.002
"""Seconds between two looks at a device that has no frame yet."""


def _failures() -> tuple[type[Exception], ...]:
    """What PyAV raises: its own errors, and some of Python's."""
    import av

    return av.FFmpegError, OSError, ValueError, RuntimeError


def reason(error: Exception) -> str:
    """What an error of PyAV's means, without the name of what was opened."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def open_container(
    name: str,
    address: str,
    settings: SourceSettings,
    opener: Callable[[], Any],
    refusal: Callable[[Exception], SourceError | None] = lambda error: None,
) -> Any:
    """What ``opener`` returns, a PyAV container, if it does so in time.

    Args:
        name: for people.
        address: where it is opened, with all secrets; goes nowhere.
        settings: ``stall`` is how many seconds it may take; ``pending`` has the attempts that hang.
        opener: opens it.
        refusal: what to raise for an error of PyAV's that no waiting will help; None for others.

    Raises:
        OfflineError: it can't be opened now.
        SourceError: PyAV is not installed, or what ``refusal`` said.
    """
    try:
        failures = _failures()
    except ImportError as error:
        raise SourceError(f"{name} needs PyAV: pip install 'edgecae[video]'") from error
    try:
        return call_with_timeout(
            settings.stall,
            opener,
            lambda container: container.close(),
            key=address,
            pending=settings.pending,
        )
    except StillRunningError as error:
        failure: SourceError = OfflineError(f"{name}: {error}")
    except TimeoutError:
        failure = OfflineError(f"{name}: no answer within {settings.stall:g} s")
    except failures as error:
        failure = refusal(error) or OfflineError(f"{name} can't be opened: {reason(error)}")
    try:
        raise failure  # outside of the block: the error that is handled there has the password
    finally:
        del failure  # else it and its traceback keep each other, and the settings, in memory


def _is_whole_jpeg(content: bytes) -> bool:
    """Whether a JPEG has its end: of half a one, FFmpeg makes a picture that is half gray."""
    return content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN) >= 0


class VideoStream:
    """The first video stream of an opened container, read as it comes.

    Live frames have no timestamps of their own: a camera's clock may jump or be invented by
    FFmpeg, so that what counts is when they came.

    Args:
        container: PyAV's, for reading; closed with this. Its read timeout is ``settings.stall``,
            or it raises ``BlockingIOError`` where it has nothing yet.
        name: for people.
        settings: what the user asks.
        live: see :class:`edgecae.media.sources.Source`.

    Raises:
        SourceError: there is no video in it.
    """

    def __init__(
        self, container: Any, name: str, settings: SourceSettings, live: bool = True
    ) -> None:
        self._container = container
        self._settings = settings
        self._failures = _failures()
        self.name, self.live = name, live
        if not container.streams.video:
            container.close()
            raise SourceError(f"{name} holds no video")
        self._stream = container.streams.video[0]
        try:
            largest = containers.limit_frames(self._stream, name, settings.max_pixels)
        except SourceError:
            container.close()
            raise
        self._broken = DecodeErrors(largest)
        self._jpeg = self._stream.codec_context.codec.canonical_name == "mjpeg"
        self._stream.thread_type = "SLICE"  # threads that take a frame each would delay it
        self._sound = LiveSound(container, name, settings) if live else None

    @property
    def rate(self) -> Fraction | None:
        """Nominal frames a second; None where FFmpeg has but the clock's."""
        rate: Fraction | None = self._stream.average_rate or self._stream.guessed_rate
        return rate if rate and rate <= MAX_RATE else None

    def _packets(self) -> Iterator[Any]:
        """Packets of video until the stream ends."""
        streams = self._streams()
        packets = self._container.demux(*streams)
        asked = time.monotonic()
        while True:
            failure: Exception | None = None
            try:
                packet = next(packets, None)
            except BlockingIOError as error:
                failure = error
                packets = self._container.demux(*streams)
            except self._failures as error:
                raise self._gone(asked, reason(error)) from None
            # Whatever came so late: FFmpeg hands out what it held back when a read is interrupted.
            if self._silent(asked):
                raise self._gone(asked, "")
            if failure is not None:
                time.sleep(POLL)
                continue
            if packet is not None and packet.stream_index != self._stream.index:
                if self._sound is not None:
                    self._sound.packet(packet)
                continue  # the time since a picture was asked for goes on
            # The last packet is empty: it asks the decoder for what that still holds back.
            ended = packet is None or (packet.size == 0 and packet.pts is None)
            if ended and self.live:
                raise self._gone(asked, "it ended")
            if packet is None:
                return
            yield packet
            asked = time.monotonic()

    def _streams(self) -> list[Any]:
        """Streams to read: the video, and the sound if a sink wants it."""
        from av.stream import Discard

        streams = [self._stream]
        if self._sound is not None:
            streams += self._sound.begin()
        elif self._container.streams.audio:
            warn_once(self.name, self._settings)
        for stream in self._container.streams:
            if stream not in streams:  # FFmpeg drops its packets inside a read
                stream.discard = Discard.all
        return streams

    def _stored(self, picture: Any) -> Stored:
        """How a picture was stored; what 8-bit RGB does not hold is left out, and named once."""
        kept = stored(picture, field_order(self._stream))
        warning = f"{self.name}: {kept.pixel_format} becomes 8-bit RGB"
        if kept.picture is not None and warning not in self._settings.warned:
            self._settings.warned.add(warning)
            log.warning("%s", warning)
        return replace(kept, picture=None)

    def _silent(self, since: float) -> bool:
        return time.monotonic() - since >= self._settings.stall

    def _gone(self, since: float, why: str) -> SourceError:
        if self._silent(since):
            why = f"silent for {self._settings.stall:g} s"
        return (OfflineError if self.live else SourceError)(f"{self.name}: {why}")

    def __iter__(self) -> Iterator[Frame]:
        heard = time.monotonic()
        for packet in self._packets():
            try:
                if packet.size == 0 and packet.pts is not None:  # a driver's word for "damaged"
                    raise ValueError("an empty packet")
                if self._jpeg and packet.size and not _is_whole_jpeg(bytes(packet)):
                    raise ValueError("half a JPEG")
                pictures = packet.decode()
            except self._failures as error:
                self._broken.packet(self.name, reason(error), error)
                pictures = []
            for picture in pictures:
                if self._sound is not None and not self._sound.picture(picture):
                    heard = time.monotonic()
                    continue
                if not self._settings.buffers.has_room(3 * picture.width * picture.height):
                    heard = time.monotonic()
                    continue  # a large one, while another is still under way
                pixels = self._broken.rgb(self.name, picture, self._settings.buffers)
                if pixels is None:
                    continue
                pts = None if self.live else picture.pts
                base = None if self.live else picture.time_base
                kept = self._stored(picture)
                yield Frame(pixels, time.monotonic(), pts, base, stored=kept)
                heard = time.monotonic()
            if self._silent(heard):  # none that could be shown, however much came
                raise self._gone(heard, "")

    @property
    def broken(self) -> int:
        """Packets and frames so far that could not be decoded or made RGB."""
        return self._broken.count

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()
