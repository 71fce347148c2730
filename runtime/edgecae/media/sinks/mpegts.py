"""``mpegts:-``: H.264 in MPEG-TS on standard output, for programs that start a command to read it.

Such as go2rtc's ``exec:``. Frames have timestamps, and none is held back.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from dataclasses import replace
from typing import Any, BinaryIO

from edgecae.errors import SinkError
from edgecae.media import containers
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings
from edgecae.media.sinks.pipe import Unbuffered
from edgecae.media.video.encoder import FrameEncoder
from edgecae.media.video.fitting import Fitting
from edgecae.media.video.sound_track import SoundTrack, open_track, zero_of
from edgecae.redact import redacted

__all__ = ["MpegTsSink", "open_sink"]


class MpegTsSink:
    """Encodes frames into an open file as they come.

    Args:
        file: for writing, binary.
        settings: ``source``, ``codec``, ``encoding`` and ``sound`` are used.

    Raises:
        SinkError: PyAV is not installed, or there is no such encoder.
    """

    needs_original = False
    wants_slates = True
    recovers = False
    name = "standard output"

    def __init__(self, file: BinaryIO, settings: SinkSettings) -> None:
        try:
            import av
        except ImportError as error:
            raise SinkError("MPEG-TS needs PyAV: pip install 'edgecae[video]'") from error
        self._failures = av.FFmpegError, ValueError
        self._container: Any = containers.open_written(
            Unbuffered(file), "mpegts", {"flush_packets": "1", "max_interleave_delta": "200000"}
        )
        self._encoder = FrameEncoder(
            self.name,
            self._container,
            settings.codec,
            settings.source.rate,
            True,
            settings.encoding,
        )
        self._fitting: Fitting | None = None
        self._begin = 0
        self._sound = settings.listen()
        self._sound_track: SoundTrack | None = None
        self._lock = threading.Lock()

    def _open(self, frame: Frame) -> Fitting:
        """Choose, by the first frame, what all of them have."""
        height, width = (max(2, side - side % 2) for side in frame.pixels.shape[:2])
        self._fitting, self._begin = Fitting(self.name, (height, width)), frame.pts or 0
        return self._fitting

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`.

        Raises:
            SinkError: nobody reads any more, or the encoder can't do what is asked.
        """
        with self._lock:
            fitting = self._fitting or self._open(frame)
            if frame.stored is not None and frame.stored.picture is not None:  # 8 bits
                frame = replace(frame, stored=replace(frame.stored, picture=None))
            if frame.pts is not None:
                frame = replace(frame, pts=frame.pts - self._begin)
            try:
                frame = replace(frame, pixels=fitting.fit(frame.pixels))
                if self._encoder.stream is None:
                    self._encoder.open(frame)
                    self._sound_track = open_track(self._sound, self._container, self.name)
                packets = self._encoder.encode(frame)
                if self._sound_track is not None:
                    self._container.mux(self._sound_track.packets(zero_of(frame)))
                self._container.mux(packets)
            except (OSError, *self._failures) as error:
                if isinstance(error, SinkError):
                    raise
                why = getattr(error, "strerror", None) or error
                raise SinkError(f"{self.name} can't be written: {why}") from error

    def __enter__(self) -> MpegTsSink:
        return self

    def __exit__(self, *error: object) -> None:
        if self._sound is not None:
            self._sound.close()
        if not self._lock.acquire(timeout=0.1):
            return  # a reader that sleeps: nothing wakes who waits for it
        try:
            with contextlib.suppress(OSError, *self._failures):
                self._container.close()
        finally:
            self._lock.release()


def open_sink(spec: str, settings: SinkSettings) -> MpegTsSink | None:
    """Open standard output; None for any other description."""
    if not spec.startswith("mpegts:"):
        return None
    if spec != "mpegts:-":
        raise SinkError(f"sink {redacted(spec)!r}: MPEG-TS goes to standard output: mpegts:-")
    return MpegTsSink(sys.stdout.buffer, settings)
