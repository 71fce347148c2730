"""EXIF data: bytes that begin with ``Exif\\0\\0``, then a TIFF header and its directories."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

__all__ = ["directory", "normal", "of_tags", "orientation", "upright", "upright_xmp"]

HEAD = b"Exif\0\0"

_GEOGRAPHIC = {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113}
"""Tags of GeoTIFF and GDAL."""

_DESCRIPTIVE = {
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.PageName,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
    *_GEOGRAPHIC,
}
"""Tags of a TIFF file that describe the picture, not how it is stored. The orientation is none:
Pillow applies that of a TIFF file, and of others it is turned upright."""


class _Text(str):
    """Text of a tag: Pillow reads it as Latin-1, and would write others than ASCII as "?"."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:  # noqa: ARG002
        return super().encode("latin-1", errors)


def normal(data: bytes) -> bytes:
    """EXIF data with the head that some formats leave out, and others repeat."""
    while data.startswith(HEAD):
        data = data[len(HEAD) :]
    return HEAD + data


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, tuple):
        return tuple(_value(each) for each in value)
    return value


def directory(tags: Image.Exif) -> TiffImagePlugin.ImageFileDirectory_v2:
    """What of a file's tags describes the picture, with the directories of Exif and GPS.

    Raises:
        Exception: of damaged tags, Pillow raises whatever comes to hand.
    """
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in sorted(_DESCRIPTIVE & tags.keys()):
        found[tag] = _value(tags[tag])
    for place in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        below: Mapping[int, Any] = tags.get_ifd(place)
        inner = {tag: _value(value) for tag, value in below.items()}
        if ExifTags.IFD.Interop in inner:
            inner[ExifTags.IFD.Interop] = dict(tags.get_ifd(ExifTags.IFD.Interop))
        if inner:
            found[place] = inner
    return found


def of_tags(tags: Image.Exif) -> bytes | None:
    """EXIF data of a TIFF file's tags; None where nothing describes the picture."""
    found = directory(tags)
    if not len(found):
        return None
    return HEAD + b"II*\0\x08\0\0\0" + found.tobytes(8)


def _orientation_entry(data: bytes) -> tuple[str, int, str] | None:
    """Byte order, place and form of the number that is the orientation; None: there is none.

    It is changed where it lies: all else, such as a maker's notes, refers to places in the data.
    """
    start = len(HEAD)
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", data, start + 4)
        (count,) = struct.unpack_from(f"{order}H", data, start + first)
        for place in range(start + first + 2, start + first + 2 + 12 * count, 12):
            tag, form = struct.unpack_from(f"{order}HH", data, place)
            if tag == ExifTags.Base.Orientation:
                form = {3: "H", 4: "I"}.get(form, "")
                return (order, place + 8, form) if form and place + 12 <= len(data) else None
    except struct.error:
        pass
    return None


def orientation(data: bytes | None) -> int:
    """The orientation that EXIF data say, 1 to 8; 1, upright, where they say none."""
    entry = _orientation_entry(data) if data else None
    if data is None or entry is None:
        return 1
    order, place, form = entry
    (value,) = struct.unpack_from(order + form, data, place)
    return int(value) if 1 <= value <= 8 else 1


def upright(data: bytes) -> bytes:
    """The same EXIF data, of a picture that has been turned upright."""
    entry = _orientation_entry(data)
    if entry is None:
        return data
    order, place, form = entry
    changed = bytearray(data)
    struct.pack_into(order + form, changed, place, 1)
    return bytes(changed)


def upright_xmp(xmp: bytes) -> bytes:
    """The same XMP data, of a picture that has been turned upright."""
    return re.sub(rb"""(tiff:Orientation(?:=["']|>))[1-8]""", rb"\g<1>1", xmp)
