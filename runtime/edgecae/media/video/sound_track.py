"""The sound of a live source as a track of an output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import naming
from edgecae.media.frame import Frame
from edgecae.media.sound import SoundKind, SoundQueue

__all__ = ["SoundTrack", "open_track", "zero_of"]

log = naming.logger(__name__)

MAX_SKEW = 0.08
"""Seconds by which sound may lie beside the pictures until it is put right: more is seen."""

_TELEPHONE = "pcm_alaw", "pcm_mulaw"
"""G.711, what most cameras send."""

_HELD = {
    "mpegts": ("aac", "mp2", "mp3", "ac3", "eac3", "opus"),
    "rtp": ("aac", "opus", "pcm_alaw", "pcm_mulaw"),
}
"""What formats hold, and readers of them know, of which FFmpeg has no list."""


class SoundTrack:
    """Copies packets of a queue into a container, on the clock of the frames beside them.

    Packets keep their distances. Only where the camera's clock runs off, or begins anew, is there a
    jump; what would lie before the packet that was written last is left out.

    Args:
        queue: of the sink.
        kind: of the packets to take; others are left out.
        container: PyAV's, not written yet.

    Raises:
        av.FFmpegError, ValueError: the container does not hold it.
    """

    def __init__(self, queue: SoundQueue, kind: SoundKind, container: Any) -> None:
        import av

        self._packet = av.Packet
        self.kind, self._queue = kind, queue
        self._levels: NDArray[np.int16] | None = None
        if kind.codec in _TELEPHONE and not _holds(container, kind.codec):
            # FFmpeg's Matroska and MP4 have no place for it, but for what it stands for.
            self._levels = _telephone_levels(kind.codec)
            layout = "mono" if kind.channels == 1 else "stereo"
            self._stream = container.add_stream("pcm_s16le", rate=kind.rate, layout=layout)
            self._stream.codec_context.open()
        else:
            self._stream = kind.add_to(container)
        self._moved: float | None = None  # seconds from a packet's timestamp to the output's
        self._clock: Any = None
        self._last = -1

    def packets(self, zero: float, until: float | None = None) -> list[Any]:
        """Packets of PyAV's that are ready to be written, in order.

        Args:
            zero: seconds of the monotonic clock at timestamp zero of the output.
            until: likewise, of the newest packet to take; None: all that came.
        """
        ready = []
        base = self.kind.time_base
        for packet in self._queue.take(until):
            if packet.kind != self.kind or packet.clock.offset is None:
                continue
            moved = packet.clock.offset - zero
            if (
                self._moved is None
                or packet.clock is not self._clock
                or abs(moved - self._moved) > MAX_SKEW
            ):
                self._moved, self._clock = moved, packet.clock
            ticks = packet.pts + round(self._moved / base)
            if ticks <= self._last:
                continue
            self._last = ticks
            content = packet.content
            if self._levels is not None:
                content = self._levels[np.frombuffer(content, np.uint8)].tobytes()
            copy = self._packet(content)
            copy.stream, copy.time_base = self._stream, base
            copy.pts = copy.dts = ticks
            if packet.duration:
                copy.duration = packet.duration
            copy.is_keyframe = True
            ready.append(copy)
        return ready


def open_track(queue: SoundQueue | None, container: Any, name: str) -> SoundTrack | None:
    """Make a track of the sound that comes, if there is one and the container holds it.

    Args:
        queue: of the sink; None: it takes no sound.
        container: PyAV's, not written yet.
        name: of the output, for the line that says that sound is left out.
    """
    import av

    kind = queue.kind if queue is not None else None
    if queue is None or kind is None:
        return None
    try:
        if not _holds(container, kind.codec) and kind.codec not in _TELEPHONE:
            raise ValueError("this container does not hold it")
        return SoundTrack(queue, kind, container)
    except (ValueError, av.FFmpegError) as error:
        log.debug("%s: %s: %s", name, kind.codec, error)
        if kind.codec not in queue.warned:
            queue.warned.add(kind.codec)
            log.warning("%s: left out: audio (%s)", name, kind.codec)
        return None


def zero_of(frame: Frame) -> float:
    """Seconds of the monotonic clock at timestamp zero of the output that a live frame is for."""
    if frame.pts is None or frame.time_base is None:
        return frame.time
    return frame.time - float(frame.pts * frame.time_base)


def _holds(container: Any, codec: str) -> bool:
    return codec in _HELD.get(container.format.name, container.supported_codecs)


def _telephone_levels(codec: str) -> NDArray[np.int16]:
    """What each byte of G.711 stands for."""
    import av

    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    levels: NDArray[np.int16] = frame.to_ndarray().reshape(-1).astype("<i2")
    return levels
