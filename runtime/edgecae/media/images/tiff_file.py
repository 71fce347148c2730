"""Write TIFF files, of 8 and 16 bits a channel, with all directories of Exif.

Pillow compresses through libtiff, which leaves the directories of Exif and GPS out, and has no
colours of 16 bits. Here Pillow writes the tags, and zlib compresses the pixels.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from PIL import Image, TiffImagePlugin

from edgecae.errors import SinkError
from edgecae.media.images import exif, metadata
from edgecae.media.images.picture import Picture

__all__ = ["write_tiff"]

_STRIP_BYTES = 2**20
_MAX_BYTES = 2**32 - 2**26
"""Of all pixels: offsets have 32 bits."""

_DEFLATE, _DIFFERENCES = 8, 2
_MIN_IS_BLACK, _RGB = 1, 2
_INCH, _UNASSOCIATED = 2, 2


def write_tiff(name: str, file: IO[bytes], picture: Picture, info: Mapping[str, Any]) -> None:
    """Write a picture, compressed by deflate.

    Args:
        name: of the file, for messages.
        file: to write into, from its start; it has positions.
        picture: upright.
        info: what belongs to it, see :mod:`edgecae.media.images.metadata`.

    Raises:
        SinkError: it has more than 4 GB.
        Exception: Pillow does not take the metadata.
    """
    height, width = picture.pixels.shape[:2]
    first = picture.rows(0, 1)
    channels, size = first.shape[2], first.dtype.itemsize
    if height * width * channels * size > _MAX_BYTES:
        raise SinkError(f"{name} can't be written: TIFF holds 4 GB; PNG holds more")
    rows = max(1, _STRIP_BYTES // (width * channels * size))
    tags = _tags(info)
    tags[256], tags[257], tags[277], tags[278] = width, height, channels, rows
    tags[258] = (8 * size,) * channels
    tags[259], tags[317], tags[284] = _DEFLATE, _DIFFERENCES, 1
    tags[262] = _MIN_IS_BLACK if channels < 3 else _RGB
    if channels % 2 == 0:
        tags[338] = _UNASSOCIATED
    strips = -(-height // rows)
    # The directory comes first, with numbers that are not known yet, and is then written again.
    tags[273] = tags[279] = (0,) * strips
    tags.save(file)
    counts = [file.write(_strip(picture.rows(top, top + rows))) for top in range(0, height, rows)]
    tags[273] = tuple(sum(counts[:index]) for index in range(strips))
    tags[279] = tuple(counts)
    file.seek(0)
    tags.save(file)
    file.seek(0, 2)


def _tags(info: Mapping[str, Any]) -> TiffImagePlugin.ImageFileDirectory_v2:
    known = Image.Exif()
    if info.get("exif"):
        known.load(info["exif"])
    tags = exif.directory(known)
    if info.get("dpi"):
        tags[282], tags[283] = (float(each) for each in info["dpi"])
        tags[296] = _INCH
    if info.get("icc_profile"):
        tags[34675] = info["icc_profile"]
        tags.tagtype[34675] = 7
    if info.get("xmp"):
        tags[700] = info["xmp"]
        tags.tagtype[700] = 1
    if info.get("photoshop"):
        tags[34377] = info["photoshop"]
        tags.tagtype[34377] = 1
        if records := metadata.iptc(info["photoshop"]):
            tags[33723] = records
            tags.tagtype[33723] = 7
    return tags


def _strip(rows: np.ndarray[Any, Any]) -> bytes:
    """Compress rows, H×W×channels, each value as its difference from the one before it."""
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    if differences.dtype == np.uint16:
        differences = differences.astype("<u2")
    return zlib.compress(differences.tobytes(), 6)
