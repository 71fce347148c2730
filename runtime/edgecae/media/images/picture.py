"""A picture in memory, with all that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.media.images import exif

__all__ = ["FINE_STEPS", "Picture", "upright", "upright_view"]

FINE_STEPS = 257
"""Levels of 16 bits in one of 8: 65535 / 255."""


@dataclass(frozen=True)
class Picture:
    """An image file's pixels and what goes with them.

    Attributes:
        pixels: uint8, H×W (gray) or H×W×3 (RGB), as stored: the EXIF orientation is not applied.
        alpha: uint8, H×W, or None.
        info: what else the file says, see :mod:`edgecae.media.images.metadata`: EXIF, XMP, IPTC,
            colour profile, resolution and text.
        kind: Pillow's name of the format it was read from; None: of no file. In a file of the same
            format the orientation is kept, in any other one the picture is turned upright.
        fine: int16, H×W×channels, where the file has 16 bits a channel, else None: what 8 bits
            leave out. The value of 16 bits is 257 · 8 bits + fine. The channels are those of the
            file: 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha). It stays as it is where
            ``pixels`` are replaced by denoised ones: so the result has 16 bits as well.
        coding: how the file was encoded, as far as a result shall be like it: ``subsampling`` of
            the colours, such as "4:2:0", and whether it is ``lossless``.
        left_out: what the file holds besides, and this does not, in words.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    fine: NDArray[np.int16] | None = None
    coding: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def rows(self, top: int, bottom: int) -> NDArray[np.generic]:
        """Return rows with all channels, H×W×channels; uint16 where there is ``fine``, else uint8.

        Args:
            top: the first row.
            bottom: the row after the last one.
        """
        part = self.pixels[top:bottom]
        part = part[..., None] if part.ndim == 2 else part
        if self.alpha is not None:
            part = np.concatenate([part, self.alpha[top:bottom, :, None]], axis=2)
        if self.fine is None:
            return part
        deep = part.astype(np.int32) * FINE_STEPS
        deep += self.fine[top:bottom]
        return np.clip(deep, 0, 65535, out=deep).astype(np.uint16)


_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
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
    """Turn a picture as its EXIF orientation asks, and have its EXIF data say so."""
    seen = upright_view(picture)
    return replace(
        seen,
        pixels=np.ascontiguousarray(seen.pixels),
        alpha=None if seen.alpha is None else np.ascontiguousarray(seen.alpha),
        fine=None if seen.fine is None else np.ascontiguousarray(seen.fine),
    )


def upright_view(picture: Picture) -> Picture:
    """The same without a copy: the arrays are views, and not contiguous."""
    turned = _UPRIGHT.get(exif.orientation(picture.info.get("exif")))
    if turned is None:
        return picture
    info = dict(picture.info, exif=exif.upright(picture.info["exif"]))
    if info.get("xmp"):
        info["xmp"] = exif.upright_xmp(info["xmp"])
    return replace(
        picture,
        pixels=turned(picture.pixels),
        alpha=None if picture.alpha is None else turned(picture.alpha),
        fine=None if picture.fine is None else turned(picture.fine),
        info=info,
    )
