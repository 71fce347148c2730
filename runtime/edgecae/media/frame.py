"""A frame on its way from a source to sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SourceError

if TYPE_CHECKING:
    from edgecae.media.video.stored import Stored

__all__ = ["MAX_PIXELS", "Frame", "check_size"]

MAX_PIXELS = 256_000_000
"""Pixels of a picture or frame, unless a caller says otherwise; no source decodes a larger one."""


def check_size(what: str, width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a size before memory is taken for it.

    Args:
        what: that has this size, for the message.
        width: pixels, 1 or more.
        height: likewise.
        max_pixels: largest product of both.

    Raises:
        SourceError: the size is empty, or larger.
    """
    if min(width, height) < 1:
        raise SourceError(f"{what} is {width}×{height}: it has no pixels")
    if width * height > max_pixels:
        raise SourceError(
            f"{what} is {width}×{height}, more than {max_pixels:,} pixels; "
            f"--max-pixels (max_pixels in Python) raises the limit"
        )


@dataclass(frozen=True)
class Frame:
    """One picture and when it was taken.

    Attributes:
        pixels: uint8, H×W×3, RGB, or H×W, gray; C-contiguous. Whoever gets a frame from a source
            may write into it.
        time: seconds of a monotonic clock, when the source handed it out.
        pts: the video's own timestamp, in units of ``time_base``; None where there is none.
        time_base: seconds.
        name: what a folder of images calls it, without suffix; None elsewhere.
        alpha: uint8, H×W, of an image that has it; never denoised.
        before: the picture as it came, shape of ``pixels``; only where a sink asks for it.
        info: EXIF, colour profile and the like of an image, as :class:`images.Picture` has them.
        fine: what 8 bits leave out of an image of 16, likewise.
        stored: how a video stored the picture; None where it comes from none.
        opening: how often its live source had been opened again: where it differs from that of the
            frame before, another scene may have begun.
    """

    pixels: NDArray[np.uint8]
    time: float
    pts: int | None = None
    time_base: Fraction | None = None
    name: str | None = None
    alpha: NDArray[np.uint8] | None = None
    before: NDArray[np.uint8] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    fine: NDArray[np.int16] | None = None
    opening: int = 0
    stored: Stored | None = None
