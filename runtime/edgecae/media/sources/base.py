"""What a source is, and what the user may ask of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from edgecae.errors import SourceError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import MAX_PIXELS, Frame
from edgecae.media.sound import Sound
from edgecae.timeout import PendingCalls

__all__ = ["Source", "SourceSettings", "refuse_camera_options"]


@dataclass(frozen=True)
class SourceSettings:
    """What the user asks of a source; each takes what applies to it.

    The metadata of a field are those of its option on the command line.

    Attributes:
        size: width and height that a camera shall give.
        rate: frames a second that a camera shall give, or that pictures and raw streams have.
        pixel_format: of a camera, as FFmpeg names it.
        stall: seconds; a live source that is silent for so long is offline.
        max_pixels: of a picture or frame; a larger one is not decoded. Of video whose frames refer
            to others, a quarter: its decoder holds up to 17 of them.
        buffers: where pixels of frames come from, and where the stream gives them back.
        pending: attempts to open a source that have not come back; as long as one has not, another
            with these settings is not begun, and the source is offline.
        warned: what people were told of the source once; they are not told again each time that it
            is opened again with these settings.
    """

    size: tuple[int, int] | None = field(
        default=None, metadata={"metavar": "WxH", "help": "Width and height of a camera's frames."}
    )
    rate: Fraction | None = field(
        default=None,
        metadata={
            "flag": "--fps",
            "metavar": "RATE",
            "help": "Frames a second of a camera, of a folder of pictures, or of a raw "
            "stream such as .h264.",
        },
    )
    pixel_format: str | None = field(
        default=None, metadata={"metavar": "F", "help": "Of a camera, as FFmpeg names it."}
    )
    stall: float = field(
        default=5.0,
        metadata={
            "metavar": "SECONDS",
            "help": "A camera or a network stream that is silent for so long is opened again.",
        },
    )
    max_pixels: int = field(
        default=MAX_PIXELS,
        metadata={
            "metavar": "N",
            "help": "Pixels that a picture may have; a larger one is refused before it is decoded.",
        },
    )
    buffers: Buffers = field(default_factory=Buffers)
    pending: PendingCalls = field(default_factory=PendingCalls)
    warned: set[str] = field(default_factory=set)
    sound: Sound | None = None


def refuse_camera_options(name: str, settings: SourceSettings, rate: bool = False) -> None:
    """Refuse what only a camera can be asked.

    Args:
        name: of the source, without secrets.
        settings: what the user asks.
        rate: whether the source takes ``--fps``.

    Raises:
        SourceError: something is asked.
    """
    asked: dict[str, object] = {"--size": settings.size, "--pixel-format": settings.pixel_format}
    if not rate:
        asked["--fps"] = settings.rate
    given = [option for option, value in asked.items() if value is not None]
    if given:
        raise SourceError(f"{name} is no camera: it can't be asked for {', '.join(given)}")


class Source(Protocol):
    """Something that frames come from.

    A source is opened by making it, read by iterating over it once, and closed by leaving its
    ``with`` block. What goes wrong in it is a :class:`SourceError`. Every frame has pixels of its
    own, taken from ``SourceSettings.buffers``.

    A *live* source gives frames at its own pace, whether they are taken or not: the newest one
    counts. Where it is not there, breaks off, ends, or is silent for as long as ``stall`` of its
    settings says, it raises :class:`OfflineError`, on opening or while it is read; it must never
    block for longer than that. It is then closed and opened again.
    The iteration of any other source ends where its frames do.
    """

    @property
    def name(self) -> str:
        """For people: no password, no token."""

    @property
    def rate(self) -> Fraction | None:
        """Nominal frames a second, where there is such a thing."""

    @property
    def live(self) -> bool:
        """See the class."""

    @property
    def broken(self) -> int:
        """Frames so far that were there, and could not be decoded; each is passed over."""

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *error: object) -> None: ...
