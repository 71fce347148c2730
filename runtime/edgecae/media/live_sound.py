"""The sound of a live stream, read beside its video: the end of the source."""

from __future__ import annotations

import time
from typing import Any

from edgecae import naming
from edgecae.media.sound import ArrivalClock, SoundKind, SoundPacket
from edgecae.media.sources.base import SourceSettings

__all__ = ["LiveSound", "warn_once"]

log = naming.logger(__name__)

MAX_WAIT = 0.5
"""Seconds that the first frame waits for sound: else a recording would begin without, and go on in
another file."""


def warn_once(name: str, settings: SourceSettings) -> None:
    """Say that the sound of a stream is left out, unless it was said."""
    warning = f"{name}: its sound is left out"
    if warning not in settings.warned:
        settings.warned.add(warning)
        log.warning("%s", warning)


class LiveSound:
    """Reads the first audio stream of a container, if a sink listens.

    Args:
        container: PyAV's, for reading.
        name: of the source, for people.
        settings: of the source; ``sound`` gets the packets.
    """

    def __init__(self, container: Any, name: str, settings: SourceSettings) -> None:
        self._streams = list(container.streams.audio[:1])
        self._name, self._settings, self._sound = name, settings, settings.sound
        self._clock = ArrivalClock()
        self._kind: SoundKind | None = None
        self._filter: Any = None
        self._waiting_since: float | None = None
        self._usable = False

    def begin(self) -> list[Any]:
        """Streams to read; called once, when sinks are open."""
        self._usable = bool(self._streams) and self._sound is not None and self._sound.wanted
        if self._streams and not self._usable:
            warn_once(self._name, self._settings)
        return self._streams if self._usable else []

    def picture(self, picture: Any) -> bool:
        """Note that a picture came; whether to use it, rather than wait for the first sound."""
        now = time.monotonic()
        if picture.pts is not None:
            self._clock.saw(float(picture.pts * picture.time_base), now)
        if not self._usable or self._kind is not None:
            return True
        self._waiting_since = self._waiting_since or now
        return now - self._waiting_since > MAX_WAIT

    def packet(self, packet: Any) -> None:
        """Hand on a packet of sound; what FFmpeg can't take along is left out."""
        import av

        if not self._usable or self._sound is None or packet.size == 0 or packet.pts is None:
            return
        pts, duration = packet.pts, packet.duration or 0
        try:
            content = self._begun(packet) if self._kind is None else self._bytes(packet)
        except (av.FFmpegError, ValueError) as error:
            log.debug("%s: a packet of sound: %s", self._name, error)
            if self._kind is None:
                self._usable = False
                warn_once(self._name, self._settings)
            return
        if self._kind is not None and content:
            self._sound.put(SoundPacket(content, self._kind, pts, duration, self._clock))

    def _begun(self, packet: Any) -> bytes:
        """Find out, by the first packet, what sound it is; what of the packet is sound."""
        import av

        (stream,) = self._streams
        context = stream.codec_context
        extradata = bytes(context.extradata or b"")
        content = bytes(packet)
        if context.codec.canonical_name == "aac" and not extradata:
            # Each packet begins with the settings (ADTS); most outputs want them once.
            self._filter = av.BitStreamFilterContext("aac_adtstoasc", in_stream=stream)
            (made,) = self._filter.filter(packet)
            extradata, content = bytes(made.get_sidedata("new_extradata")), bytes(made)
        self._kind = SoundKind.of(stream, extradata)
        return content

    def _bytes(self, packet: Any) -> bytes:
        if self._filter is None:
            return bytes(packet)
        return b"".join(bytes(made) for made in self._filter.filter(packet))
