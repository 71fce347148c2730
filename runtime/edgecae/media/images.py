"""Image files: read with all that belongs to the picture, write with the same.

The boundary where whatever Pillow raises becomes a :class:`SourceError` or :class:`SinkError`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from edgecae import atomic
from edgecae.errors import SinkError, SourceError
from edgecae.media.file_reader import FileReader

__all__ = ["SUFFIXES", "Picture", "read", "upright", "write"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm"})
"""Of the files that count as images in a folder, and that can be written."""

_GRAY = {"1", "L", "LA"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX"}
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


def read(path: Path) -> Picture:
    """Read an image of 8 bits a channel.

    Raises:
        SourceError: it is missing, no image, damaged, animated, or not gray or RGB of 8 bits.
    """
    try:
        with path.open("rb", buffering=0) as file:
            reader = FileReader(file, str(path))
            try:
                picture = _decode(path, io.BufferedReader(reader))
            finally:
                reader.check()  # whatever Pillow made of it
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist") from error
    except UnidentifiedImageError as error:
        raise SourceError(f"{path} can't be read as an image: its format is unknown") from error
    except Exception as error:  # of damaged files, Pillow raises whatever comes to hand
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SourceError(f"{path} can't be read as an image: {why}") from error
    return picture


def _decode(path: Path, file: IO[bytes]) -> Picture:
    """Decode an open image; ``path`` is its name for messages."""
    with Image.open(file) as image:
        if getattr(image, "n_frames", 1) > 1:
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
        if not transparent:
            return Picture(np.array(image.convert(base)), None, info)
        whole = image.convert("LA" if base == "L" else "RGBA")
        return Picture(np.array(whole.convert(base)), np.array(whole.getchannel("A")), info)


def upright(picture: Picture) -> Picture:
    """The picture turned as its EXIF orientation asks, for where that can't be kept beside it."""

    def turned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(pixels)
        image.info["exif"] = picture.info["exif"]
        return np.array(ImageOps.exif_transpose(image))

    if not isinstance(picture.info.get("exif"), bytes):
        return picture
    alpha = picture.alpha
    return Picture(turned(picture.pixels), None if alpha is None else turned(alpha))


def write(path: Path, picture: Picture, durable: bool = True) -> None:
    """Write an image, whole or not at all; the suffix of ``path`` says in which format.

    Args:
        path: the file to make.
        picture: what it shall hold.
        durable: flush it to the disk before it gets its name.

    Raises:
        SinkError: the suffix is unknown, the format can't hold the picture, or writing failed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SinkError(f"{path}: images are written as {', '.join(sorted(SUFFIXES))}")
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    kind = Image.registered_extensions()[path.suffix.lower()]
    with atomic.writing(path, durable=durable) as temporary:
        try:
            image.save(temporary, format=kind, **_SAVE.get(kind, {}), **picture.info)
        except ValueError as error:
            raise SinkError(f"{path} can't be written: {error}") from error
