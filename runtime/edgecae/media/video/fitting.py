"""Frames made as large as an output that can't change its size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import naming

__all__ = ["Fitting"]

log = naming.logger(__name__)


class Fitting:
    """Scales frames to the size of the first one, as FFmpeg does (``-autoscale``).

    They keep their own proportions, with black beside them.

    Args:
        name: of the output, for the one line that says so.
        size: height and width.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self._name, self.size = name, size
        self._said = False

    def fit(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture as large as it fits in, in the middle; itself where it has the size.

        Args:
            pixels: uint8, H×W×3, RGB, or H×W, gray.

        Raises:
            av.FFmpegError, ValueError: FFmpeg can't scale it.
        """
        if pixels.shape[:2] == self.size:
            return pixels
        self._say(f"{pixels.shape[1]}×{pixels.shape[0]}")
        scale = min(self.size[0] / pixels.shape[0], self.size[1] / pixels.shape[1])
        height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
        top, left = (self.size[0] - height) // 2, (self.size[1] - width) // 2
        fitted = np.zeros((*self.size, *pixels.shape[2:]), np.uint8)
        fitted[top : top + height, left : left + width] = (
            _picture(pixels).reformat(width=width, height=height).to_ndarray()
        )
        return fitted

    def _say(self, from_size: str) -> None:
        """Once: pictures of a folder may each have a size of their own."""
        if not self._said:
            self._said = True
            log.warning(
                "%s: a frame of %s is scaled to %d×%d, and so will be all others: a pipe keeps the "
                "size that it began with; start anew for another, or write to a file",
                *(self._name, from_size, self.size[1], self.size[0]),
            )


def _picture(pixels: NDArray[np.uint8]) -> Any:
    import av

    return av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
