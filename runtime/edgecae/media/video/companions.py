"""What goes with the pictures of a video: sound, subtitles, metadata, chapters, attachments.

All of it is copied as it is. What a container can't hold is named, by comparing what was written
with what was there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgecae import naming
from edgecae.media import containers
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.sources.video_file import VideoFile
from edgecae.media.video.timestamps import PacketTimes

__all__ = ["Companions"]

log = naming.logger(__name__)

_OF_CONTAINER = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration",
    "vendor_id", "handler_name", "encoding_tool", "language", "bps", "number_of_frames",
    "number_of_bytes", "variant_bitrate", "metadatacreator", "_statistics_writing_app",
    "_statistics_writing_date_utc", "_statistics_tags", "has_qt",
}  # fmt: skip
"""Keys of metadata that speak of the file or its container, not of what it shows."""

_MIN_SOUND_STEP = Fraction(1, 100)
"""How long a packet lasts that does not say so, seconds."""


class Companions:
    """Copies what goes with the pictures of a source into an output.

    Args:
        source: the video that frames come from.
        container: PyAV's, of the output; nothing is written yet.
        name: of the output, for messages.
        audio: whether sound is copied.
        holds: whether the container holds a codec of PyAV's.
    """

    def __init__(
        self,
        source: VideoFile,
        container: Any,
        name: str,
        audio: bool,
        holds: Callable[[Any], bool],
    ) -> None:
        import av

        self._av: Any = av
        self._source, self._container, self._name = source, container, name
        self._holds, self._audio = holds, audio
        self._targets: dict[int, Any] = {}
        self._times: dict[int, PacketTimes] = {}
        self._filters: dict[int, Any] = {}
        self._waiting: deque[Any] = deque()
        self._lost: list[str] = []
        source.on_packet.append(self._waiting.append)

    def add_streams(self, video: Any) -> None:
        """Set up all streams; ``video``: the output's own, whose metadata are the source's."""
        source = self._source
        video.metadata.update(_copied(source.stream.metadata))
        video.disposition = source.stream.disposition
        for stream in source.other_streams:
            if stream.type != "audio" or self._audio:
                self._add(stream)
        self._container.metadata.update(_copied(source.container.metadata))
        chapters = source.container.chapters()
        if chapters:
            self._container.set_chapters(chapters)
        self._attach()

    def _attach(self) -> None:
        """Copy attachments, such as fonts of subtitles, which Matroska alone holds."""
        for stream in self._source.container.streams.attachments:
            name = stream.metadata.get("filename", "")
            if self._container.format.name == "matroska":
                mimetype = stream.mimetype or "application/octet-stream"
                self._container.add_attachment(name or "attachment", mimetype, stream.data)
            else:
                self._lost.append(f"attachment {name}".rstrip())

    def _add(self, stream: Any) -> None:
        """Take a stream along, if the container holds its codec."""
        context = stream.codec_context
        name = context.name if context is not None else (getattr(stream, "name", None) or "")
        if stream.type == "data" and self._is_made_again(stream):
            return
        try:
            if context is None or not self._holds(context.codec):
                raise ValueError("this container does not hold it")
            copy = self._container.add_stream_from_template(stream, opaque=True)
            self._filter_aac(stream, copy)
        except (ValueError, self._av.FFmpegError) as error:
            log.debug("%s: %s: %s", self._name, name, error)
            kind = "another video" if stream.type == "video" else stream.type
            self._lost.append(f"{kind} ({name})" if name else kind)
            return
        copy.metadata.update(_copied(stream.metadata))
        copy.disposition = stream.disposition
        self._targets[stream.index] = copy

    def _is_made_again(self, stream: Any) -> bool:
        """Whether a track says what metadata say as well: a timecode, or the names of chapters."""
        chapters = self._source.container.chapters()
        return "timecode" in stream.metadata or (0 < stream.frames == len(chapters))

    def _filter_aac(self, stream: Any, copy: Any) -> None:
        """Of AAC whose packets begin with their settings (ADTS), tell the header these settings.

        FFmpeg would find them itself, but only after it has written the header without them.
        """
        first = self._source.first_packets.get(stream.index)
        if first is None or self._container.format.name in ("mpegts", "mpeg"):
            return
        probe = self._av.BitStreamFilterContext("aac_adtstoasc", in_stream=stream)
        (packet,) = probe.filter(self._av.Packet(first))
        copy.codec_context.extradata = bytes(packet.get_sidedata("new_extradata"))
        self._filters[stream.index] = self._av.BitStreamFilterContext(
            "aac_adtstoasc", in_stream=stream
        )

    def packets(self, until: float | None = None) -> list[Any]:
        """Packets that have come and belong into the output, in order, ready to be written.

        Args:
            until: seconds; later ones wait. None: all.
        """
        ready: list[Any] = []
        while self._waiting:
            packet = self._waiting[0]
            when = packet.dts if packet.dts is not None else packet.pts
            if until is not None and when is not None and when * packet.time_base > until:
                break
            self._waiting.popleft()
            if packet.stream.index in self._targets:
                ready += self._ready(packet)
        return ready

    def _ready(self, packet: Any) -> list[Any]:
        """A packet as the output takes it."""
        index, base = packet.stream.index, packet.time_base
        # Each output has its own timestamps; the packet may go to several.
        copy = self._av.Packet(bytes(packet))
        copy.time_base, copy.duration = base, packet.duration
        copy.is_keyframe = packet.is_keyframe
        times = self._times.setdefault(index, PacketTimes(base, _MIN_SOUND_STEP))
        reordered = packet.stream.type == "video"
        copy.pts, copy.dts = times.next(packet.pts, packet.dts, packet.duration, reordered)
        if index in self._filters:
            stamps = copy.pts, copy.dts, copy.duration
            filtered = []
            for each in self._filters[index].filter(copy):
                # Without side data: the settings are in the header already.
                plain = self._av.Packet(bytes(each))
                plain.pts, plain.dts, plain.duration = stamps
                plain.time_base, plain.is_keyframe = base, True
                filtered.append(plain)
        else:
            for data in packet.iter_sidedata():
                copy.set_sidedata(data)
            filtered = [copy]
        for each in filtered:
            each.stream = self._targets[index]
        return filtered

    def name_what_is_lost(self, path: Path) -> None:
        """Compare a finished file with the source, and log one line for what is not in it."""
        try:
            with path.open("rb") as file, containers.open_file(file, MAX_PIXELS) as result:
                self._compare(result)
        except (self._av.FFmpegError, OSError, ValueError) as error:
            log.debug("%s can't be compared: %s", path, error)
        if self._lost:
            counted = Counter(self._lost)
            words = (f"{n} × {what}" if n > 1 else what for what, n in counted.items())
            log.warning("%s: left out: %s", self._name, ", ".join(words))

    def _compare(self, result: Any) -> None:
        source, kept = self._source.container, result.streams
        there = _keys(result.metadata)
        for stream in kept:
            there |= _keys(stream.metadata)
        wanted = _keys(source.metadata) | _keys(self._source.stream.metadata)
        gone = sorted(key for key in wanted - there if not _said_otherwise(key, there))
        if gone:
            self._lost.append(f"metadata ({', '.join(gone)})")
        if len(result.chapters()) < len(source.chapters()):
            self._lost.append("chapters")
        for index, target in self._targets.items():
            flags = source.streams[index].disposition & ~self._av.stream.Disposition.default
            missing = flags & ~kept[target.index].disposition
            if missing:
                kind = source.streams[index].type
                self._lost.append(f"{missing.name} of {kind}")
        if not kept.video:
            return
        aspect = self._source.stream.sample_aspect_ratio
        if aspect not in (None, 0, 1) and kept.video[0].sample_aspect_ratio != aspect:
            self._lost.append(f"shape of pixels ({aspect.numerator}:{aspect.denominator})")
        if self._source.display_matrix and not self._turned(result):
            self._lost.append("rotation")

    def _turned(self, result: Any) -> bool:
        first = next(iter(result.decode(video=0)), None)
        kind = self._av.sidedata.sidedata.Type.DISPLAYMATRIX
        return first is not None and first.side_data.get(kind) is not None


def _copied(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata that a copy shall have."""
    kept = {k: v for k, v in metadata.items() if k.lower() not in _OF_CONTAINER or k == "language"}
    # A place with a language is another reading of the one without; formats write but one.
    return {k: v for k, v in kept.items() if not (k.startswith("location-") and "location" in kept)}


def _keys(metadata: dict[str, str]) -> set[str]:
    return {key.lower() for key in _copied(metadata) if key.lower() != "language"}


_SYNONYMS = (
    {"date", "creation_time", "year"},
    {"title", "name"},
    {"comment", "description"},
)


def _said_otherwise(key: str, there: set[str]) -> bool:
    """Whether a container has another word for a key of metadata."""
    return any(key in words and words & there for words in _SYNONYMS)
