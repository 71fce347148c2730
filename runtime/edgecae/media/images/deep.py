"""Pictures of 16 bits a channel.

Pillow has 16 bits for gray alone. Of colours, it decodes the high byte of each value, or the low
one where it is told that the bytes come in the other order: a file is decoded once for each.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PpmImagePlugin, TiffImagePlugin

from edgecae.media.images.picture import FINE_STEPS

__all__ = ["BAND", "read_deep", "split"]

BAND = 2**22
"""Pixels that are copied at a time."""

Deep = NDArray[np.uint16]
Open = Callable[[], ImageFile.ImageFile]

_PLANAR, _SAMPLES, _BITS, _PHOTOMETRIC, _FILL_ORDER = 284, 277, 258, 262, 266
_OFFSETS, _COUNTS = ((273, 324), (279, 325))
_OF_LAYOUT = (256, 257, 259, 278, 317, 322, 323)
"""Tags of TIFF: width, height, compression, rows of a strip, predictor, size of a tile."""


def rows_of(width: int) -> int:
    """Rows of a picture that have about :data:`BAND` pixels."""
    return max(1, BAND // width)


def read_deep(image: ImageFile.ImageFile, file: IO[bytes], reopen: Open) -> Deep | None:
    """Decode a picture of more than 8 bits a channel.

    Args:
        image: opened, not decoded.
        file: where it is read from.
        reopen: opens it once more.

    Returns:
        uint16, H×W×channels: gray; gray, alpha; red, green, blue; or these and alpha. None: its
        channels have 8 bits.
    """
    if not image.tile:
        return None
    decoder, form = image.tile[0].codec_name, form_of(image)
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        return _of_ppm(image, file) if decoder in ("ppm", "raw") else None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS, (1,))
        if image.tag_v2.get(_PLANAR) == 2 and set(bits) == {16}:
            return _of_planes(image, file)
    if image.mode.startswith("I;16"):
        return _of_gray(image, form)
    if form == "LA;16B":
        return _of_bytes(image, "RGBA")
    if form in _OTHER_ORDER:
        return _of_halves(image, form, reopen)
    return None


def form_of(image: ImageFile.ImageFile) -> str:
    """Pillow's name of how the values lie in a file, such as "RGB;16B"; empty: it has none."""
    args = image.tile[0].args if image.tile else None
    if isinstance(args, tuple):
        return str(args[0]) if args else ""
    return args or ""


def _swapped(form: str) -> str:
    return form[:-1] + {"B": "L", "L": "B"}[form[-1]]


_NATIVE = "L" if sys.byteorder == "little" else "B"
_FORMS = [f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBX") for order in "BL"]
_OTHER_ORDER = {
    **{form: _swapped(form) for form in _FORMS},
    **{f"{mode};16N": _swapped(f"{mode};16{_NATIVE}") for mode in ("RGB", "RGBA", "RGBX")},
}
"""What takes the low byte of each value, by what takes the high one."""


def _with_form(image: ImageFile.ImageFile, form: str) -> ImageFile.ImageFile:
    """Have an image decoded as if its values were of another form."""
    image.tile = [
        tile._replace(args=(form, *tile.args[1:]) if isinstance(tile.args, tuple) else form)
        for tile in image.tile
    ]
    return image


def _bands(image: Image.Image) -> Any:
    """Where rows begin, and the rows, uint8 H×W×channels, of a decoded image."""
    width, height = image.size
    step = rows_of(width)
    for top in range(0, height, step):
        band = np.asarray(image.crop((0, top, width, min(height, top + step))))
        yield top, band[..., None] if band.ndim == 2 else band


def _of_halves(image: ImageFile.ImageFile, form: str, reopen: Open) -> Deep:
    colours = len(image.getbands())
    transparent = image.info.get("transparency")
    deep: Any = None
    for place, order in ((1, form), (0, _OTHER_ORDER[form])):
        half = _with_form(reopen(), order)  # the one before is freed
        half.load()
        if deep is None:
            channels = colours + (transparent is not None and colours == 3)
            deep = np.empty((half.height, half.width, channels), "<u2")
        halves = deep.view(np.uint8).reshape(*deep.shape, 2)
        for top, band in _bands(half):
            halves[top : top + len(band), :, :colours, place] = band
    if transparent is not None and colours == 3:
        step = rows_of(deep.shape[1])
        for top in range(0, len(deep), step):
            part = deep[top : top + step]
            part[..., 3] = np.where((part[..., :3] == transparent).all(axis=2), 0, 65535)
    return deep.astype(np.uint16, copy=False)  # type: ignore[no-any-return]


def _of_bytes(image: ImageFile.ImageFile, form: str) -> Deep:
    """Gray and alpha: the four bytes of a pixel, as if each were a channel."""
    _with_form(image, form).load()
    deep = np.empty((image.height, image.width, 2), np.uint16)
    for top, band in _bands(image):
        pairs = np.ascontiguousarray(band).view(">u2")
        deep[top : top + len(band)] = pairs
    return deep


def _of_gray(image: ImageFile.ImageFile, form: str) -> Deep:
    transparent = image.info.get("transparency")
    inverted = (
        isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0
    )
    image.load()
    channels = 2 if isinstance(transparent, int) else 1
    deep = np.empty((image.height, image.width, channels), np.uint16)
    for top, band in _bands(image):
        part = deep[top : top + len(band)]
        part[..., :1] = band
        if form == "I;12":
            part[..., :1] = (part[..., :1].astype(np.uint32) * 65535 + 2047) // 4095
        if inverted:
            np.subtract(65535, part[..., :1], out=part[..., :1])
        if channels == 2:
            part[..., 1] = np.where(part[..., 0] == transparent, 0, 65535)
    return deep


def _of_ppm(image: PpmImagePlugin.PpmImageFile, file: IO[bytes]) -> Deep | None:
    """The values themselves, which lie there without any coding."""
    tile = image.tile[0]
    limit = int(tile.args[1]) if isinstance(tile.args, tuple) else 65535
    if not (tile.codec_name == "ppm" or form_of(image) == "I;16B") or limit <= 255:
        return None
    (width, height), channels = image.size, 3 if image.mode == "RGB" else 1
    file.seek(tile.offset)
    deep = np.empty((height, width, channels), np.uint16)
    step = rows_of(width)
    for top in range(0, height, step):
        part = deep[top : top + step]
        content = file.read(2 * part.size)
        if len(content) < 2 * part.size:
            raise OSError("image file is truncated")
        values = np.frombuffer(content, ">u2").reshape(part.shape)
        if limit == 65535:
            part[:] = values
        else:
            scaled = (values.astype(np.uint64) * 65535 + limit // 2) // limit
            part[:] = np.minimum(scaled, 65535)
    return deep


def _of_planes(image: TiffImagePlugin.TiffImageFile, file: IO[bytes]) -> Deep:
    """A TIFF file whose channels lie one after the other: each is a gray picture of its own.

    Raises:
        OSError: its directory is damaged.
    """
    tags = image.tag_v2
    samples = int(tags.get(_SAMPLES, 1))
    offsets, counts = (
        next((tags[tag] for tag in pair if tag in tags), ()) for pair in (_OFFSETS, _COUNTS)
    )
    each = len(offsets) // samples
    if not each or len(offsets) != len(counts) or samples not in (1, 3, 4):
        raise OSError("its planes are damaged")
    deep: Any = None
    for channel in range(samples):
        part = slice(channel * each, (channel + 1) * each)
        gray = _plane(image, file, offsets[part], counts[part])
        gray.load()
        if deep is None:
            deep = np.empty((gray.height, gray.width, samples), np.uint16)
        for top, band in _bands(gray):
            deep[top : top + len(band), :, channel : channel + 1] = band
    return deep  # type: ignore[no-any-return]


def _plane(
    image: TiffImagePlugin.TiffImageFile,
    file: IO[bytes],
    offsets: tuple[int, ...],
    counts: tuple[int, ...],
) -> TiffImagePlugin.TiffImageFile:
    """A TIFF file in memory that has one channel of another, as it is compressed there."""
    file.seek(0, io.SEEK_END)
    if sum(counts) > file.tell():
        raise OSError("image file is truncated")
    order = image.tag_v2.prefix
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=order)
    for tag in _OF_LAYOUT:
        if tag in image.tag_v2:
            tags[tag] = image.tag_v2[tag]
    tiled = 322 in image.tag_v2
    tags[_BITS], tags[_SAMPLES], tags[_PHOTOMETRIC], tags[_PLANAR] = 16, 1, 1, 1
    if 274 in image.tag_v2:  # the orientation, which Pillow applies
        tags[274] = image.tag_v2[274]
    places = [sum(counts[:index]) for index in range(len(counts))]
    tags[_COUNTS[tiled]] = counts
    tags[_OFFSETS[tiled]] = tuple(places)
    start = 8 + len(tags.tobytes(8))
    # Pillow itself moves the offsets of strips behind the directory, not those of tiles.
    tags[_OFFSETS[tiled]] = tuple(place + start for place in places) if tiled else tuple(places)
    content = io.BytesIO()
    tags.save(content)
    content.seek(start)
    for offset, count in zip(offsets, counts, strict=True):
        file.seek(offset)
        content.write(file.read(count))
    content.seek(0)
    return TiffImagePlugin.TiffImageFile(content)


def split(
    deep: Deep,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, NDArray[np.int16]]:
    """Divide values of 16 bits into 8 bits and the rest, which takes the place of the values.

    Args:
        deep: uint16, H×W×channels, as :func:`read_deep` returns them.

    Returns:
        The nearest values of 8 bits, uint8: of gray H×W or of RGB H×W×3; of alpha H×W, or None; and
        the rest, int16 H×W×channels: a value is 257 times its 8 bits plus the rest.
    """
    height, width, channels = deep.shape
    pixels = np.empty((height, width) if channels < 3 else (height, width, 3), np.uint8)
    alpha = None if channels % 2 else np.empty((height, width), np.uint8)
    colours = pixels[..., None] if pixels.ndim == 2 else pixels
    fine = deep.view(np.int16)
    step = rows_of(width)
    for top in range(0, height, step):
        values = deep[top : top + step].astype(np.int32)
        nearest = (values + FINE_STEPS // 2) // FINE_STEPS
        colours[top : top + step] = nearest[..., : colours.shape[2]]
        if alpha is not None:
            alpha[top : top + step] = nearest[..., -1]
        nearest *= -FINE_STEPS
        nearest += values
        fine[top : top + step] = nearest
    return pixels, alpha, fine
