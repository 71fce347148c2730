"""Bring pictures to the size that a file takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit", "fitted"]

MAX_PIXELS = 2**23
"""Of all pictures of a fixed size together: as many of them are measured on as that holds."""


def fit(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Mirror a picture, H×W×C, at its right and bottom edge, or crop it, to a height and width."""
    missing = [
        max(0, want - have) for want, have in zip((height, width), picture.shape, strict=False)
    ]
    padded = np.pad(picture, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    return np.ascontiguousarray(padded[:height, :width])


def fitted(
    pictures: Sequence[NDArray[np.uint8]], size: tuple[int, int] | None
) -> list[NDArray[np.uint8]]:
    """Bring pictures to a height and width, the first of them where all would be too much."""
    if size is None:
        return list(pictures)
    count = max(1, MAX_PIXELS // (size[0] * size[1]))
    return [fit(picture, *size) for picture in pictures[:count]]
