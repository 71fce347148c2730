"""Statistics of one frame that tell how much noise it has, whatever made the noise.

Energies of Haar bands in blocks of 16×16 pixels, over four scales, in luma and chroma: noise of one
kind has the same in all blocks, texture has not. Blocks that show least at the coarse scales have
little texture, so what they show at the fine ones is noise. Cosines on the grid of 8×8 tell what
JPEG and video encoders have taken away.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.white import white_sigma

__all__ = ["COUNT", "MIN_SIDE", "frame_statistics"]

BLOCK = 16
"""Side of a block, pixels."""
MIN_SIDE = 2 * BLOCK
"""Pixels that a frame's shorter side must have."""
MAX_PIXELS = 100_000
"""So many pixels of a frame are used, in whole rows of blocks."""
SCALES = 4
BANDS = 2
"""Of a scale: the diagonal one, and the mean of the other two."""
QUANTILES = 0.02, 0.08, 0.2, 0.4, 0.7
"""Of the energy of a band over all blocks."""
SHARES = 0, 0.05, 0.15, 0.35, 0.65, 1
"""Blocks in the order of their coarse energy are divided here; the mean of each part counts."""
LEVELS = 4
"""Blocks in the order of their brightness are divided into so many parts."""
FREQUENCIES = (1, 2), (3, 4), (5, 7), (8, 10), (11, 14)
"""Groups of cosines by the sum of their two frequencies, first and last."""
LEAST = 0.02
"""Is added to an energy before its logarithm, levels²: there is rounding in it."""
SMALL = 0.7
"""Levels below which a cosine counts as none."""
MAX_BLOCKS = 512
"""Whose cosines are put in order."""

COUNT = (
    3 * SCALES * BANDS * (len(QUANTILES) + len(SHARES) - 1)
    + LEVELS * 2 * BANDS
    + 2 * (4 * len(FREQUENCIES) + 2)
    + 5
)
"""Numbers that :func:`frame_statistics` returns."""

Floats = NDArray[np.floating]


def _sampled(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows of blocks of a frame, evenly spaced, below each other."""
    height, width = (side // BLOCK for side in frame.shape[:2])
    bands = min(height, max(1, MAX_PIXELS // (BLOCK * BLOCK * width)))
    first = np.arange(bands) * height // bands * BLOCK
    rows = (first[:, None] + np.arange(BLOCK)).ravel()
    return frame[rows, : width * BLOCK]


def _in_blocks(plane: Floats, side: int) -> Floats:
    """Mean of each block of ``side``×``side``, row by row."""
    rows, columns = (length // side for length in plane.shape)
    means: Floats = plane.reshape(rows, side, columns, side).mean((1, 3)).ravel()
    return means


def _energies(planes: Floats) -> Floats:
    """Energy of each block, (plane, scale, band)×block."""
    found = []
    for plane in planes:
        rest = plane
        for scale in range(SCALES):
            total, change = rest[::2] + rest[1::2], rest[::2] - rest[1::2]
            across = (total[:, ::2] - total[:, 1::2]) / 2
            down = (change[:, ::2] + change[:, 1::2]) / 2
            diagonal = (change[:, ::2] - change[:, 1::2]) / 2
            side = BLOCK >> (scale + 1)
            found.append(_in_blocks(diagonal**2, side))
            found.append(_in_blocks((across**2 + down**2) / 2, side))
            rest = (total[:, ::2] + total[:, 1::2]) / 4
    return np.stack(found)


def _parts(order: NDArray[np.intp], shares: Floats) -> list[NDArray[np.intp]]:
    """Divide numbers of blocks; each part has one at least."""
    ends = np.rint(shares * len(order)).astype(int)
    starts = np.minimum(ends[:-1], len(order) - 1)
    pairs = zip(starts, np.maximum(ends[1:], starts + 1), strict=True)
    return [order[start:stop] for start, stop in pairs]


@functools.cache
def _transform() -> NDArray[np.float32]:
    """The discrete cosine transform of eight numbers, orthonormal, 8×8."""
    frequency, place = np.mgrid[:8, :8]
    matrix = np.cos(np.pi * (2 * place + 1) * frequency / 16) / 2
    matrix[0] /= np.sqrt(2)
    transform: NDArray[np.float32] = matrix.astype(np.float32)
    return transform


@functools.cache
def _groups() -> list[NDArray[np.intp]]:
    """The cosines of each group, of 64."""
    sums = np.add.outer(np.arange(8), np.arange(8)).ravel()
    return [np.flatnonzero((sums >= low) & (sums <= high)) for low, high in FREQUENCIES]


def _on_the_grid(plane: Floats) -> list[float]:
    """Statistics of cosines on the grid of 8×8, and of steps at its lines."""
    rows, columns = (side // 8 for side in plane.shape)
    blocks = plane.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    cosines = np.abs(_transform() @ blocks @ _transform().T).reshape(-1, 64)
    found: list[float] = []
    for group in _groups():
        some = cosines[:, group]
        ordered = some[:: max(1, len(some) // MAX_BLOCKS)]
        found.append(float((some < SMALL).mean()))
        found += np.log(np.quantile(ordered, (0.5, 0.9)) + 0.05).tolist()
        found.append(float(np.log(some.mean() + 0.05)))
    steps = np.abs(np.diff(plane, axis=1)).mean(0)
    by_place = steps[: len(steps) // 8 * 8].reshape(-1, 8).mean(0) + 0.1
    return [*found, *(float(np.log(by_place[7] / by_place[inside])) for inside in (3, 1))]


def frame_statistics(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a frame by numbers, most of them logarithms.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255; H and W are :data:`MIN_SIDE` at least.

    Returns:
        :data:`COUNT` numbers. The last one is the logarithm of what its noise would be if it were
        white (:func:`.white.white_sigma`), and 0.1 more.
    """
    if frame.ndim == 2 or frame.shape[2] == 1:
        frame = np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2)
    some = _sampled(frame)
    planes = np.moveaxis(some.astype(np.float32) @ colour_matrices(601)[0].T, 2, 0)
    energies = _energies(planes)
    found = [np.log(np.quantile(energies, QUANTILES, axis=1) + LEAST).ravel()]
    coarse = energies[SCALES : 2 * SCALES].sum(0)  # of luma, the coarse half of its scales
    for part in _parts(np.argsort(coarse), np.array(SHARES)):
        found.append(np.log(energies[:, part].mean(1) + LEAST))
    level = _in_blocks(planes[0], BLOCK)
    for part in _parts(np.argsort(level), np.linspace(0, 1, LEVELS + 1)):
        found.append(np.log(np.quantile(energies[: 2 * BANDS, part], 0.2, axis=1) + LEAST))
    found += [np.array(_on_the_grid(plane)) for plane in planes[:2]]
    cut = (some <= 2).mean(), (some >= 253).mean()
    white = np.log(white_sigma(frame) + 0.1)
    found.append(np.array([level.mean() / 128, level.std() / 64, *cut, white]))
    return np.concatenate(found).astype(np.float32)
