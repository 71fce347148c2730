"""The formats of image files: which are read, which are written, and what others are called.

A file's content says which format it has, and only those that are meant can be reached. TGA alone
has no mark of its own: there the suffix decides, after all others.
"""

from __future__ import annotations

from pathlib import Path

from PIL import (  # each format that is meant registers itself; no other decoder can be reached
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TgaImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from edgecae.errors import SinkError, SourceError

__all__ = [
    "LOSSY",
    "SUFFIXES",
    "WRITTEN_KINDS",
    "WRITTEN_SUFFIXES",
    "is_picture_name",
    "kind_of_content",
    "kind_to_write",
]

_WRITTEN = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
    ".avif": "AVIF",
}
"""Pillow's name of the format that each suffix stands for, of those that are written."""

_READ = {
    **_WRITTEN,
    ".mpo": "JPEG",
    ".gif": "GIF",
    ".tga": "TGA",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".jpf": "JPEG2000",
    ".jpx": "JPEG2000",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}

SUFFIXES = frozenset(_READ)
"""Of the files that count as images in a folder."""

WRITTEN_SUFFIXES = frozenset(_WRITTEN)
"""Of the image files that can be written."""

WRITTEN_KINDS = frozenset(_WRITTEN.values())
"""Pillow's names of the formats that can be written."""

LOSSY = frozenset({"JPEG", "WEBP", "AVIF"})
"""Formats that have a quality."""

_RAW = "a camera's raw picture"
_UNREAD_SUFFIXES = {
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".orf", ".raf", ".rw2", ".pef",
         ".srw", ".x3f", ".3fr", ".iiq"), _RAW),
    ".jxl": "a JPEG XL picture",
    ".psd": "a Photoshop file",
    ".xcf": "a GIMP file",
    ".exr": "an OpenEXR picture",
    ".hdr": "a Radiance picture",
    ".svg": "an SVG drawing",
    ".ico": "an icon",
    ".eps": "a PostScript file",
    ".pdf": "a PDF file",
}  # fmt: skip
"""What files are called that people take for pictures, and that are not read."""

_UNREAD_HEADS = (
    (0, b"\xff\x0a", ".jxl"),
    (4, b"JXL \x0d\x0a\x87\x0a", ".jxl"),
    (0, b"FUJIFILMCCD-RAW", ".raf"),
    (0, b"IIRO", ".orf"),
    (0, b"IIRS", ".orf"),
    (0, b"MMOR", ".orf"),
    (0, b"IIU\0", ".rw2"),
    (8, b"CR\x02\0", ".cr2"),
    (4, b"ftypcrx ", ".cr3"),
    (0, b"8BPS", ".psd"),
    (0, b"gimp xcf", ".xcf"),
    (0, b"\x76\x2f\x31\x01", ".exr"),
    (0, b"#?RADIANCE", ".hdr"),
    (0, b"<svg", ".svg"),
)
"""Where a file of each of them has which bytes."""

STDIN, STDOUT = "standard input", "standard output"
"""Names of pipes in messages."""

HEAD_LENGTH = 64
"""Bytes that :func:`kind_of_content` looks at."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"}


def is_picture_name(path: Path) -> bool:
    """Whether a file is called like an image, be it one that is not read."""
    return path.suffix.lower() in _READ | _UNREAD_SUFFIXES


def unread(name: str, suffix: str) -> SourceError:
    """The error for a format that is not read.

    Args:
        name: of the file.
        suffix: that files of its format have.
    """
    what = _UNREAD_SUFFIXES[suffix]
    more = ", with a raw converter" if what == _RAW else ""
    return SourceError(f"{name} is {what}: convert it first, to TIFF or PNG{more}")


def _brands(head: bytes) -> set[bytes]:
    """Brands of a file in boxes of ISO 14496-12; none of others."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return {head[8:12], *(head[place : place + 4] for place in range(16, end, 4))}


def kind_of_content(name: str, head: bytes) -> str:
    """Say which format a file has: Pillow's name of it, or HEIF.

    Args:
        name: of the file.
        head: its first :data:`HEAD_LENGTH` bytes.

    Raises:
        SourceError: none of those that are read.
    """
    suffix = Path(name).suffix.lower()
    for place, mark, of_suffix in _UNREAD_HEADS:
        if head[place:].startswith(mark):
            raise unread(name, of_suffix)
    if _UNREAD_SUFFIXES.get(suffix) == _RAW:  # many of them are TIFF files, with a small picture
        raise unread(name, suffix)
    brands = _brands(head)
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    for kind in dict.fromkeys(_READ.values()):
        accept = Image.OPEN[kind][1] if kind in Image.OPEN else None
        if accept is not None and accept(head) is True:
            return kind
    if suffix == ".tga":
        return "TGA"
    if suffix in _UNREAD_SUFFIXES:
        raise unread(name, suffix)
    hint = "; edgecae stream --source - reads video" if name == STDIN else ""
    raise SourceError(f"{name} can't be read as an image: its format is unknown{hint}")


def kind_to_write(path: Path) -> str:
    """Say in which format a file is written: Pillow's name of it.

    Raises:
        SinkError: its suffix stands for none.
    """
    try:
        return _WRITTEN[path.suffix.lower()]
    except KeyError:
        raise SinkError(
            f"{path}: images are written as {', '.join(sorted(WRITTEN_SUFFIXES))}"
        ) from None
