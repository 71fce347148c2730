"""The sound of a live source on its way to sinks, beside the frames.

It is copied as it is. A live frame's time is when it came, so sound is put on the same clock: the
timestamps of a stream tell how its packets lie to its pictures, and when those came tells the rest.
"""

from __future__ import annotations

import io
import time
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

__all__ = ["ArrivalClock", "Sound", "SoundKind", "SoundPacket", "SoundQueue"]

WINDOW = 3.0
"""Seconds over which the quickest way of a frame is looked for."""

MAX_WAITING = 1024
"""Packets that wait for a sink: 20 seconds of AAC. A sink that takes none loses the oldest."""


class ArrivalClock:
    """How timestamps of a stream lie to when its frames come; for one opening of a source.

    Frames come late, by more or by less, and never early: the quickest of the last few seconds
    counts. What FFmpeg held back while it looked at the stream comes all at once.

    Attributes:
        offset: seconds of the monotonic clock at timestamp zero; None before the first frame.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        self._seen: deque[tuple[float, float]] = deque()

    def saw(self, timestamp: float, now: float) -> None:
        """Note that a frame came.

        Args:
            timestamp: of the frame, seconds.
            now: seconds of the monotonic clock.
        """
        self._seen.append((now, now - timestamp))
        while now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        self.offset = min(offset for _, offset in self._seen)


@dataclass(frozen=True)
class SoundKind:
    """What all packets of a track have in common; equal where a track may go on with others.

    Attributes:
        codec: as FFmpeg names it.
        rate: samples a second.
        channels: how many.
        time_base: of the packets' timestamps, seconds.
        extradata: what a decoder must know beside packets.
        template: a stream of PyAV's, of no file, to make others from.
    """

    codec: str
    rate: int
    channels: int
    time_base: Fraction
    extradata: bytes
    template: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, stream: Any, extradata: bytes) -> SoundKind:
        """Describe a stream of PyAV's, which may be closed afterwards.

        Raises:
            av.FFmpegError, ValueError: FFmpeg can't copy it.
        """
        import av

        context = stream.codec_context
        aside: Any = av.open(io.BytesIO(), "w", format="nut")
        template = aside.add_stream_from_template(stream, opaque=True)
        codec = context.codec.canonical_name
        return cls(
            codec, context.rate, context.channels, stream.time_base, extradata, (template, aside)
        )

    def add_to(self, container: Any) -> Any:
        """Give a container of PyAV's, that is not written yet, such a stream; return it.

        Raises:
            av.FFmpegError, ValueError: the container does not hold it.
        """
        stream = container.add_stream_from_template(self.template[0], opaque=True)
        if self.extradata:
            stream.codec_context.extradata = self.extradata
        return stream


@dataclass(frozen=True)
class SoundPacket:
    """Encoded sound.

    Attributes:
        content: as the source had it.
        kind: of its track.
        pts: timestamp in units of the kind's time base.
        duration: likewise; 0: unknown.
        clock: that the timestamp is of.
    """

    content: bytes
    kind: SoundKind
    pts: int
    duration: int
    clock: ArrivalClock

    @property
    def heard(self) -> float | None:
        """When it is to be heard, seconds of the monotonic clock; None: not known yet."""
        offset = self.clock.offset
        return None if offset is None else float(self.pts * self.kind.time_base) + offset


class Sound:
    """Hands the sound of one source to any number of sinks; outlives what is opened again.

    Attributes:
        kind: of the newest packet; None before the first.
    """

    def __init__(self) -> None:
        self.kind: SoundKind | None = None
        self._queues: list[SoundQueue] = []

    @property
    def wanted(self) -> bool:
        """Whether a sink listens."""
        return bool(self._queues)

    def put(self, packet: SoundPacket) -> None:
        """Hand a packet to who listens; never waits."""
        if self.kind != packet.kind:
            self.kind = packet.kind
        for queue in tuple(self._queues):
            queue.put(packet)

    def listen(self) -> SoundQueue:
        """Listen from now on, until the queue is closed."""
        queue = SoundQueue(self)
        self._queues.append(queue)
        return queue

    def leave(self, queue: SoundQueue) -> None:
        """See :meth:`SoundQueue.close`."""
        if queue in self._queues:
            self._queues.remove(queue)


class SoundQueue:
    """The packets that one sink has not taken yet.

    Attributes:
        warned: what people were told of the sound once.
    """

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._waiting: deque[SoundPacket] = deque(maxlen=MAX_WAITING)
        self.warned: set[str] = set()

    @property
    def kind(self) -> SoundKind | None:
        """Of what comes; None while there is no sound."""
        return self._sound.kind

    def put(self, packet: SoundPacket) -> None:
        """See :meth:`Sound.put`."""
        self._waiting.append(packet)

    def take(self, until: float | None = None) -> list[SoundPacket]:
        """Packets that have come, in order.

        Args:
            until: seconds of the monotonic clock; what is heard later waits. None: all.
        """
        until = time.monotonic() + MAX_WAITING if until is None else until
        taken = []
        while self._waiting:
            packet = self._waiting[0]
            given_up = packet.heard is None and packet.clock is not self._waiting[-1].clock
            if not given_up and (packet.heard is None or packet.heard > until):
                break
            self._waiting.popleft()
            if not given_up:  # else of an opening that never had a picture
                taken.append(packet)
        return taken

    def close(self) -> None:
        """Listen no more."""
        self._sound.leave(self)
        self._waiting.clear()
