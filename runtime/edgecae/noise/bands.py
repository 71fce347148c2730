"""How much detail a frame has in each band: brightness and colour, by size and by quietness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "COUNT", "band_levels"]

BLOCK = 16
"""Side of a block in pixels; a frame needs one at least."""

WINDOW = 64
"""Side of the windows of a frame that are looked at."""

ROWS, WINDOWS = 3, 12
"""How many rows of windows there are at most, and how many windows."""

BANDS = 4
"""Each is of details twice as large as the one before, from two pixels on."""

SHARES = (0.03, 0.1, 0.25, 0.5, 0.8)
"""Which blocks speak for a band, from the quietest (0) to the busiest (1)."""

FLOOR = 0.02
"""Is added to energies before the logarithm: rounding alone makes more."""

COUNT = BANDS * 2 * len(SHARES) * 3
"""How many numbers :func:`band_levels` returns."""


def _starts(length: int, window: int, most: int) -> NDArray[np.intp]:
    """Where windows begin that are spread evenly over a length."""
    many = max(1, min(most, length // window))
    if many == 1:
        return np.array([(length - window) // 2])
    return np.linspace(0, length - window, many).astype(np.intp)


def _windows(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness and two differences of colour in windows of a frame, 3×N×H×W."""
    height, width = (min(WINDOW, side // BLOCK * BLOCK) for side in frame.shape[:2])
    tops = _starts(frame.shape[0], height, ROWS)
    lefts = _starts(frame.shape[1], width, WINDOWS // len(tops))
    planes = np.empty((3, len(tops) * len(lefts), height, width), np.float32)
    places = ((top, left) for top in tops for left in lefts)
    for index, (top, left) in enumerate(places):
        part = frame[top : top + height, left : left + width]
        planes[:, index] = part.transpose(2, 0, 1) if part.ndim == 3 else part
    red, green, blue = planes
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    return np.stack([luma, (blue - luma) * 0.564, (red - luma) * 0.713])


def _block_energies(detail: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Mean squares of blocks of side×side, 3×N."""
    detail *= detail
    for axis in (2, 3):
        detail = np.add.reduceat(detail, np.arange(0, detail.shape[axis], side), axis=axis)
    return detail.reshape(3, -1) * np.float32(1 / (4 * side * side))


def _quietest(energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """The energies of the blocks that have SHARES of all below them, SHARES×3, as logarithms."""
    energies.sort(axis=1)
    places = np.array(SHARES) * (energies.shape[1] - 1)
    below = places.astype(np.intp)
    above = np.minimum(below + 1, energies.shape[1] - 1)
    part = (places - below).astype(np.float32)
    chosen = energies[:, below] * (1 - part) + energies[:, above] * part
    return np.log(chosen.T + np.float32(FLOOR))


def band_levels(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure the detail of a frame with Haar's wavelets, in blocks of 16×16.

    Looks at 12 windows of 64×64 at most, whatever the size.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255; H and W are :data:`BLOCK` or more.

    Returns:
        Natural logarithms of mean squares (0–255 scale squared), float32, :data:`COUNT` of them: by
        band, from the finest; diagonal detail before the rest; by :data:`SHARES`; brightness, blue
        and red.
    """
    picture = _windows(frame)
    levels = []
    for band in range(BANDS):
        side = BLOCK >> (band + 1)
        upper, lower = picture[:, :, ::2], picture[:, :, 1::2]
        smooth, rough = upper + lower, upper - lower
        diagonal = rough[..., ::2] - rough[..., 1::2]
        across = smooth[..., ::2] - smooth[..., 1::2]
        down = rough[..., ::2] + rough[..., 1::2]
        straight = (_block_energies(across, side) + _block_energies(down, side)) / 2
        levels += [_quietest(_block_energies(diagonal, side)), _quietest(straight)]
        picture = (smooth[..., ::2] + smooth[..., 1::2]) / 4
    return np.concatenate(levels, axis=None)
