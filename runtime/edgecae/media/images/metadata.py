"""What an image file says of its picture: what is read of it, and what each format can hold.

``Picture.info`` has, where the file has them:

=================  ================================================================
``exif``           EXIF data, bytes that begin with ``Exif\\0\\0``
``icc_profile``    a colour profile, bytes
``dpi``            resolution in dots per inch, two numbers
``xmp``            XMP data, bytes
``xmp_extension``  its further parts, payloads of JPEG's APP1
``photoshop``      image resource blocks of Photoshop, bytes; IPTC is block 0x0404
``comment``        of JPEG and GIF, bytes
``png_text``       chunks of text, pairs of type and content
``png_colour``     chunks that say how colours are meant (gAMA, cHRM, sRGB, cICP);
                   also of AVIF and HEIC, where these have no profile
=================  ================================================================
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import IO, Any

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from edgecae.media.images import boxes, exif

__all__ = ["collect", "fitting", "iptc"]

MAX_JPEG_SEGMENT = 65_533
"""Bytes of data in a segment of JPEG."""

MAX_PNG_CHUNKS, MAX_PNG_BYTES = 200_000, 2**24
"""Chunks of a PNG file that are looked at, and bytes of those that are kept."""

_IPTC_TAG, _PHOTOSHOP_TAG, _IPTC_BLOCK = 33723, 34377, 0x0404

_NAMES = {
    "exif": "EXIF",
    "icc_profile": "colour profile",
    "dpi": "resolution",
    "xmp": "XMP",
    "xmp_extension": "extended XMP",
    "photoshop": "IPTC and Photoshop data",
    "comment": "comment",
    "png_text": "PNG text",
    "png_colour": "gamma",
}

_HELD: dict[str, frozenset[str]] = {
    "JPEG": frozenset(
        {"exif", "icc_profile", "dpi", "xmp", "xmp_extension", "photoshop", "comment"}
    ),
    "PNG": frozenset({"exif", "icc_profile", "dpi", "xmp", "png_text", "png_colour"}),
    "TIFF": frozenset({"exif", "icc_profile", "dpi", "xmp", "photoshop"}),
    "WEBP": frozenset({"exif", "icc_profile", "xmp"}),
    "AVIF": frozenset({"exif", "icc_profile", "xmp"}),
    "BMP": frozenset({"dpi"}),
    "PPM": frozenset(),
}
"""What each format that is written can hold."""

_SCREEN_RESOLUTIONS = {(72, 72), (96, 96), (1, 1)}
"""That programs write where nothing is known: no loss."""

_PLAIN_GAMMA = (b"gAMA", struct.pack(">I", 45455))
"""What viewers take a picture for that says nothing."""


def collect(
    image: ImageFile.ImageFile, file: IO[bytes], kind: str
) -> tuple[dict[str, Any], list[str]]:
    """Read what a file says of its picture, before Pillow decodes it.

    Args:
        image: opened.
        file: where it is read from; its position is left where it was.
        kind: the format of the file.

    Returns:
        ``Picture.info``, and what is left out, in words.
    """
    info = {
        key: image.info[key]
        for key in ("exif", "icc_profile", "dpi", "xmp", "comment")
        if image.info.get(key)
    }
    lost: list[str] = []
    if isinstance(info.get("xmp"), str):
        info["xmp"] = info["xmp"].encode()
    if isinstance(info.get("comment"), str):
        info["comment"] = info["comment"].encode("latin-1", "replace")
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _collect_jpeg(image, info, lost)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _collect_tiff(image, info, lost)
    elif kind == "PNG":
        place = file.tell()
        _collect_png(file, info, lost)
        file.seek(place)
        if "exif" not in info and "Raw profile type exif" in image.info:
            info["exif"] = exif.of_tags(image.getexif())
    elif kind == "AVIF" and "icc_profile" not in info:
        info["png_colour"] = boxes.colour_chunks(file)
    if info.get("exif"):
        info["exif"] = exif.normal(info["exif"])
    return {key: value for key, value in info.items() if value}, lost


# JPEG

_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"
_KNOWN_SEGMENTS = {"APP0", "APP1", "APP2", "APP13", "APP14", "COM"}


def _collect_jpeg(
    image: JpegImagePlugin.JpegImageFile, info: dict[str, Any], lost: list[str]
) -> None:
    pictures = _pictures_of_mpf(image.info.get("mp"))
    gain_map = b"hdrgm:" in info.get("xmp", b"")
    extensions, blocks = [], b""
    for name, content in image.applist:
        if name == "APP1" and content.startswith(_XMP_EXTENSION):
            extensions.append(content)
        elif name == "APP13" and content.startswith(_PHOTOSHOP):
            blocks += content[len(_PHOTOSHOP) :]
        elif name == "APP2":
            gain_map |= content.startswith(_GAIN_MAP)
        elif name not in _KNOWN_SEGMENTS:
            what = "content credentials" if name == "APP11" else f"data in {name}"
            lost += [] if what in lost else [what]
    info.update(xmp_extension=tuple(extensions), photoshop=blocks)
    if gain_map:
        lost.append("gain map")
        pictures -= 1
    if pictures > 1:
        lost.append(f"{pictures - 1} further picture{'s' if pictures > 2 else ''}")
    if re.search(rb"""(MotionPhoto|MicroVideo)(=["']|>)1""", info.get("xmp", b"")):
        lost.append("the video of a motion photo")
    if lost and info.get("xmp"):
        info["xmp"] = _without_absent(info["xmp"])


def _pictures_of_mpf(data: bytes | None) -> int:
    """How many pictures a file of several holds (CIPA DC-007)."""
    if not data:
        return 1
    tags = Image.Exif()
    try:
        tags.load(data)
        return int(tags[0xB001])
    except Exception:  # of damaged tags, Pillow raises whatever comes to hand: there are some
        return 2


_ABSENT = rb"hdrgm:\w+|\w*Camera:(?:MotionPhoto|MicroVideo)\w*"
"""What XMP data say of pictures and videos behind the main picture, by the prefixes that cameras
use."""

_ATTRIBUTE = re.compile(rb"""\s(?:%b)\s*=\s*(?:"[^"]*"|'[^']*')""" % _ABSENT)
_ELEMENT = re.compile(rb"<(%b|\w*Container:Directory)(?:\s[^<>]*)?>" % _ABSENT)


def _without_absent(xmp: bytes) -> bytes:
    """XMP data of one segment without what they say of things that are not kept."""
    if len(xmp) > MAX_JPEG_SEGMENT:
        return xmp
    xmp = _ATTRIBUTE.sub(b"", xmp)
    kept, place, unclosed = [], 0, set[bytes]()
    for start in _ELEMENT.finditer(xmp):
        if start.start() < place or start[1] in unclosed:  # inside of one that goes
            continue
        end = start.end()
        if not start[0].endswith(b"/>"):
            closing = b"</" + start[1] + b">"
            found = xmp.find(closing, end)  # a pattern for both would try each pair of places
            if found < 0:
                unclosed.add(start[1])
                continue
            end = found + len(closing)
        kept.append(xmp[place : start.start()])
        place = end
    return b"".join(kept) + xmp[place:]


def iptc(blocks: bytes) -> bytes | None:
    """IPTC data among image resource blocks of Photoshop; None: there are none."""
    place = 0
    while blocks[place : place + 4] == b"8BIM" and place + 12 <= len(blocks):
        (number,) = struct.unpack_from(">H", blocks, place + 4)
        start = place + 6 + (blocks[place + 6] + 2) // 2 * 2
        if start + 4 > len(blocks):
            break
        (size,) = struct.unpack_from(">I", blocks, start)
        if number == _IPTC_BLOCK:
            return blocks[start + 4 : start + 4 + size]
        place = start + 4 + size + size % 2
    return None


# TIFF


def _collect_tiff(
    image: TiffImagePlugin.TiffImageFile, info: dict[str, Any], lost: list[str]
) -> None:
    try:
        info["exif"] = exif.of_tags(image.getexif())
    except Exception:  # of damaged tags, Pillow raises whatever comes to hand
        info.pop("exif", None)
        lost.append("EXIF (damaged)")
    blocks, records = (image.tag_v2.get(tag) for tag in (_PHOTOSHOP_TAG, _IPTC_TAG))
    if isinstance(blocks, bytes):
        info["photoshop"] = blocks
    elif records is not None:
        if isinstance(records, tuple):  # some programs say that it were numbers of four bytes
            records = struct.pack(f"<{len(records)}I", *records)
        head = b"8BIM" + struct.pack(">HHI", _IPTC_BLOCK, 0, len(records))
        info["photoshop"] = head + records + bytes(len(records) % 2)


# PNG

_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_COLOUR = {b"gAMA", b"cHRM", b"sRGB", b"cICP"}


def _collect_png(file: IO[bytes], info: dict[str, Any], lost: list[str]) -> None:
    text: list[tuple[bytes, bytes]] = []
    colour: list[tuple[bytes, bytes]] = []
    room = MAX_PNG_BYTES
    file.seek(8)
    for _ in range(MAX_PNG_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        wanted = name in _TEXT or (name in _COLOUR and length <= 64)
        if wanted and length <= room:
            content = file.read(length)
            room -= length
            if name in _COLOUR:
                colour.append((name, content))
            elif not content.startswith((b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")):
                text.append((name, content))
            length = 0
        elif wanted:
            lost += ["PNG text"] if "PNG text" not in lost else []
        elif name in (b"mDCV", b"cLLI", b"caBX"):
            lost.append("content credentials" if name == b"caBX" else f"HDR data ({name.decode()})")
        file.seek(length + 4, 1)
    info.update(png_text=tuple(text), png_colour=tuple(colour))


# What a format can hold


def fitting(info: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], list[str]]:
    """Divide what belongs to a picture into what a format holds, and what it does not.

    Args:
        info: of the picture.
        kind: Pillow's name of the format that is written.

    Returns:
        What it holds, by key; and what it does not, in words.
    """
    kept = {key: value for key, value in info.items() if value and key in _HELD[kind]}
    lost = [_NAMES[key] for key in _NAMES if info.get(key) and key not in kept and _says(info, key)]
    if any(name == b"cICP" for name, _ in info.get("png_colour", ())):
        lost = ["colour space (cICP)" if each == _NAMES["png_colour"] else each for each in lost]
    if kind == "JPEG":
        for key, room in (("exif", MAX_JPEG_SEGMENT), ("xmp", MAX_JPEG_SEGMENT - 29)):
            if len(kept.get(key, b"")) > room:
                del kept[key]
                lost.append(f"{_NAMES[key]} (more than JPEG holds)")
    return kept, lost


def _says(info: Mapping[str, Any], key: str) -> bool:
    """Whether something of a picture says more than what holds without it."""
    if key == "dpi":
        return tuple(round(float(each)) for each in info[key]) not in _SCREEN_RESOLUTIONS
    if key == "png_colour":
        names = {name for name, _ in info[key]}
        if b"cICP" in names:
            return True
        meant = "icc_profile" in info or b"sRGB" in names or _PLAIN_GAMMA in info[key]
        return b"gAMA" in names and not meant
    return True
