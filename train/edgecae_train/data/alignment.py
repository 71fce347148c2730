"""Shots of a still scene brought into line, and what moves in them found.

Shots that a hand or the wind moved are shifted back by whole pixels, which leaves their noise as it
is; any resampling would blur it. The shift is where the phase correlation of two shots has its peak
(Kuglin and Hines, "The phase correlation image alignment method", 1975). What is left of it, a part
of a pixel, is found by least squares over the gradient (Lucas and Kanade, "An iterative image
registration technique", 1981): a shot that is further off than :data:`MAX_REST` is no use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae_train.data.batches import LUMA

__all__ = ["BLOCK", "MAX_REST", "Aligned", "align", "find_shift", "moving_blocks"]

BLOCK = 8
"""Side of the blocks that are judged as still or moving, in pixels."""

MAX_REST = 0.3
"""Of a pixel, left of a shift: a shot that is further off is left out."""

MAX_SHIFT = 64
"""Pixels of a shift, each way: a larger one is no shaken tripod."""

MAX_DEVIATIONS = 6.0
"""Robust standard deviations that a still block's difference may lie above the usual one."""

LEVELS = 12
"""Ranges of brightness, each of which has noise of its own strength."""

SMOOTHED = 16
"""Pixels of smoothed noise that count as one: so many of its neighbours are alike."""

TILE = 64
"""Side of the parts that say what is left of a shift, each for itself, in pixels."""

MIN_SCENE = 0.2
"""Gradients of the scene, by those of the noise, that tell a part of a pixel."""

MIN_GRADIENT = 1e-7
"""The same where there is no noise, on the 0–1 scale, squared."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Aligned:
    """Shots of one scene, in line.

    Attributes:
        shots: uint8, S×H×W×3, the part of the scene that all of them show.
        still: bool, S×H×W: where a shot shows what the others do.
        used: which of the shots that were given these are.
        left_out: why others are not here, by their number.
    """

    shots: Pixels
    still: NDArray[np.bool_]
    used: tuple[int, ...]
    left_out: dict[int, str]


def _smooth(luma: Floats, times: int = 2) -> Floats:
    """Blur with the kernel (1, 2, 1) / 4, a few times, along both axes, edges repeated."""
    for _ in range(times):
        for axis in (0, 1):
            padded = np.pad(luma, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            before, middle, after = (
                padded.take(range(start, start + luma.shape[axis]), axis) for start in (0, 1, 2)
            )
            luma = (before + 2 * middle + after) / 4
    return luma


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """Where a reference and a shot that is ``shift`` further on show the same, along an axis."""
    return slice(max(0, -shift), size - max(0, shift)), slice(max(0, shift), size + min(0, shift))


def _rest(reference: Floats, shot: Floats) -> tuple[float, float]:
    """What is left of the shift, down and right, in pixels; zeros where noise alone can be seen.

    It is the median over tiles, so that a thing which moves by itself counts for little. The mean
    of both pictures has gradients of the scene and of a quarter of the noise that the difference
    has. The latter are taken off: else a shift would look the smaller, the more noise there is.
    """
    side = min(TILE, *reference.shape)
    rows, columns = (length // side for length in reference.shape)

    def tiles(values: Floats) -> Floats:
        cut = values[: rows * side, : columns * side]
        means: Floats = cut.reshape(rows, side, columns, side).mean((1, 3)).ravel()
        return means

    difference = reference - shot
    gradients, noise = np.gradient((reference + shot) / 2), np.gradient(difference)
    matrix = np.stack(
        [
            np.stack([tiles(gradients[i] * gradients[j] - noise[i] * noise[j] / 4) for j in (0, 1)])
            for i in (0, 1)
        ]
    ).transpose(2, 0, 1)
    least = MIN_SCENE * tiles(noise[0] ** 2 + noise[1] ** 2) / 8
    clear = np.linalg.eigvalsh(matrix)[:, 0] >= np.maximum(least, MIN_GRADIENT)
    if not clear.any():
        return 0.0, 0.0
    vector = np.stack([tiles(gradient * difference) for gradient in gradients], axis=-1)
    down, right = np.median(np.linalg.solve(matrix[clear], vector[clear][..., None])[..., 0], 0)
    return float(down), float(right)


def find_shift(reference: Pixels, shot: Pixels) -> tuple[int, int, float]:
    """How far a shot of the same scene lies off a reference.

    Args:
        reference: uint8, H×W×3.
        shot: likewise, of the same size.

    Returns:
        Rows and columns: what is at (y, x) in the reference is at (y + rows, x + columns) in the
        shot; and how far off the shot still is after that, in pixels.
    """
    one, other = (_smooth((pixels @ LUMA) / 255) for pixels in (reference, shot))
    window = np.hanning(one.shape[0])[:, None] * np.hanning(one.shape[1])
    spectra = [np.fft.rfft2((luma - luma.mean()) * window) for luma in (one, other)]
    cross = spectra[1] * np.conj(spectra[0])
    # Not divided by the whole magnitude: where a picture has little, there is noise alone.
    magnitude = np.abs(cross)
    peak = np.fft.irfft2(cross / (magnitude + np.quantile(magnitude, 0.9)), s=one.shape)
    limits = [min(MAX_SHIFT, side // 4) for side in one.shape]
    near = np.abs(np.fft.fftfreq(one.shape[0], 1 / one.shape[0])) <= limits[0]
    beside = np.abs(np.fft.fftfreq(one.shape[1], 1 / one.shape[1])) <= limits[1]
    peak[~(near[:, None] & beside)] = -np.inf
    place = np.unravel_index(int(np.argmax(peak)), peak.shape)
    found = [int(p) - side * (p > side // 2) for p, side in zip(place, one.shape, strict=True)]

    def compared(rows: int, columns: int) -> tuple[float, float]:
        """Mean squared difference at a shift, and how far off the shot still is."""
        (here_y, there_y), (here_x, there_x) = (
            _overlap(side, shift) for side, shift in zip(one.shape, (rows, columns), strict=True)
        )
        a, b = one[here_y, here_x], other[there_y, there_x]
        return float(np.mean((a - b) ** 2)), float(np.hypot(*_rest(a, b)))

    # Where a scene is flat, the peak is one of noise: the best of so many shifts by chance.
    candidates = (2 * limits[0] + 1) * (2 * limits[1] + 1)
    chance = np.sqrt(2 * np.log(candidates) * SMOOTHED / one.size)
    stay, shifted = compared(0, 0), compared(*found)
    if shifted[0] < (1 - chance) * stay[0]:
        return found[0], found[1], shifted[1]
    return 0, 0, stay[1]


def _blocks(values: Floats) -> Floats:
    """Means of the blocks of an array S×H×W×C; what is left of a block at an edge is dropped."""
    count, height, width, channels = values.shape
    rows, columns = height // BLOCK, width // BLOCK
    cut = values[:, : rows * BLOCK, : columns * BLOCK]
    means: Floats = cut.reshape(count, rows, BLOCK, columns, BLOCK, channels).mean((2, 4))
    return means


def _outliers(values: Floats, level: Floats) -> NDArray[np.bool_]:
    """What is far above the usual value at its brightness, both S×h×w."""
    edges = np.quantile(level, np.linspace(0, 1, LEVELS + 1)[1:-1])
    group = np.digitize(level, edges)
    far = np.zeros(values.shape, bool)
    for index in range(LEVELS):
        mine = group == index
        if mine.any():
            middle = np.median(values[mine])
            deviation = 1.4826 * np.median(np.abs(values[mine] - middle))
            far[mine] = values[mine] > middle + MAX_DEVIATIONS * max(deviation, 0.05 * middle)
    return far


def moving_blocks(shots: Pixels) -> NDArray[np.bool_]:
    """Find what moves in shots that are in line.

    A shot's distance from the median of all is noise where the scene is still, as strong as
    wherever else it is as bright. A block moves where its mean, or the strength of its difference,
    lies far above that. Its neighbours count as moving as well.

    Args:
        shots: uint8, S×H×W×3.

    Returns:
        bool, S×H×W.
    """
    values = shots.astype(np.float32)
    difference = values - np.median(values, axis=0)
    level = _blocks(values).mean(-1)
    moved = _outliers(np.abs(_blocks(difference)).max(-1), level)
    moved |= _outliers(_blocks(difference**2).max(-1), level)
    grown = np.pad(moved, [(0, 0), (1, 1), (1, 1)])
    grown = np.any(
        [grown[:, y : y + moved.shape[1], x : x + moved.shape[2]]
         for y in range(3) for x in range(3)], axis=0
    )  # fmt: skip
    height, width = shots.shape[1:3]
    whole = grown.repeat(BLOCK, 1).repeat(BLOCK, 2)
    rest = [(0, height - whole.shape[1]), (0, width - whole.shape[2])]
    return np.pad(whole, [(0, 0), *rest], mode="edge")


def align(shots: Pixels) -> Aligned:
    """Bring shots of one scene into line.

    Args:
        shots: uint8, S×H×W×3, of one size, at least 32×32.

    Returns:
        Those that are within :data:`MAX_REST` of a pixel of the first, and where they are still.
    """
    shifts, left_out = {0: (0, 0)}, {}
    for index in range(1, len(shots)):
        rows, columns, rest = find_shift(shots[0], shots[index])
        if rest > MAX_REST:
            left_out[index] = f"{rest:.1f} pixels off after whole pixels are undone"
        else:
            shifts[index] = (rows, columns)
    height, width = shots.shape[1:3]
    top, left = (max(0, *(-shift[axis] for shift in shifts.values())) for axis in (0, 1))
    bottom, right = (
        side - max(0, *(shift[axis] for shift in shifts.values()))
        for axis, side in ((0, height), (1, width))
    )
    lined = np.stack(
        [
            shots[index][top + rows : bottom + rows, left + columns : right + columns]
            for index, (rows, columns) in shifts.items()
        ]
    )
    moving = moving_blocks(lined) if len(lined) > 1 else np.zeros(lined.shape[:3], bool)
    return Aligned(lined, ~moving, tuple(shifts), left_out)
