"""Colours under transparent pixels: nobody sees them, and they shall not show beside others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecae.media.images.deep import rows_of

__all__ = ["cover_hidden"]


def _sources(visible: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where each place of a line takes its value from: itself, or a visible place.

    A hidden place mirrors the nearest run of visible ones, to and fro where the run is short, as
    a frame is mirrored beyond its edges: so there is neither an edge nor a lack of noise.

    Args:
        visible: N×L, with one visible place a line at least.
    """
    length = visible.shape[1]
    places = np.arange(length)

    def before(lines: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Last place of the nearest run at or before each place, −1: none; and its length."""
        last = np.maximum.accumulate(np.where(lines, places, -1), axis=1)
        gap = np.maximum.accumulate(np.where(lines, -1, places), axis=1)
        start = np.take_along_axis(gap, np.maximum(last, 0), axis=1)
        return last, np.maximum(last - start, 1)

    def mirrored(lines: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Source of each place in the run before it, and the distance from that run."""
        last, run = before(lines)
        distance = np.where(last < 0, length, places - last)
        step = (distance - 1) % (2 * run)
        return last - np.minimum(step, 2 * run - 1 - step), distance

    left, to_left = mirrored(visible)
    right, to_right = (each[:, ::-1] for each in mirrored(visible[:, ::-1]))
    found = np.where(to_left <= to_right, left, length - 1 - right)
    return np.where(visible, places, found)


def cover_hidden(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> None:
    """Replace the pixels under alpha 0 by visible ones beside them, if there are any.

    Args:
        pixels: uint8, H×W or H×W×3; overwritten.
        alpha: uint8, H×W.
    """
    height, width = alpha.shape
    seen = (alpha != 0).any(axis=1)
    if not seen.any():
        return
    step = rows_of(32 * width)  # many numbers of eight bytes a pixel are in use
    for top in range(0, height, step):
        rows = np.flatnonzero(seen[top : top + step]) + top
        visible = alpha[rows] != 0
        incomplete = ~visible.all(axis=1)
        rows, visible = rows[incomplete], visible[incomplete]
        if rows.size:
            pixels[rows] = pixels[rows[:, None], _sources(visible)]
    above = _sources(seen[None])[0]
    for row in np.flatnonzero(~seen):
        pixels[row] = pixels[above[row]]
