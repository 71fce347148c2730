"""Write image files, with all that belongs to the picture.

The boundary where whatever Pillow raises becomes a :class:`SinkError`.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from edgecae import atomic
from edgecae.errors import SettingError, SinkError
from edgecae.media.images import deep, formats, metadata, png_file, tiff_file
from edgecae.media.images.picture import Picture, upright_view

__all__ = ["SUBSAMPLINGS", "Coding", "write", "write_stream"]

log = logging.getLogger(__name__)

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")

QUALITY = 95
"""Of formats that have one, unless a caller says otherwise."""

MAX_AVIF_PIXELS = 48_000_000
"""Of a picture that is written as AVIF: its encoder takes 40 bytes of memory a pixel."""

_DEEP = {"PNG", "TIFF", "PPM"}
"""Formats that are written with 16 bits a channel."""

_OPAQUE = {"JPEG", "PPM"}
"""Formats without transparency."""


@dataclass(frozen=True)
class Coding:
    """How pictures are encoded, where a caller says so.

    Attributes:
        quality: of JPEG, WebP and AVIF, 1 to 100; None: 95, and without loss where a WebP file was
            so before.
        subsampling: of the colours of JPEG and AVIF, one of :data:`SUBSAMPLINGS`; None: as the
            file was before, and 4:4:4 where it was none of the two.

    Raises:
        SettingError: a number or a word is none of these.
    """

    quality: int | None = field(
        default=None,
        metadata={
            "metavar": "1…100",
            "help": "Of pictures in JPEG, WebP and AVIF; 95 unless given, and WebP without loss "
            "stays so.",
        },
    )
    subsampling: str | None = field(
        default=None,
        metadata={"help": "Of colours in JPEG and AVIF; as it was, or 4:4:4, unless given."},
    )

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise SettingError(f"a quality lies between 1 and 100, not {self.quality}")
        if self.subsampling not in (None, *SUBSAMPLINGS):
            raise SettingError(
                f"a subsampling is one of {', '.join(SUBSAMPLINGS)}, not {self.subsampling}"
            )

    def check(self, kinds: Iterable[str]) -> None:
        """Refuse what none of the results has.

        Args:
            kinds: Pillow's names of their formats.

        Raises:
            SettingError: a quality without JPEG, WebP or AVIF; a subsampling without JPEG or AVIF.
        """
        there = set(kinds)
        if self.quality is not None and not there & formats.LOSSY:
            raise SettingError("a quality is for JPEG, WebP and AVIF; no result is one of them")
        if self.subsampling is not None and not there & {"JPEG", "AVIF"}:
            raise SettingError("a subsampling is for JPEG and AVIF; no result is one of them")


def write(
    path: Path,
    picture: Picture,
    durable: bool = True,
    mode: int | None = None,
    coding: Coding | None = None,
) -> None:
    """Write an image, whole or not at all; the suffix of ``path`` says in which format.

    What the format can't hold of what belongs to the picture is named in a line of the log.

    Args:
        path: the file to make.
        picture: what it shall hold. It is turned upright, unless the format is that of the file
            that it was read from.
        durable: flush it to the disk before it gets its name.
        mode: permissions of the new file, see ``edgecae.atomic.writing``.
        coding: how it is encoded.

    Raises:
        SinkError: the suffix is unknown, the format can't hold the picture, or writing failed.
    """
    kind = formats.kind_to_write(path)
    with (
        atomic.writing(path, durable=durable, mode=mode) as temporary,
        temporary.open("wb+") as file,
    ):
        write_stream(file, str(path), kind, picture, coding)


def write_stream(
    file: IO[bytes], name: str, kind: str, picture: Picture, coding: Coding | None = None
) -> None:
    """Write an image into an open file, which has positions and is empty; see :func:`write`.

    Args:
        file: to write into.
        name: of it, for messages.
        kind: Pillow's name of the format.
        picture: what it shall hold.
        coding: how it is encoded.
    """
    height, width = picture.pixels.shape[:2]
    if kind == "AVIF" and height * width > MAX_AVIF_PIXELS:
        raise SinkError(
            f"{name} can't be written: {width}×{height} is more than {MAX_AVIF_PIXELS:,} pixels, "
            f"for which its encoder takes too much memory; write JPEG, TIFF or PNG"
        )
    if kind != picture.kind:
        picture = upright_view(picture)
    info, lost = metadata.fitting(picture.info, kind)
    if picture.alpha is not None and kind in _OPAQUE:
        if (picture.alpha != 255).any():
            raise SinkError(
                f"{name} can't be written: {kind} has no transparency; write PNG, WebP or TIFF"
            )
        fine = None if picture.fine is None else np.ascontiguousarray(picture.fine[..., :-1])
        picture = replace(picture, alpha=None, fine=fine)
    if picture.fine is not None and kind not in _DEEP:
        lost.append("16 bits a channel (8 are kept)")
        picture = replace(picture, fine=None)
    try:
        _encode(file, name, kind, picture, info, coding or Coding())
    except OSError as error:
        if error.errno is None:  # of Pillow, not of the system
            raise SinkError(f"{name} can't be written: {error}") from error
        raise
    except Exception as error:  # what belongs to the picture may be as damaged as a file
        why = " ".join(str(error).split()) or type(error).__name__
        raise SinkError(f"{name} can't be written: {why}") from error
    if left_out := (*picture.left_out, *lost):
        log.warning("%s: left out: %s", name, ", ".join(left_out))


def _encode(
    file: IO[bytes],
    name: str,
    kind: str,
    picture: Picture,
    info: Mapping[str, Any],
    coding: Coding,
) -> None:
    if kind == "TIFF":
        tiff_file.write_tiff(name, file, picture, info)
    elif kind == "PNG" and picture.fine is not None:
        png_file.write_deep_png(file, picture, info)
    elif kind == "PPM" and picture.fine is not None:
        _write_deep_ppm(file, picture)
    else:
        options = _options(kind, picture, info, coding)
        _image(picture).save(file, format=kind, **options)


def _image(picture: Picture) -> Image.Image:
    """The picture in Pillow's memory; rows at a time, where a whole one would be a third one."""
    if picture.alpha is None and picture.pixels.flags.c_contiguous:
        return Image.fromarray(picture.pixels)
    height, width = picture.pixels.shape[:2]
    mode = ("L" if picture.pixels.ndim == 2 else "RGB") + ("" if picture.alpha is None else "A")
    image = Image.new(mode, (width, height))
    step = deep.rows_of(width)
    for top in range(0, height, step):
        band = np.ascontiguousarray(picture.rows(top, top + step))
        image.paste(Image.fromarray(band.squeeze(2) if mode == "L" else band), (0, top))
    return image


def _options(
    kind: str, picture: Picture, info: Mapping[str, Any], coding: Coding
) -> dict[str, Any]:
    """What Pillow is told of a format."""
    if kind == "PNG":
        return png_file.options(info)
    kept = {key: info[key] for key in ("exif", "icc_profile", "dpi", "xmp") if key in info}
    quality = coding.quality or QUALITY
    subsampling = coding.subsampling or picture.coding.get("subsampling", "4:4:4")
    if kind == "JPEG":
        kept |= {"quality": quality, "subsampling": subsampling, "extra": _segments(info)}
        kept |= {"comment": info["comment"]} if "comment" in info else {}
    elif kind == "WEBP":
        lossless = coding.quality is None and bool(picture.coding.get("lossless"))
        kept |= {"quality": quality, "exact": True, "lossless": lossless}
    elif kind == "AVIF":
        gray = picture.pixels.ndim == 2
        kept |= {"quality": quality, "subsampling": "4:0:0" if gray else subsampling}
    return kept


def _segments(info: Mapping[str, Any]) -> bytes:
    """Segments of JPEG that Pillow does not write by itself."""
    contents = list(info.get("xmp_extension", ()))
    blocks, head = info.get("photoshop", b""), b"Photoshop 3.0\0"
    room = metadata.MAX_JPEG_SEGMENT - len(head)
    contents = [
        *(head + blocks[start : start + room] for start in range(0, len(blocks), room)),
        *contents,
    ]
    return b"".join(
        b"\xff" + (b"\xed" if content.startswith(head) else b"\xe1")
        + struct.pack(">H", len(content) + 2) + content
        for content in contents
    )  # fmt: skip


def _write_deep_ppm(file: IO[bytes], picture: Picture) -> None:
    height, width = picture.pixels.shape[:2]
    file.write(b"P%d\n%d %d\n65535\n" % (5 if picture.pixels.ndim == 2 else 6, width, height))
    step = deep.rows_of(width)
    for top in range(0, height, step):
        file.write(picture.rows(top, top + step).astype(">u2").tobytes())
