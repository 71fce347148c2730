"""What a frame is, and its way into the interpreter's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.denoise.blend import SIGN_BIT
from edgecae.errors import FrameError

__all__ = ["check", "fill", "same_place"]


def check(frame: NDArray[np.uint8]) -> None:
    """Refuse what is not a frame.

    Raises:
        FrameError: it is not uint8 of H×W×3, H×W×1 or H×W, with H, W ≥ 1.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise FrameError(f"a frame is a uint8 array, not {kind}")
    gray = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 1)
    if not gray and (frame.ndim != 3 or frame.shape[2] != 3):
        raise FrameError(f"a frame is H×W×3, H×W×1 or H×W, not {frame.shape}")
    if 0 in frame.shape:
        raise FrameError(f"a frame has pixels, this one is {frame.shape}")


def same_place(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether two arrays of the same shape are the same memory in the same order."""
    where = a.__array_interface__["data"][0], b.__array_interface__["data"][0]
    return a is b or (where[0] == where[1] and a.strides == b.strides)


def fill(plane: NDArray[np.uint8], pixels: NDArray[np.uint8], top: int, left: int) -> None:
    """Write pixels into the interpreter's input, and mirror them into the rest of it.

    Args:
        plane: the input, H×W×3 or, for ``pixels`` of one channel, H×W×1.
        pixels: H×W×3 or H×W×1, not larger.
        top: where they begin in it.
        left: likewise.
    """
    height, width, channels = pixels.shape
    inside = plane[top : top + height, left : left + width]
    if channels == 1:
        # Plane by plane: numpy is slow where the innermost axis is three long.
        for channel in range(plane.shape[2]):
            np.bitwise_xor(pixels[..., 0], SIGN_BIT, out=inside[..., channel])
    else:
        np.bitwise_xor(pixels, SIGN_BIT, out=inside)
    tiling.pad_edges(plane, height, width, top, left)
