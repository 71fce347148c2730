"""Image files: read with all that belongs to the picture, write with the same.

The boundary where whatever Pillow raises becomes a :class:`SourceError` or :class:`SinkError`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import (  # each format that is meant registers itself; no other decoder can be reached
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from edgecae import atomic
from edgecae.errors import SinkError, SourceError
from edgecae.media.file_reader import FileReader, open_ordinary
from edgecae.media.frame import MAX_PIXELS, check_size

__all__ = ["SUFFIXES", "Picture", "read", "upright", "write"]

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
"""Pillow's name of the format that each suffix stands for."""

SUFFIXES = frozenset(_FORMATS)
"""Of the files that count as images in a folder, and that can be written."""

_HEAVY_SHARE = 2
"""What a picture may have less of where its decoder holds it more than twice: WebP, and JPEG that
is progressive."""

_BAND = 2**22
"""Pixels that are copied out of Pillow's memory at a time."""

_GRAY = {"1", "L", "LA"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX"}
_TILE_WIDTH, _TILE_LENGTH = 322, 323
"""Tags of TIFF."""

_KEPT = ("exif", "icc_profile", "dpi", "xmp")
_DESCRIPTIVE = {
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
}
_SAVE: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "exact": True},
    "TIFF": {"compression": "tiff_lzw"},
}


@dataclass(frozen=True)
class Picture:
    """An image file's pixels and what goes with them.

    Attributes:
        pixels: uint8, H×W (gray) or H×W×3 (RGB), as stored: the EXIF orientation is not applied.
        alpha: uint8, H×W, or None.
        info: EXIF, XMP, colour profile and resolution, as Pillow names them.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


def _descriptive(tags: Image.Exif) -> Image.Exif:
    """The part of a TIFF file's tags that describes the picture, not how it is stored."""
    kept = Image.Exif()
    for tag in _DESCRIPTIVE & tags.keys():
        kept[tag] = tags[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        kept.get_ifd(directory).update(tags.get_ifd(directory))
    return kept


def read(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image of 8 bits a channel.

    Its content says which format it has, one of those of :data:`SUFFIXES`. While it is read, it is
    in memory twice: as Pillow decodes it, with 1 or 4 bytes a pixel, and as an array.

    Args:
        path: of the file.
        max_pixels: a larger picture is not decoded.

    Raises:
        SourceError: it is missing, no image, too large, damaged, animated, or not gray or RGB of 8
            bits.
    """
    try:
        with open_ordinary(path) as file:
            reader = FileReader(file, str(path))
            try:
                picture = _decode(path, io.BufferedReader(reader), max_pixels)
            finally:
                reader.check()  # whatever Pillow made of it
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist") from error
    except Exception as error:  # of damaged files, Pillow raises whatever comes to hand
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SourceError(f"{path} can't be read as an image: {why}") from error
    return picture


def _open(path: Path, file: IO[bytes], max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of an image; :func:`PIL.Image.open` with fewer formats and another limit.

    Pillow's own limit belongs to the whole process. It still holds for TIFF and WebP.
    """
    prefix = file.read(16)
    for kind in dict.fromkeys(_FORMATS.values()):
        factory, accept = Image.OPEN[kind]
        if accept is None or accept(prefix):
            break
    else:
        raise SourceError(f"{path} can't be read as an image: its format is unknown")
    file.seek(0)
    try:
        image = factory(file, str(path))
    except SyntaxError as error:
        raise SourceError(f"{path} can't be read as an image: its header is damaged") from error
    heavy = kind == "WEBP" or image.info.get("progressive")
    check_size(str(path), *image.size, max_pixels // _HEAVY_SHARE if heavy else max_pixels)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # The decoder takes memory for a whole tile, however small the picture is.
        width, height = (int(image.tag_v2.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        check_size(f"a tile of {path}", width, height, max_pixels)
    return image


def _is_single(image: ImageFile.ImageFile) -> bool:
    """Whether a file holds one picture; unlike ``n_frames``, this looks at no third one."""
    try:
        image.seek(1)
    except EOFError:
        return True
    return False


def _decode(path: Path, file: IO[bytes], max_pixels: int) -> Picture:
    """Decode an open image; ``path`` is its name for messages."""
    with _open(path, file, max_pixels) as image:
        if not _is_single(image):
            raise SourceError(f"{path} holds several pictures; only single ones can be denoised")
        image.load()
        if image.mode not in _GRAY | _COLOUR:
            raise SourceError(
                f"{path} has mode {image.mode}; convert it to gray or RGB of 8 bits a channel"
            )
        transparent = "A" in image.getbands() or "transparency" in image.info
        info = {key: image.info[key] for key in _KEPT if image.info.get(key)}
        if image.format == "TIFF":
            info["exif"] = _descriptive(image.getexif())
        base = "L" if image.mode in _GRAY else "RGB"
        width, height = image.size
        pixels = np.empty((height, width) if base == "L" else (height, width, 3), np.uint8)
        alpha = np.empty((height, width), np.uint8) if transparent else None
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):  # a whole picture converted would be a third one
            band = image.crop((0, top, width, min(height, top + rows)))
            if alpha is not None:
                band = band.convert("LA" if base == "L" else "RGBA")
                alpha[top : top + rows] = np.asarray(band.getchannel("A"))
            pixels[top : top + rows] = np.asarray(band.convert(base))
        return Picture(pixels, alpha, info)


_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""How a picture is turned upright, by its EXIF orientation (CIPA DC-008, 4.6.4)."""


def upright(picture: Picture) -> Picture:
    """The picture turned as its EXIF orientation asks, for where that can't be kept beside it."""
    tags = picture.info.get("exif")
    if not isinstance(tags, bytes):
        return picture
    exif = Image.Exif()
    try:
        exif.load(tags)
        turned = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # of damaged tags, Pillow raises whatever comes to hand: they say nothing
        turned = None
    if turned is None:
        return Picture(picture.pixels, picture.alpha)
    alpha = None if picture.alpha is None else np.ascontiguousarray(turned(picture.alpha))
    return Picture(np.ascontiguousarray(turned(picture.pixels)), alpha)


def write(path: Path, picture: Picture, durable: bool = True, mode: int | None = None) -> None:
    """Write an image, whole or not at all; the suffix of ``path`` says in which format.

    Args:
        path: the file to make.
        picture: what it shall hold.
        durable: flush it to the disk before it gets its name.
        mode: permissions of the new file, see ``edgecae.atomic.writing``.

    Raises:
        SinkError: the suffix is unknown, the format can't hold the picture, or writing failed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SinkError(f"{path}: images are written as {', '.join(sorted(SUFFIXES))}")
    kind = _FORMATS[path.suffix.lower()]
    with atomic.writing(path, durable=durable, mode=mode) as temporary:
        try:
            image = Image.fromarray(picture.pixels)
            if picture.alpha is not None:
                image.putalpha(Image.fromarray(picture.alpha))
            image.save(temporary, format=kind, **_SAVE.get(kind, {}), **picture.info)
        except OSError:
            raise
        except Exception as error:  # what belongs to the picture may be as damaged as a file
            why = str(error) or type(error).__name__
            raise SinkError(f"{path} can't be written: {why}") from error
