"""What is kept of earlier frames, as those that compare a frame with it see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kept", "Pixels", "means"]

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """Earlier frames as a recurrent network keeps them.

    Attributes:
        blocks: int8, H/block×W/block×(block² · 3): the RGB pixels of a plane after space-to-depth.
        block: side of a block.
        top: row of the plane where the frame begins.
        left: column, likewise.
    """

    blocks: NDArray[np.int8]
    block: int
    top: int
    left: int

    def rows(self, first: int, step: int, count: int, width: int) -> NDArray[np.int16]:
        """Green of some rows of the frame, 0–255.

        Args:
            first: the first row; it may lie outside of the frame, but not of the plane.
            step: from one to the next, a multiple of ``block``.
            count: how many.
            width: of the frame.

        Returns:
            count×width.
        """
        block, start = self.block, self.top + first
        inside = start % block
        band = self.blocks[start // block :: step // block][:count]
        row = np.empty((len(band), band.shape[1] * block), np.int16)
        for column in range(block):
            np.add(
                band[..., 3 * (inside * block + column) + 1],
                np.int16(128),
                out=row[:, column::block],
                dtype=np.int16,
            )
        return row[:, self.left : self.left + width]

    def lines(self, first: int, step: int, count: int) -> Pixels:
        """Green of lines of blocks, the mean of each block.

        Args:
            first: the first line of blocks of the plane.
            step: from one to the next.
            count: how many.

        Returns:
            count×(columns of blocks).
        """
        band = self.blocks[first::step][:count]
        total = np.zeros(band.shape[:2], np.float32)
        for green in range(1, band.shape[2], 3):
            total += band[..., green]
        total /= self.block**2
        total += 128
        return total

    def small(self, factor: int, height: int, width: int) -> tuple[Pixels, int, int]:
        """Make a small picture of the frame, of one pixel in each block.

        Args:
            factor: how much smaller, a multiple of ``block``.
            height: of the small picture.
            width: likewise.

        Returns:
            The picture, 0–255, and the row and column of the frame where it begins.
        """
        block = self.block
        row, column = (-(-start // block) for start in (self.top, self.left))
        parts = factor // block
        green = self.blocks[row : row + height * parts, column : column + width * parts, 1]
        picture = means(green, parts, parts) + np.float32(128)
        return picture, row * block - self.top, column * block - self.left


def means(plane: NDArray[np.int8] | NDArray[np.uint8], tall: int, wide: int) -> Pixels:
    """Average cells of a plane, H×W, whose sides are multiples of the cell's."""
    whole = np.zeros((len(plane) // tall, plane.shape[1]), np.int16)
    for row in range(tall):
        whole += plane[row::tall]
    total = np.zeros((len(whole), whole.shape[1] // wide), np.float32)
    for column in range(wide):
        total += whole[:, column::wide]
    total /= tall * wide
    return total
