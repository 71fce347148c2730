"""What a sink is, and what it may want to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from edgecae.media.frame import Frame
from edgecae.media.sound import Sound, SoundQueue
from edgecae.media.sources.base import Source

__all__ = ["DEFAULT_CODEC", "FALLBACK_RATE", "Control", "Encoding", "Sink", "SinkSettings"]

DEFAULT_CODEC = "auto"
"""H.264 where the container holds it, else the container's own default. Of more than 8 bits or with
alpha: what keeps most of it."""


FALLBACK_RATE = Fraction(30)
"""Frames a second of a video whose source has no rate."""


class Control(Protocol):
    """What a sink that people look at may know of the stream, and may change in it.

    Safe for use from any thread.
    """

    def snapshot(self) -> dict[str, Any]:
        """Figures of this moment, ready for JSON.

        ``frames_in``, ``frames_out``, ``dropped``, ``broken``, ``reconnects``; ``fps``;
        ``process_p50_ms``, ``latency_p50_ms`` and so on for p95 and p99; ``noise``, the estimated σ
        on the 0–255 scale or None; ``strength``, the share in use; ``strength_auto``;
        ``offline_seconds``, None while frames come; ``source`` and ``model``, names.
        """

    def set_strength(self, strength: float | None) -> None:
        """Change the strength from the next frame on, 0 to 1; None: by the estimated noise.

        Raises:
            SettingError: it is out of its range.
        """


@dataclass(frozen=True)
class Encoding:
    """What the user asks of an encoder; None: its default, which is nearly
    transparent.

    The metadata of a field are those of its option on the command line.

    Attributes:
        crf: constant quality, of encoders that have it; the smaller, the better.
        bitrate: bits a second, in place of a quality.
        preset: speed against size, as the encoder names it.
        pixel_format: as FFmpeg names it.
        audio: whether sound is copied.
    """

    crf: float | None = field(
        default=None,
        metadata={
            "metavar": "N",
            "help": "Quality of a video; smaller is better. H.264 and H.265: 0 to 51, 16 unless "
            "given; VP9 and AV1: 0 to 63.",
        },
    )
    bitrate: int | None = field(
        default=None,
        metadata={"metavar": "RATE", "help": "Bits a second of a video, such as 800k or 4M."},
    )
    preset: str | None = field(
        default=None,
        metadata={
            "metavar": "NAME",
            "help": "Speed of the encoder against size: ultrafast … veryslow (H.264, H.265), "
            "0 … 13 (AV1).",
        },
    )
    pixel_format: str | None = None
    audio: bool = True


@dataclass(frozen=True)
class SinkSettings:
    """What a sink may want to know before the first frame.

    Attributes:
        source: where the frames come from; a video's rate, timestamps and sound are its.
        overwrite: replace an existing file.
        codec: of a video, as FFmpeg names it.
        segment: seconds after which a recording goes on in another file; None: never.
        control: of the stream; None where there is none.
        encoding: what else is asked of the encoder of a video.
        sound: of a live source; None: there is none, or it is not wanted.
        token: that opens a view whose description has none; None: there is none.
        goes_on: whether files of an earlier stream are no obstacle, unless they are replaced: what
            is written goes on beside them, under the next free number.
    """

    source: Source
    overwrite: bool = False
    codec: str = DEFAULT_CODEC
    segment: float | None = None
    control: Control | None = None
    token: str | None = field(default=None, repr=False)
    encoding: Encoding = field(default_factory=Encoding)
    sound: Sound | None = None
    goes_on: bool = False

    def listen(self) -> SoundQueue | None:
        """Listen to the sound, if there may be any; the queue is to be closed."""
        return self.sound.listen() if self.sound is not None and self.encoding.audio else None


class Sink(Protocol):
    """Something that frames go to.

    A sink is opened by making it and closed by leaving its ``with`` block, which finishes what it
    writes. What goes wrong in it is a :class:`SinkError`. All calls come from one thread, a thread
    of the sink's own: it may take its time, and only its own frames wait or are dropped.
    """

    @property
    def name(self) -> str:
        """For people."""

    @property
    def needs_original(self) -> bool:
        """Whether frames shall come with ``before``, the picture as it was."""

    @property
    def wants_slates(self) -> bool:
        """Whether it takes frames that say "offline since" while a live source is away."""

    @property
    def recovers(self) -> bool:
        """Whether, after a frame that failed, the next one is another attempt.

        Such a sink opens anew by itself, and never replaces what it wrote before.
        """

    def write(self, frame: Frame) -> None:
        """Take one frame; its pixels may change once this returns."""

    def __enter__(self) -> Sink: ...

    def __exit__(self, *error: object) -> None: ...
