"""Tiles of a camera's frames: what is kept of them to measure noise in, whatever their size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "Tiles"]

SIDE = 32
"""Pixels on each side of a tile. Tiles start at its multiples, as the blocks of codecs do."""

MAX_PIXELS = 2**19
"""Pixels of a frame that are kept; of larger frames, evenly spaced tiles."""

MAX_BYTES = 2**27
"""Bytes that are kept of all frames; before it is exceeded, every other tile is given up."""


class Tiles:
    """The same tiles of each frame, as long as all frames have one size.

    Attributes:
        same_size: whether they have, so far.
    """

    def __init__(self) -> None:
        self.same_size = True
        self._step = 1
        self._bytes = 0
        self._frames: list[NDArray[np.uint8]] = []

    @property
    def columns(self) -> int:
        """Tiles in a row of a frame, 0 where not all tiles are kept."""
        return self._shape[1] // SIDE if self._frames and self._step == 1 else 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Keep tiles of a frame, uint8, H×W×3, H×W×1 or H×W; gray becomes three equal channels."""
        rows, columns = (length // SIDE for length in frame.shape[:2])
        if not self._frames:
            self._shape = frame.shape
            self._step = max(1, math.ceil(rows * columns * SIDE**2 / MAX_PIXELS))
        self.same_size &= frame.shape == self._shape
        cut = frame[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, -1)
        tiles = cut.transpose(0, 2, 1, 3, 4).reshape(rows * columns, SIDE, SIDE, cut.shape[-1])
        tiles = tiles[:: self._step]
        self._frames.append(np.broadcast_to(tiles, (*tiles.shape[:3], 3)).copy())
        self._bytes += self._frames[-1].nbytes
        if self._bytes > MAX_BYTES and len(tiles) > 1:
            self._step *= 2
            self._frames = [each[::2].copy() for each in self._frames]
            self._bytes = sum(each.nbytes for each in self._frames)

    @property
    def count(self) -> int:
        """Frames."""
        return len(self._frames)

    def stacked(self) -> NDArray[np.uint8]:
        """All that is kept of frames of one size: T×N×32×32×3."""
        return np.stack(self._frames)

    def sample(self, count: int) -> NDArray[np.uint8]:
        """Up to ``count`` tiles, evenly from all frames, of whatever size: N×32×32×3."""
        each = max(1, count // len(self._frames))
        return np.concatenate(
            [tiles[:: max(1, math.ceil(len(tiles) / each))] for tiles in self._frames]
        )
