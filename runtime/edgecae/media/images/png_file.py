"""Write PNG files of 16 bits a channel, which Pillow has for gray alone."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from edgecae.media.images.picture import Picture

__all__ = ["options", "write_deep_png"]

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_PAETH = 4
_BAND_BYTES = 2**22


def options(info: Mapping[str, Any]) -> dict[str, Any]:
    """What Pillow is told to write beside the pixels.

    Args:
        info: see :mod:`edgecae.media.images.metadata`.
    """
    chunks = PngImagePlugin.PngInfo()
    for name, content in (*info.get("png_colour", ()), *info.get("png_text", ())):
        chunks.add(name, content)
    if info.get("xmp"):
        chunks.add_itxt("XML:com.adobe.xmp", info["xmp"].decode("utf-8", "replace"))
    kept = {key: info[key] for key in ("exif", "icc_profile", "dpi") if info.get(key)}
    return {**kept, "pnginfo": chunks}


def write_deep_png(file: IO[bytes], picture: Picture, info: Mapping[str, Any]) -> None:
    """Write a picture that has ``fine``.

    Args:
        file: to write into.
        picture: upright.
        info: what belongs to it, see :mod:`edgecae.media.images.metadata`.

    Raises:
        Exception: Pillow does not take the metadata.
    """
    height, width = picture.pixels.shape[:2]
    channels = picture.rows(0, 1).shape[2]
    head = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    # Pillow writes a picture of one pixel: all chunks but three are those of this one.
    small = io.BytesIO()
    Image.new(_MODES[channels], (1, 1)).save(small, "PNG", **options(info))
    chunks = _chunks(small.getvalue())
    file.write(PngImagePlugin._MAGIC)
    _write(file, b"IHDR", head)
    for name, content in chunks:
        if name == b"IDAT":
            _write_pixels(file, picture)
        elif name != b"IHDR":
            _write(file, name, content)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _write(file: IO[bytes], name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content)
    file.write(struct.pack(">I", zlib.crc32(name + content)))


def _write_pixels(file: IO[bytes], picture: Picture) -> None:
    height, width = picture.pixels.shape[:2]
    compressor = zlib.compressobj(6)
    step = max(1, _BAND_BYTES // (8 * width))
    above: NDArray[np.uint8] | None = None
    for top in range(0, height, step):
        values = picture.rows(top, top + step)
        pixel = 2 * values.shape[2]
        rows = values.astype(">u2").view(np.uint8).reshape(len(values), width * pixel)
        lines, above = _filtered(rows, above, pixel), rows[-1]
        if content := compressor.compress(lines):
            _write(file, b"IDAT", content)
    _write(file, b"IDAT", compressor.flush())


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8] | None, pixel: int) -> bytes:
    """Rows as PNG compresses them: each byte less what Paeth's filter expects of it.

    Args:
        rows: H×bytes.
        above: the row before them; None: there is none.
        pixel: bytes of a pixel.
    """
    padded = np.zeros((len(rows) + 1, rows.shape[1] + pixel), np.int16)
    padded[1:, pixel:] = rows
    if above is not None:
        padded[0, pixel:] = above
    left, up, corner = padded[1:, :-pixel], padded[:-1, pixel:], padded[:-1, :-pixel]
    to_left = np.abs(up - corner)
    to_up = np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    expected = np.where(
        (to_left <= to_up) & (to_left <= to_corner),
        left,
        np.where(to_up <= to_corner, up, corner),
    )
    lines = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _PAETH
    np.subtract(rows, expected, out=lines[:, 1:], casting="unsafe")
    return lines.tobytes()
