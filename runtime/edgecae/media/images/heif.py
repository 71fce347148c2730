"""HEIC and HEIF, through pillow-heif, which the extra ``heif`` installs."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from edgecae.errors import SourceError
from edgecae.media.frame import check_size
from edgecae.media.images import boxes, deep, exif
from edgecae.media.images.picture import Picture

__all__ = ["read_heif"]

_AUXILIARY = {"gainmap": "gain map", "alpha": "", "depth": "depth map", "disparity": "depth map"}


def read_heif(name: str, file: IO[bytes], max_pixels: int) -> Picture:
    """Read the main picture of a file, as it is shown: turned and cropped.

    Args:
        name: of the file.
        file: to read.
        max_pixels: a larger picture is not decoded.

    Returns:
        A picture of 16 bits a channel where the file has more than 8.

    Raises:
        SourceError: pillow-heif is not installed, or the picture is too large.
        Exception: of damaged files, pillow-heif raises whatever comes to hand.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise SourceError(
            f"{name} is a HEIC picture, which needs pillow-heif: pip install 'edgecae[heif]'"
        ) from error
    found: Any = pillow_heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=True)
    image = found[found.primary_index]
    width, height = image.size
    check_size(name, width, height, max_pixels)
    mode, _, bits = image.mode.partition(";")
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}.get(mode)
    if channels is None:
        raise SourceError(f"{name} has mode {image.mode}; convert it to gray or RGB")
    lost = _left_out(found, image)
    info: dict[str, Any] = {
        key: image.info[key] for key in ("exif", "icc_profile", "xmp") if image.info.get(key)
    }
    if "icc_profile" not in info:
        info["png_colour"] = boxes.colour_chunks(file)
    if info.get("exif"):  # the decoder has turned the picture
        info["exif"] = exif.upright(exif.normal(info["exif"]))
    if info.get("xmp"):
        info["xmp"] = exif.upright_xmp(info["xmp"])
    values: Any = np.frombuffer(image.data, np.uint16 if bits else np.uint8)
    width, height = image.size
    values = values.reshape(height, width, channels)
    if bits:
        pixels, alpha, fine = deep.split(_spread(values.copy(), image.info["bit_depth"]))
        return Picture(pixels, alpha, info, "HEIF", fine, left_out=lost)
    colours = 1 if channels < 3 else 3
    pixels = np.empty((height, width) if colours == 1 else (height, width, 3), np.uint8)
    pixels[:] = values[..., 0] if colours == 1 else values[..., :3]
    alpha = None if channels % 2 else values[..., -1].copy()
    return Picture(pixels, alpha, info, "HEIF", left_out=lost)


def _spread(values: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """Values whose upper bits are set, in place: the highest becomes 65535."""
    if bits < 16:
        values |= values >> bits
    return values


def _left_out(found: Any, image: Any) -> tuple[str, ...]:
    """What a file holds beside its main picture, in words."""
    lost = []
    if len(found) > 1:
        lost.append(f"{len(found) - 1} further picture{'s' if len(found) > 2 else ''}")
    kinds = [str(kind).lower() for kind in image.info.get("aux", {})]
    if image.info.get("depth_images"):
        kinds.append("depth")
    for kind in kinds:
        word = next((w for part, w in _AUXILIARY.items() if part in kind), "an auxiliary picture")
        if word and word not in lost:
            lost.append(word)
    return tuple(lost)
