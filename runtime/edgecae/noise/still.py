"""Noise of still frames: what changes from frame to frame, pixel by pixel.

Changes of the light and of the camera are taken out first (:mod:`.residuals`). Blocks in which
something moves are left out.

Noise that lasts for some frames, as in video, looks weaker than it is where it is compared with a
mean of few frames. So the variance is that of frames which are far apart: half the mean square of
their difference, which no mean enters (the variogram of geostatistics; Cressie, "Statistics for
spatial data", 1993).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.curve import BINS, bin_of
from edgecae.noise.residuals import CHUNK, Residuals
from edgecae.noise.spectrum import SpectralSum
from edgecae.noise.tiles import SIDE

__all__ = ["StillNoise", "measure_still"]

Floats = NDArray[np.floating]

BLOCK = 8
"""Pixels on each side of a block, in which something moves or not."""

MAX_SPECTRAL_TILES = 3000
"""Tiles of all frames that the spectrum is made of; of more, every so many frames."""

MIN_SPECTRAL_TILES = 12
"""Tiles of a frame that should be there for it, be their noise cut off in part."""

MIN_CHANGE = 2.0
"""A block moves only where its variance is so many times the median of its brightness …"""

COMMON_FACTOR = 2.5
"""… and the share of it that is common to the block so many times the median of all, within:"""

MIN_COMMON, MAX_COMMON = 0.3, 0.75

MAX_UNUSUAL = 3.0
"""What is usual for a brightness is at most so many times the median of all blocks: something may
move in all that are so bright."""

MAX_SHAKEN = 0.1
"""Part of a pixel's variance that a movement of the camera may make."""

MIN_LASTING = 1.01
"""Variance of frames far apart by that of all: above this, noise lasts for some frames."""

EATEN = 0.1
"""A block whose variance is below so much of that of its brightness has lost its noise."""


@dataclass(frozen=True, eq=False)
class StillNoise:
    """What still frames show.

    Attributes:
        level: mean of each bin of brightness (:data:`.curve.EDGES`), 3×B; NaN where is none.
        variance: of the noise at it, with that of rounding, 3×B.
        third: third central moment of it, 3×B.
        error: relative, of the variance, 3×B, one standard error.
        pixels: in each bin, 3×B.
        sums: for the spectrum.
        time: correlation of a frame's noise with that of the frames after it, the next one first.
        rising: how much larger the changes are between frames far apart than between those half as
            far, relative: above 0 where the noise lasts longer than the frames.
        flicker: root of the mean square of what the light changes, 0–255 scale.
        shift: the same of the camera's movement, pixels.
        shaken: share of the change at the sharpest edges that this movement explains.
        whole: share of all change that whole tiles have in common: large where the picture moves.
        moving: share of blocks that something moves in.
        eaten: share of the other blocks that have hardly any noise for their brightness.
        clipped: share of pixels whose noise is cut off at black or white.
        hot: pixels far off all their neighbours, for each million.
    """

    level: Floats
    variance: Floats
    third: Floats
    error: Floats
    pixels: Floats
    sums: SpectralSum
    time: tuple[float, ...]
    rising: float
    flicker: float
    shift: float
    shaken: float
    whole: float
    moving: float
    eaten: float
    clipped: float
    hot: float


def _blocks(pixels: Floats) -> Floats:
    """Means of blocks: …×32×32×C to …×4×4×C."""
    many = SIDE // BLOCK
    cut = pixels.reshape(*pixels.shape[:-3], many, BLOCK, many, BLOCK, -1)
    return np.asarray(cut.mean((-4, -2)))


def _spread(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Values of blocks for each of their pixels: N×4×4 to N×32×32."""
    return blocks.repeat(BLOCK, 1).repeat(BLOCK, 2)


def _variogram(residual: Floats) -> Floats:
    """Half the mean square of differences of frames 1, 2 … apart, summed over pixels, T−1."""
    # Of all pairs of frames at once: |a|² + |b|² − 2ab.
    flat = residual.reshape(len(residual), -1)[:, ::7]  # more than enough, and not one channel
    products = flat @ flat.T
    squares = np.diag(products)
    half = (squares[:, None] + squares[None, :]) / 2 - products
    count = len(flat)
    return np.array([np.diagonal(half, lag).mean() for lag in range(1, count)], np.float64)


def _far_variance(residual: Floats) -> Floats:
    """Half the mean square of differences of frames at least half of all apart, each pixel."""
    count = len(residual)
    lag = (count + 1) // 2
    result = np.zeros_like(residual[0])
    earlier, earlier_squares = np.zeros_like(result), np.zeros_like(result)
    for index in range(lag, count):
        earlier += residual[index - lag]
        earlier_squares += np.square(residual[index - lag])
        many = index - lag + 1
        result += (earlier_squares + many * np.square(residual[index])) / 2
        result -= earlier * residual[index]
    return np.asarray(result / ((count - lag) * (count - lag + 1) / 2))


def _usual(level: Floats, variance: Floats) -> Floats:
    """Median variance of the blocks of a brightness, for each block."""
    bins = bin_of(level)
    usual = np.zeros_like(variance)
    for each in np.unique(bins):
        inside = bins == each
        usual[inside] = np.median(variance[inside])
    return usual


def _moving(level: Floats, variance: Floats, common: Floats, columns: int) -> NDArray[np.bool_]:
    """Blocks in which something moves, or beside them, N×4×4.

    Args:
        level: mean luma of each block, N×4×4.
        variance: of its pixels over time.
        common: that of its mean.
        columns: tiles in a row where they are a whole picture; else 0.
    """
    usual = np.minimum(_usual(level, variance), MAX_UNUSUAL * np.median(variance))
    shares = common / np.maximum(variance, 1e-9)
    limit = float(np.clip(COMMON_FACTOR * np.median(shares), MIN_COMMON, MAX_COMMON))
    moves = (variance > MIN_CHANGE * usual + 0.5) & (shares > limit)
    # What moves is seldom a whole number of blocks.
    many = moves.shape[1]
    whole = moves
    if columns:
        whole = moves.reshape(-1, columns, many, many).swapaxes(1, 2)
        whole = whole.reshape(1, -1, columns * many)
    padded = np.pad(whole, ((0, 0), (1, 1), (1, 1)))
    height, width = whole.shape[1:]
    whole = np.any(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0
    )
    if columns:
        whole = whole.reshape(-1, many, columns, many).swapaxes(1, 2)
    return np.asarray(whole.reshape(moves.shape))


def measure_still(frames: NDArray[np.uint8], columns: int = 0) -> StillNoise:
    """Measure the noise of still frames.

    Args:
        frames: tiles of at least two frames, uint8, T×N×32×32×3.
        columns: tiles in a row where they are a whole picture; else 0.
    """
    residuals = Residuals(frames)
    count, tiles = frames.shape[:2]
    luma_weights = colour_matrices(601)[0][0]
    mean = residuals.mean
    variance, third = np.empty_like(mean), np.empty_like(mean)
    of_blocks, common = np.empty((2, tiles, 4, 4))
    of_tiles = np.empty((tiles, 2))
    for part, residual in residuals.parts():
        variance[part] = np.square(residual).sum(0) / (count - 1)
        third[part] = (np.square(residual) * residual).sum(0)
        luma = (residual @ luma_weights)[..., None]
        of_blocks[part] = _blocks(np.square(luma))[..., 0].sum(0) / (count - 1)
        common[part] = np.square(_blocks(luma))[..., 0].sum(0) / (count - 1)
        of_tiles[part, 0] = np.square(luma.mean((2, 3, 4))).sum(0) / (count - 1)
        of_tiles[part, 1] = np.square(luma).mean((2, 3, 4)).sum(0) / (count - 1)
    share = of_tiles[:, 0] / np.maximum(of_tiles[:, 1], 1e-9)
    whole = float(np.median(share[of_tiles[:, 1] > 0])) if of_tiles[:, 1].any() else 0.0
    level = _blocks(mean @ luma_weights[:, None])[..., 0]
    moves = _moving(level, of_blocks, common, columns)
    still = _spread(~moves)
    variogram, weight = np.zeros(count - 1), 0
    for part, residual in residuals.parts():
        chosen = residual[:, still[part]]
        variogram += _variogram(chosen)
        weight += len(range(0, chosen[0].size, 7))
    variogram /= max(1, weight)
    far = variogram[(count - 1) // 2 :]
    # Number of pairs that far apart, so that each pair counts alike.
    pairs = np.arange(count - 1, 0, -1)
    sill = float(np.average(far, weights=pairs[(count - 1) // 2 :]))
    seen = float(np.average(variogram, weights=pairs))
    lasting = sill / seen if seen > 0 else 1.0
    middle = variogram[(count - 1) // 4 : (count - 1) // 2]
    rising = sill / float(middle.mean()) - 1 if middle.size and middle.mean() > 0 else 0.0
    if lasting > MIN_LASTING:
        for part, residual in residuals.parts():
            variance[part] = _far_variance(residual)
    time = tuple(1 - float(each) / sill for each in variogram[: min(8, count // 2)] if sill > 0)
    flicker, shift, shaken = residuals.light_and_shift(variance)
    steady = still.copy()
    for first in range(0, tiles, CHUNK):
        part = slice(first, first + CHUNK)
        # Where edges are sharp, not all of a movement can be taken out.
        moved = residuals.shaken(part, shift) > MAX_SHAKEN * variance[part]
        steady[part] &= ~moved.any(-1)
    third *= count / max(1, (count - 1) * (count - 2))  # of two frames it is 0
    levels, variances, thirds, errors, pixels = _curve(mean, variance, third, steady, count)
    sums = _spectral(residuals, levels, variances, still)
    quiet = ~moves & (of_blocks < EATEN * _mean_of(level, of_blocks))
    deviation = np.sqrt(variance)
    clipped = np.mean((mean < deviation) | (mean > 255 - deviation))
    return StillNoise(
        level=levels,
        variance=variances,
        third=thirds,
        error=errors,
        pixels=pixels,
        sums=sums,
        time=time,
        rising=rising,
        flicker=flicker,
        shift=shift,
        shaken=shaken,
        whole=whole,
        moving=float(moves.mean()),
        eaten=float(quiet.sum() / max(1, (~moves).sum())),
        clipped=float(clipped),
        hot=_hot(mean, variance),
    )


def _mean_of(level: Floats, variance: Floats) -> Floats:
    """Mean variance of the blocks of a brightness, for each block."""
    bins = bin_of(level).ravel()
    mean = np.bincount(bins, variance.ravel()) / np.maximum(1, np.bincount(bins))
    return np.asarray(mean[bins]).reshape(level.shape)


def _curve(
    mean: Floats, variance: Floats, third: Floats, still: NDArray[np.bool_], count: int
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Level, variance, third moment, relative error and pixels of each bin, 3×B each."""
    tiles = len(mean)
    levels, variances, thirds, errors, pixels = np.full((5, 3, BINS), np.nan)
    for channel in range(3):
        bins = bin_of(mean[..., channel])
        index = (bins + BINS * np.arange(tiles)[:, None, None])[still]
        values = variance[..., channel][still]
        number = np.bincount(index, minlength=BINS * tiles).reshape(tiles, BINS)
        sums = np.bincount(index, values, BINS * tiles).reshape(tiles, BINS)
        light = np.bincount(index, mean[..., channel][still], BINS * tiles).reshape(tiles, BINS)
        total = number.sum(0)
        there = total > 0
        average = sums.sum(0)[there] / total[there]
        levels[channel, there] = light.sum(0)[there] / total[there]
        variances[channel, there] = average
        cubes = np.bincount(bins[still], third[..., channel][still], BINS)
        thirds[channel, there] = cubes[there] / total[there]
        # Tiles differ by chance, and where compression spares some: both are in their spread.
        off = np.square(sums - number * np.nan_to_num(variances[channel])).sum(0)[there]
        used = (number > 0).sum(0)[there]
        spread = np.sqrt(off * used / np.maximum(1, used - 1)) / total[there]
        alone = np.sqrt(2 / (count - 1)) * average  # as if all pixels were one
        spread = np.where(used > 3, spread, np.maximum(spread, alone / np.sqrt(used)))
        errors[channel, there] = spread / np.maximum(average, 1e-9)
        pixels[channel] = total
    return levels, variances, thirds, errors, pixels


def _spectral(
    residuals: Residuals, levels: Floats, variances: Floats, still: NDArray[np.bool_]
) -> SpectralSum:
    """Sums of the spectrum over tiles in which all is still and no noise is cut off."""
    count = len(residuals.frames)
    whole = np.flatnonzero(still.all((1, 2)))
    every = max(1, math.ceil(count * whole.size / MAX_SPECTRAL_TILES))
    table = np.empty((256, 3), np.float32)
    for channel in range(3):
        there = ~np.isnan(levels[channel])
        table[:, channel] = np.interp(
            np.arange(256), levels[channel, there], variances[channel, there]
        )
    table = np.sqrt(np.maximum(table, 1e-3))
    near = np.clip(np.rint(residuals.mean), 0, 255).astype(int)
    deviation = np.stack([table[near[..., c], c] for c in range(3)], axis=-1)
    cut = (residuals.mean < 2 * deviation) | (residuals.mean > 255 - 2 * deviation)
    share = cut.mean((1, 2, 3))
    for most in (0.05, 0.2, 0.5, 1.0):
        good = still.all((1, 2)) & (share <= most)
        if np.count_nonzero(good) >= MIN_SPECTRAL_TILES:
            break
    sums = SpectralSum()
    for part, residual in residuals.parts():
        chosen = good[part]
        if chosen.any():
            scaled = residual[:, chosen] / deviation[part][chosen]
            first = int(part.start) % every
            chosen_frames = scaled[first::every]
            half = np.broadcast_to(np.flatnonzero(chosen) % 2, chosen_frames.shape[:2])
            sums.add(chosen_frames.reshape(-1, SIDE, SIDE, 3), half.ravel())
    return sums


def _hot(mean: Floats, variance: Floats) -> float:
    """Pixels for each million that lie far off each of their eight neighbours."""
    centre = mean[:, 1:-1, 1:-1]
    around = np.stack(
        [
            mean[:, 1 + i : SIDE - 1 + i, 1 + j : SIDE - 1 + j]
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if i or j
        ]
    )
    low, high = around.min(0), around.max(0)
    beyond = np.maximum(centre - high, low - centre)
    alone = beyond > 3 * (high - low) + 3 * np.sqrt(variance[:, 1:-1, 1:-1]) + 6
    return float(1e6 * alone.any(-1).mean())
