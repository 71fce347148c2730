"""Read image files, with all that belongs to the picture.

The boundary where whatever Pillow raises becomes a :class:`SourceError`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from edgecae.errors import SourceError
from edgecae.media.file_reader import FileReader, open_ordinary
from edgecae.media.frame import MAX_PIXELS, check_size
from edgecae.media.images import boxes, deep, formats, metadata
from edgecae.media.images.heif import read_heif
from edgecae.media.images.picture import Picture

__all__ = ["read", "read_size", "read_stream"]

_HEAVY_SHARES = {"WEBP": 2, "AVIF": 2, "HEIF": 2, "JPEG2000": 4}
"""What a picture may have less of where its decoder holds it more than twice, by format."""

_PROGRESSIVE_SHARE = 2
"""Likewise of JPEG that is progressive."""

_GRAY = {"1", "L", "LA"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX"}

_TILE_WIDTH, _TILE_LENGTH, _SUBFILE, _DNG_VERSION = 322, 323, 254, 50706
"""Tags of TIFF."""

_REDUCED_OR_MASK = 5
"""Bits of a TIFF directory that holds no page of its own."""

_MAX_REDUCED = 16
"""Smaller copies of a picture in a TIFF file."""

_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


def read(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image.

    Its content says which format it has, one of those of :data:`SUFFIXES`. Of a file that holds
    several pictures for one scene (MPO, HEIC, GIF), it is the main one. While it is read, it is in
    memory twice: as Pillow decodes it, with 1 or 4 bytes a pixel, and as an array.

    Args:
        path: of the file.
        max_pixels: a larger picture is not decoded. WebP, AVIF, HEIC and progressive JPEG get half
            of it, JPEG 2000 a quarter: their decoders hold a picture more than twice.

    Raises:
        SourceError: it is missing, no image, too large, damaged, animated, or not gray or RGB of 8
            or 16 bits.
    """
    try:
        with open_ordinary(path) as file:
            return read_stream(file, str(path), max_pixels)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist") from error
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path} can't be read as an image: {error.strerror}") from error


@contextlib.contextmanager
def _pillow_errors(name: str) -> Iterator[None]:
    """Make a :class:`SourceError` about ``name`` of what Pillow raises."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # of damaged files, Pillow raises whatever comes to hand
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(
            f"{name} can't be read as an image: {why or type(error).__name__}"
        ) from error


def read_stream(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image from an open file, which has positions; see :func:`read`.

    Args:
        file: to read from, unbuffered or in memory.
        name: of the file, for messages.
        max_pixels: see :func:`read`.
    """
    reader = FileReader(file, name)
    with _pillow_errors(name):
        try:
            return _read(name, io.BufferedReader(reader), max_pixels)
        finally:
            reader.check()  # whatever Pillow made of it


def read_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of an image, from its header: the pixels, which may be damaged, stay unread.

    Args:
        path: of the file.
        max_pixels: see :func:`read`.

    Raises:
        SourceError: it is missing, no image, or too large.
    """
    with _pillow_errors(str(path)), open_ordinary(path) as file:
        reader = io.BufferedReader(FileReader(file, str(path)))
        kind = formats.kind_of_content(str(path), reader.read(formats.HEAD_LENGTH))
        if kind == "HEIF":  # its reader has no way to the header alone
            height, width = read(path, max_pixels).pixels.shape[:2]
            return height, width
        with _open(str(path), kind, reader, max_pixels) as image:
            return image.height, image.width


def _read(name: str, file: IO[bytes], max_pixels: int) -> Picture:
    kind = formats.kind_of_content(name, file.read(formats.HEAD_LENGTH))
    limit = max_pixels // _HEAVY_SHARES.get(kind, 1)
    if kind == "HEIF":
        file.seek(0)
        return read_heif(name, file, limit)

    def reopen() -> ImageFile.ImageFile:
        return _open(name, kind, file, limit)

    with reopen() as image:
        left_out = _other_pictures(name, image, kind)
        info, lost = metadata.collect(image, file, kind)
        depth, coding = _coding(image, file, kind)
        left_out += lost
        values = deep.read_deep(image, file, reopen)
        if values is not None:
            pixels, alpha, fine = deep.split(values)
            return Picture(pixels, alpha, info, kind, fine, coding, tuple(left_out))
        if depth > 8:
            left_out.append(f"{depth} bits a channel (8 are kept)")
        image.load()
        if image.mode not in _GRAY | _COLOUR:
            raise SourceError(
                f"{name} has mode {image.mode}; convert it to gray or RGB of 8 or 16 bits a channel"
            )
        return _as_picture(image, info, kind, coding, tuple(left_out))


def _open(name: str, kind: str, file: IO[bytes], max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of an image; :func:`PIL.Image.open` with fewer formats and another limit.

    Pillow's own limit belongs to the whole process. It still holds for TIFF, GIF and WebP.
    """
    # Not Pillow's function for JPEG: it makes something else of a file of several pictures.
    factory: Callable[..., Any] = (
        JpegImagePlugin.JpegImageFile if kind == "JPEG" else Image.OPEN[kind][0]
    )
    file.seek(0)
    try:
        image: ImageFile.ImageFile = factory(file, name)
    except SyntaxError as error:
        raise SourceError(
            f"{name} can't be read as an image: its header is damaged, or means a form of {kind} "
            f"that edgecae does not read"
        ) from error
    if image.info.get("progressive"):
        max_pixels //= _PROGRESSIVE_SHARE
    check_size(name, *image.size, max_pixels)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if _DNG_VERSION in image.tag_v2:  # its first picture is a small one
            raise formats.unread(name, ".dng")
        # The decoder takes memory for a whole tile, however small the picture is.
        width, height = (int(image.tag_v2.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        check_size(f"a tile of {name}", width, height, max_pixels)
    return image


def _other_pictures(name: str, image: ImageFile.ImageFile, kind: str) -> list[str]:
    """Name what a file holds beside its first picture, where that is the main one.

    Raises:
        SourceError: the others are worth as much: pages, or pictures of an animation.
    """
    try:
        image.seek(1)
    except EOFError:
        return []
    if kind == "GIF":
        image.seek(0)
        return ["all pictures but the first"]
    reduced = 0
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        while reduced < _MAX_REDUCED and image.tag_v2.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            reduced += 1
            try:
                image.seek(1 + reduced)
            except EOFError:
                image.seek(0)
                return ["smaller copies of the picture"]
    raise SourceError(f"{name} holds several pictures; only single ones can be denoised")


def _coding(image: ImageFile.ImageFile, file: IO[bytes], kind: str) -> tuple[int, dict[str, Any]]:
    """Bits of a channel where Pillow decodes 8 of them, and ``Picture.coding``."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        found = JpegImagePlugin.get_sampling(image)
        known = len(image.layer) == 3 and 0 <= found < len(_SUBSAMPLINGS)
        return 8, {"subsampling": _SUBSAMPLINGS[found]} if known else {}
    if kind == "AVIF":
        return boxes.avif_coding(file)
    if kind == "JPEG2000":
        return boxes.jpeg2000_depth(file), {}
    if kind == "WEBP":
        return 8, {"lossless": True} if boxes.webp_is_lossless(file) else {}
    args = image.tile[0].args if image.tile else None
    deep_ppm = kind == "PPM" and isinstance(args, tuple) and len(args) == 2 and args[1] > 255
    return 16 if deep_ppm or ";16" in deep.form_of(image) else 8, {}


def _as_picture(
    image: ImageFile.ImageFile,
    info: dict[str, Any],
    kind: str,
    coding: dict[str, Any],
    left_out: tuple[str, ...],
) -> Picture:
    """Copy a decoded image of 8 bits a channel out of Pillow's memory."""
    transparent = "A" in image.getbands() or "transparency" in image.info
    base = "L" if image.mode in _GRAY else "RGB"
    width, height = image.size
    pixels = np.empty((height, width) if base == "L" else (height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if transparent else None
    rows = deep.rows_of(width)
    for top in range(0, height, rows):  # a whole picture converted would be a third one
        band: Image.Image = image.crop((0, top, width, min(height, top + rows)))
        if alpha is not None:
            band = band.convert("LA" if base == "L" else "RGBA")
            alpha[top : top + rows] = np.asarray(band.getchannel("A"))
        pixels[top : top + rows] = np.asarray(band.convert(base))
    return Picture(pixels, alpha, info, kind, None, coding, left_out)
