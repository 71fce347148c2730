"""Pictures that hold more than 8-bit RGB: what the network changed is added to them.

The network works in 8 bits. out = in + (result − what the network saw) · scale: depth, alpha and
the levels beyond the range of RGB stay as they are where nothing changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_change", "layout_of", "planar_format"]

_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593),
            10: (0.2627, 0.0593)}  # fmt: skip
"""Shares of red and blue in luma, by FFmpeg's number of the matrix; else those of BT.601."""

_BT601 = (0.299, 0.114)

_DEPTHS = {
    "gray": (8, 10, 12, 14, 16),
    "ya": (8, 16),
    "gbrp": (8, 10, 12, 14, 16),
    "gbrap": (8, 10, 12, 14, 16),
    "yuv": (8, 10, 12, 14, 16),
    "yuva": (8, 10, 12, 16),
}
"""Bits a sample that FFmpeg has planar formats for."""


def layout_of(name: str) -> tuple[str, str, int, bool]:
    """Take a pixel format of FFmpeg's apart.

    Returns:
        ``gray``, ``rgb`` or ``yuv``; its chroma (``420``, ``422``, ``444``; empty if it has none);
        bits a sample; whether it has alpha.

    Raises:
        ValueError: there is no such format.
    """
    import av

    layout = av.VideoFormat(name)
    parts = layout.components
    alpha = any(part.is_alpha for part in parts)
    bits = max(part.bits for part in parts)
    if layout.is_rgb or layout.has_palette or name.startswith("bayer"):
        return "rgb", "444", bits, alpha
    if len(parts) - alpha < 3:
        return "gray", "", bits, alpha
    across, down = 8 // layout.chroma_width(8), 8 // layout.chroma_height(8)
    chroma = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440"}.get((across, down), "411")
    return "yuv", chroma, bits, alpha


def planar_format(name: str) -> str:
    """Name the planar format of FFmpeg's that holds all that a pixel format does.

    Planes of more than 8 bits are little-endian.
    """
    kind, chroma, bits, alpha = layout_of(name)
    if kind == "gray":
        stem, tail = ("ya" if alpha else "gray"), ""
    elif kind == "rgb":
        stem, tail = ("gbrap" if alpha else "gbrp"), ""
    else:
        stem, tail = ("yuva" if alpha else "yuv"), (chroma if chroma != "411" else "422") + "p"
        if chroma == "440":
            tail = "444p"
    depth = min(each for each in _DEPTHS[stem] if each >= bits)
    if depth == 8:
        return {"ya": "ya8", "gray": "gray"}.get(stem, stem + tail)
    return f"{stem}{tail}{depth}le"


def _planes(picture: Any, bits: int) -> list[NDArray[Any]]:
    """Views of the planes, rows × samples of a row (gray with alpha: two samples a pixel)."""
    dtype = np.dtype("<u2" if bits > 8 else "u1")
    planes = []
    for plane in picture.planes:
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        samples = 2 if picture.format.name.startswith("ya") else 1
        planes.append(rows[: plane.height, : samples * plane.width])
    return planes


def _mean(change: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    """The mean of blocks of ``down`` × ``across`` pixels; edges are repeated to fill the last."""
    high, wide = -change.shape[0] % down, -change.shape[1] % across
    if high or wide:
        change = np.pad(change, ((0, high), (0, wide)), mode="edge")
    blocks = change.reshape(change.shape[0] // down, down, change.shape[1] // across, across)
    mean: NDArray[np.float32] = blocks.mean((1, 3))
    return mean


def _add(plane: NDArray[Any], change: NDArray[np.float32], largest: int) -> None:
    """Add to a view of a plane in place, rounded and clipped; what does not change stays exact."""
    change = np.rint(change[: plane.shape[0], : plane.shape[1]])
    # Levels that the format does not use (padding bits) stay within it.
    plane[...] = np.clip(plane + change, 0, largest).astype(plane.dtype)


def add_change(
    picture: Any,
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    matrix: int,
    full_range: bool,
    interlaced: bool = False,
) -> Any:
    """Add what the network changed to a picture of more than 8-bit RGB.

    Args:
        picture: PyAV's, H×W, of any pixel format that FFmpeg can convert; left as it is.
        before: uint8, H×W×3, what the network saw.
        after: likewise, its result.
        matrix: between YCbCr and RGB, FFmpeg's number.
        full_range: whether luma has all levels.
        interlaced: of 4:2:0, each field has chroma of its own.

    Returns:
        A picture of :func:`planar_format`. Alpha is what it was.

    Raises:
        av.FFmpegError, ValueError: FFmpeg can't convert the pixel format.
    """
    form = planar_format(picture.format.name)
    kind, _, bits, alpha = layout_of(form)
    result = picture.reformat(format=form)
    if result is picture:
        result.make_writable()
    if interlaced and len(before) > 1:
        for first in (0, 1):
            rows = slice(first, None, 2)
            planes = [plane[rows] for plane in _planes(result, bits)]
            _change(planes, kind, bits, alpha, before[rows], after[rows], matrix, full_range)
    else:
        _change(_planes(result, bits), kind, bits, alpha, before, after, matrix, full_range)
    return result


def _change(
    planes: list[NDArray[Any]],
    kind: str,
    bits: int,
    alpha: bool,
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    matrix: int,
    full_range: bool,
) -> None:
    change = after.astype(np.float32) - before
    largest = 2**bits - 1
    full = largest / 255
    if kind == "rgb":
        for plane, channel in zip(planes, (1, 2, 0), strict=False):  # planes: green, blue, red
            _add(plane, full * change[..., channel], largest)
        return
    red, blue = _WEIGHTS.get(matrix, _BT601)
    luma = change @ np.array([red, 1 - red - blue, blue], np.float32)
    step = 2 ** (bits - 8)
    if kind == "gray":
        # FFmpeg counts gray as full range, whatever its tag says.
        _add(planes[0][:, ::2] if alpha else planes[0], full * luma, largest)
        return
    _add(planes[0], luma * (full if full_range else 219 / 255 * step), largest)
    for plane, channel, share in ((planes[1], 2, blue), (planes[2], 0, red)):
        chroma = (change[..., channel] - luma) * np.float32(0.5 / (1 - share))
        down = round(len(luma) / len(plane))
        across = round(luma.shape[1] / plane.shape[1])
        _add(
            plane, _mean(chroma, down, across) * (full if full_range else 224 / 255 * step), largest
        )
