"""How a video stores its pictures: the way from there to RGB, and back.

FFmpeg's fast conversions round down, and mix the two fields of an interlaced picture. Those of this
module round to the nearest level, each field by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SourceError
from edgecae.media.buffers import Buffers

__all__ = [
    "Stored",
    "colour_matrix",
    "fields_of",
    "from_rgb",
    "reformatted",
    "stored",
    "to_rgb",
    "woven",
]

_MATRICES = {0: "ITU601", 1: "ITU709", 4: "FCC", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
"""By FFmpeg's number of a matrix between YCbCr and RGB (ITU-T H.273, table 4)."""

RGB, BT601 = 0, 6
"""FFmpeg's numbers of two of them: none at all, and SMPTE 170M."""

UNSPECIFIED = 2

TOP_FIRST, BOTTOM_FIRST = "tff", "bff"


@dataclass(frozen=True)
class Stored:
    """How the picture of a frame was stored in a video.

    Attributes:
        pixel_format: as FFmpeg names it.
        matrix: FFmpeg's number, as the three that follow.
        primaries: of its colours.
        transfer: its curve.
        full_range: whether luma has all levels, not 16 to 235.
        field_order: ``tff`` or ``bff`` where its rows are of two moments; None: of one.
        picture: PyAV's picture, where it has more than 8 bits or alpha: what RGB does not hold.
    """

    pixel_format: str
    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False
    field_order: str | None = None
    picture: Any = None


def stored(picture: Any, field_order: str | None = None) -> Stored:
    """Say how PyAV's picture is stored; ``field_order``: of its stream, if it is interlaced."""
    layout = picture.format
    more = any(part.is_alpha or part.bits > 8 for part in layout.components)
    return Stored(
        layout.name,
        picture.colorspace,
        picture.color_primaries,
        picture.color_trc,
        picture.color_range == 2 or layout.name.startswith("yuvj"),
        (field_order or TOP_FIRST) if picture.interlaced_frame else None,
        picture if more and not layout.has_palette else None,
    )


def colour_matrix(colorspace: int) -> str:
    """The matrix between YCbCr and RGB that a stream's tag stands for, as PyAV names it.

    Untagged streams count as BT.601: what comes in by one matrix goes out by the same, under the
    same tag, so that a player shows the colours that it would have shown.
    """
    return _MATRICES.get(colorspace, "ITU601")


def _rows(plane: Any) -> NDArray[np.uint8]:
    """Bytes of a plane, rows × bytes of a line; a view of it."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]


def fields_of(picture: Any) -> list[Any]:
    """Split PyAV's picture into its two fields, the upper one first: copies of half the height."""
    import av

    fields = []
    for first in (0, 1):
        height = (picture.height + 1 - first) // 2
        field = av.VideoFrame(picture.width, height, picture.format.name)
        field.colorspace, field.color_range = picture.colorspace, picture.color_range
        for mine, whole in zip(field.planes, picture.planes, strict=True):
            source, target = _rows(whole)[first::2], _rows(mine)
            count = min(len(source), len(target))
            width = min(source.shape[1], target.shape[1])
            target[:count, :width] = source[:count, :width]
            target[count:] = target[count - 1]  # of an odd number of rows of chroma
        fields.append(field)
    return fields


def woven(fields: list[Any], picture: Any) -> Any:
    """Fill PyAV's picture from its two fields, the upper one first, and return it."""
    for first, field in enumerate(fields):
        for mine, whole in zip(field.planes, picture.planes, strict=True):
            target, source = _rows(whole)[first::2], _rows(mine)
            width = min(source.shape[1], target.shape[1])
            target[:, :width] = source[: len(target), :width]
    return picture


def reformatted(picture: Any, form: str, matrix: str, full: bool | None = None) -> Any:
    """Convert PyAV's picture to another pixel format, rounded to the nearest level.

    Args:
        picture: PyAV's.
        form: pixel format, as FFmpeg names it.
        matrix: see :func:`colour_matrix`.
        full: whether luma of the result has all levels; None: as FFmpeg decides.
    """
    from av.video.reformatter import ColorRange, Interpolation

    exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    into_rgb = form == "rgb24"
    return picture.reformat(
        format=form,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        # Each chroma sample is repeated, and on the way back the mean is taken: a picture that
        # nothing changed is stored as it came.
        interpolation=exact | (Interpolation.POINT if into_rgb else Interpolation.AREA),
        dst_color_range=None if full is None else ColorRange.JPEG if full else ColorRange.MPEG,
        threads=1,
    )


def to_rgb(picture: Any, buffers: Buffers, interlaced: bool = False) -> NDArray[np.uint8]:
    """The pixels of PyAV's picture, uint8, H×W×3, in an array from ``buffers``.

    Args:
        picture: decoded.
        buffers: where the array comes from.
        interlaced: convert its fields apart: of 4:2:0, each has chroma of its own.

    Raises:
        SourceError: FFmpeg can't convert its pixel format.
    """
    import av

    matrix = colour_matrix(picture.colorspace)
    pixels = buffers.take((picture.height, picture.width, 3))
    try:
        if any(component.bits > 16 for component in picture.format.components):
            raise ValueError  # FFmpeg aborts the process on some of these
        apart = interlaced and picture.height > 1
        for first, part in enumerate(fields_of(picture) if apart else [picture]):
            rgb = reformatted(part, "rgb24", matrix)
            rows = _rows(rgb.planes[0])[:, : 3 * rgb.width]
            into = pixels[first::2] if apart else pixels
            into[...] = rows.reshape(into.shape)
    except (av.FFmpegError, OSError, ValueError) as error:
        name = picture.format.name
        raise SourceError(f"frames of pixel format {name} can't be made RGB") from error
    return pixels


def from_rgb(
    pixels: NDArray[np.uint8],
    form: str,
    matrix: str,
    full_range: bool = False,
    interlaced: bool = False,
) -> Any:
    """Make PyAV's picture of pixels, rounded to the nearest level.

    Args:
        pixels: uint8, H×W×3, or H×W, gray.
        form: its pixel format, as FFmpeg names it.
        matrix: see :func:`colour_matrix`.
        full_range: whether luma has all levels.
        interlaced: convert the fields apart.

    Raises:
        av.FFmpegError, ValueError: FFmpeg can't convert to this format.
    """
    import av

    kind = "gray" if pixels.ndim == 2 else "rgb24"

    def convert(part: NDArray[np.uint8]) -> Any:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(part), format=kind)
        return reformatted(picture, form, matrix, full_range)

    return _by_fields(pixels, convert) if interlaced and len(pixels) > 1 else convert(pixels)


def _by_fields(pixels: NDArray[np.uint8], convert: Callable[[NDArray[np.uint8]], Any]) -> Any:
    import av

    fields = [convert(pixels[first::2]) for first in (0, 1)]
    whole = av.VideoFrame(pixels.shape[1], pixels.shape[0], fields[0].format.name)
    return woven(fields, whole)
