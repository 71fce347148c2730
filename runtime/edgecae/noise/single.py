"""Noise of single pictures: what is left in the flattest blocks.

*White noise.* The diagonal band of the Haar wavelet holds noise and little else where the picture
is flat. Flat blocks are those that show least in the other two bands of detail. The bands are
orthogonal: of white noise, two say nothing about the third, so that choosing quiet blocks does not
make the noise look smaller than it is (as it does where the measured band chooses: Liu, Szeliski,
Kang, Zitnick and Freeman, "Automatic estimation and removal of noise from a single image", IEEE
TPAMI 30(2), 2008, take the lower envelope for that reason).

*Noise that neighbours share* is in all bands. Then the blocks of 16×16 pixels count that show least
variance for their brightness, less a plane. Where the picture is flat, many blocks show the same
variance, and few a little more; where all is texture, there is no such limit. That tells whether
the result is noise at all (the idea of Liu, Tanaka and Okutomi, "Single-image noise level
estimation for blind denoising", 2013, who sort textured blocks out by what noise alone can show).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.blocks import BLOCK, Blocks
from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.curve import BINS, bin_of
from edgecae.noise.line_fit import Fit, bin_by_level, fit_line, not_clipped, robust_line
from edgecae.noise.spectrum import SpectralSum, Spectrum
from edgecae.noise.tiles import SIDE

__all__ = [
    "MAX_CORRELATION",
    "FlatNoise",
    "compressed",
    "measure_flat",
    "measure_pictures",
    "points_of",
]

Floats = NDArray[np.floating]

MIN_GOOD_BLOCKS = 96
"""Blocks that a choice by brightness and flatness must leave; else it is relaxed."""

MAX_CORRELATION = 0.2
"""Correlation of neighbouring pixels' noise up to which it counts as white."""


def _flat_blocks(blocks: Blocks) -> Blocks:
    """The blocks that show no more detail than the quietest ones of their brightness.

    Where there are too few of them, the quietest ones there are.
    """
    level = blocks.level.mean(1)
    detail = ((blocks.detail + blocks.coarse) / 2).mean(1)
    points = bin_by_level(level, detail, 0.05)
    if not points[0].size:
        return blocks
    # Some 130 degrees of freedom: of 90 in two bands, and of 48 that overlap in the third.
    spread = math.sqrt(2 / 130)
    levels, quietest, counts = points
    quietest = quietest / (1 - 1.64 * spread)
    gain, offset = robust_line(levels, quietest, np.sqrt(counts), envelope=True)
    excess = detail / np.maximum(gain * level + offset, 1e-9)
    few = min(MIN_GOOD_BLOCKS, excess.size) - 1
    return blocks.where(excess <= max(1 + spread, np.partition(excess, few)[few]))


def _correlation(blocks: Blocks, fits: Sequence[Fit]) -> float:
    """Lag-one correlation of the noise.

    Of noise with correlation ρ along rows and columns, the horizontal band holds (1 + ρ) / (1 − ρ)
    times the power of the diagonal one.
    """
    detail, diagonal = (
        sum(float(each[fit.kept, i].mean()) for i, fit in enumerate(fits))
        for each in (blocks.detail, blocks.diagonal)
    )
    return (detail - diagonal) / (detail + diagonal) if detail > 0 else 0.0


def _fit_pictures(blocks: Blocks) -> tuple[Blocks, list[Fit]]:
    """Choose flat blocks and fit, twice: what is clipped looks flat, and depends on the noise.

    Where neighbouring pixels share noise, the diagonal band holds less than its part. The mean of
    all four bands is then the variance, with the coarse band in the place of the lowest.
    """
    good = np.all((blocks.low >= 16) & (blocks.high <= 239), axis=1)
    chosen = blocks.where(good) if np.count_nonzero(good) >= MIN_GOOD_BLOCKS else blocks
    for attempt in range(2):
        flat = _flat_blocks(chosen)
        fits = [fit_line(flat, channel, BLOCK**2 // 4) for channel in range(3)]
        if _correlation(flat, fits) > MAX_CORRELATION:
            flat = flat._replace(variance=(2 * flat.detail + flat.coarse + flat.diagonal) / 4)
            fits = [fit_line(flat, channel, BLOCK**2 // 4) for channel in range(3)]
        if not attempt:
            for margin in (3.0, 2.0, 1.0):
                each = [
                    not_clipped(blocks, f.gain, f.offset, i, margin) for i, f in enumerate(fits)
                ]
                good = np.all(np.stack(each), axis=0)
                if np.count_nonzero(good) >= MIN_GOOD_BLOCKS:
                    chosen = blocks.where(good)
                    break
    return flat, fits


def measure_pictures(blocks: Blocks) -> tuple[Blocks, list[Fit], float]:
    """Fit the line of each channel to the flattest blocks.

    Returns:
        The flat blocks; the fits of red, green and blue; the correlation of neighbouring pixels.

    Raises:
        NoiseError: too few blocks are neither black nor white.
    """
    flat, fits = _fit_pictures(blocks)
    return flat, fits, _correlation(flat, fits)


def points_of(blocks: Blocks, fits: Sequence[Fit]) -> tuple[Floats, Floats, Floats, Floats]:
    """Level, variance, its relative error and pixels of each bin of brightness, 3×B each."""
    values = np.full((4, 3, BINS), np.nan)
    values[3] = 0
    for channel, fit in enumerate(fits):
        level, variance = blocks.level[fit.kept, channel], blocks.variance[fit.kept, channel]
        for mean, middle, count in zip(*bin_by_level(level, variance, None), strict=True):
            error = math.sqrt(2 / (count * (BLOCK**2 // 4)))
            values[:, channel, int(bin_of(mean))] = mean, middle, error, count * BLOCK**2
    return values[0], values[1], values[2], values[3]


FLAT = 16
"""Pixels on each side of a block that is flat or not."""

MAX_COARSE = 2.0
"""Variance of the means of a flat tile's parts, by the median of all flat tiles."""

MIN_FLAT_TILES = 6
"""Tiles of 32×32 pixels that must be flat for a spectrum."""


@dataclass(frozen=True, eq=False)
class FlatNoise:
    """What single pictures show.

    Attributes:
        level: mean of each bin of brightness (:data:`.curve.EDGES`), 3×B; NaN where is none.
        variance: of the noise at it, with that of rounding, 3×B.
        error: relative, of the variance, 3×B, one standard error.
        pixels: that are flat, in each bin, 3×B.
        spectrum: of the noise in flat tiles; None where there are too few.
        spectrum_error: relative.
        limit: share of blocks near the least variance among those that show that or somewhat more;
            near 1 where much is flat, below ½ where variance has no lower limit.
        flat: share of blocks that are flat.
    """

    level: Floats
    variance: Floats
    error: Floats
    pixels: Floats
    spectrum: Spectrum | None
    spectrum_error: float
    limit: float
    flat: float


def _flattened(pixels: Floats) -> Floats:
    """Squares of pixels less their plane: N×S×S×C."""
    side = pixels.shape[1]
    ramp = np.arange(side, dtype=np.float32) - (side - 1) / 2
    ramp /= np.sqrt(np.square(ramp).sum() * side)
    rest = pixels - pixels.mean((1, 2), keepdims=True)
    for shape in ((side, 1, 1), (1, side, 1)):
        along = ramp.reshape(shape)
        rest -= (rest * along).sum((1, 2), keepdims=True) * along
    return np.asarray(rest)


def measure_flat(tiles: NDArray[np.uint8]) -> FlatNoise:
    """Measure noise, white or not, in the flattest blocks of tiles, uint8, N×32×32×3."""
    pixels = tiles.astype(np.float32)
    many = SIDE // FLAT
    blocks = pixels.reshape(-1, many, FLAT, many, FLAT, 3).swapaxes(2, 3)
    blocks = blocks.reshape(-1, FLAT, FLAT, 3)
    rest = _flattened(blocks)
    variance = np.square(rest).sum((1, 2)) / (FLAT**2 - 3)
    level = blocks.mean((1, 2))
    low, high = blocks.min((1, 2, 3)), blocks.max((1, 2, 3))
    inside = (low > 0) & (high < 255) & (variance.min(1) > 0)
    if np.count_nonzero(inside) < 16:
        inside = (level.min(1) > 1) & (level.max(1) < 254) & (variance.min(1) > 0)
    brightness, power = level.mean(1), variance.mean(1)
    spectrum, error, shared = None, 1.0, 2.0
    chosen = inside
    limit = 0.0
    for _ in range(3):
        # A variance of so many numbers strays by so much, relative: neighbours share some.
        spread = math.sqrt(2 * shared / (FLAT**2 - 3))
        points = bin_by_level(brightness[inside], power[inside], 0.1)
        if not points[0].size:
            break
        least = points[1] / max(1 - 1.28 * spread, 0.3)
        gain, offset = robust_line(points[0], least, np.sqrt(points[2]), envelope=True)
        excess = power / np.maximum(gain * brightness + offset, 1e-6)
        near = inside & (np.abs(excess - 1) <= 1.5 * spread)
        beyond = inside & (excess > 1 + 1.5 * spread) & (excess <= 1 + 4.5 * spread)
        limit = int(np.count_nonzero(near)) / max(1, int(np.count_nonzero(near | beyond)))
        chosen = inside & (excess <= 1 + 1.5 * spread)
        whole = chosen.reshape(-1, many**2).all(1)
        if np.count_nonzero(whole) >= MIN_FLAT_TILES:
            spectrum, error = _spectrum(pixels[whole])
            density = spectrum.densities()[..., 0, 0]
            shared = float(np.mean(density**2) / np.mean(density) ** 2)
    values = np.full((4, 3, BINS), np.nan)
    for channel in range(3):
        bins = bin_of(level[chosen, channel])
        number = np.bincount(bins, minlength=BINS)
        there = number >= 3
        for row, each in enumerate((level, variance)):
            sums = np.bincount(bins, each[chosen, channel], BINS)
            values[row, channel, there] = sums[there] / number[there]
        values[2, channel, there] = np.sqrt(2 * shared / (FLAT**2 * number[there]))
        values[3, channel] = np.where(there, number * FLAT**2, 0)
    # The mean of what lies below 1.5 σ is lower by 0.14 σ.
    values[1] *= 1 + 0.14 * math.sqrt(2 * shared / FLAT**2)
    return FlatNoise(
        values[0], values[1], values[2], values[3], spectrum, error, limit, float(np.mean(chosen))
    )


def _spectrum(tiles: Floats) -> tuple[Spectrum, float]:
    """Spectrum of flat tiles, N×32×32×3, and its relative error."""
    rest = _flattened(tiles)
    deviation = np.sqrt(np.square(rest).mean((1, 2), keepdims=True))
    scaled = rest / np.maximum(deviation, 1e-3)
    # A soft edge is as weak as noise, but coarse: the coarsest tiles don't count.
    coarse = scaled.reshape(-1, 4, SIDE // 4, 4, SIDE // 4, 3).mean((2, 4)).var((1, 2)).mean(-1)
    sums = SpectralSum()
    scaled = scaled[coarse <= MAX_COARSE * np.median(coarse)]
    sums.add(scaled, np.arange(len(scaled)) % 2)
    return sums.spectrum(), sums.error()


_NEAR = 0.5
"""Coefficients of a transform that are smaller than so many σ are near zero."""


def _cosines(size: int) -> Floats:
    """The discrete cosine transform of blocks (DCT-II, orthonormal): size×size."""
    row, column = np.mgrid[:size, :size]
    transform = np.cos(np.pi * (2 * column + 1) * row / (2 * size)) * math.sqrt(2 / size)
    transform[0] /= math.sqrt(2)
    return np.asarray(transform, np.float32)


def compressed(tiles: NDArray[np.uint8]) -> float:
    """How much more often transforms of blocks are near zero in the blocks of a codec.

    JPEG and video round the cosine transform of blocks, many of its numbers to 0 (Fan and de
    Queiroz, "Identification of bitmap compression history", 2003, find JPEG by its blocks). Blocks
    that begin half a block later do not show that.

    Args:
        tiles: uint8, N×32×32×3, whose blocks begin where those of the codec do.

    Returns:
        Ratio of how often numbers are near zero, in blocks of 8×8 (JPEG) or 4×4 (H.264), whichever
        is larger; about 1 where nothing was compressed.
    """
    luma = tiles[: 4 * 1024].astype(np.float32) @ colour_matrices(601)[0][0]
    found = 1.0
    for size in (8, 4):
        transform = _cosines(size)
        shares = []
        deviation: Floats | None = None
        for start in (size // 2, 0):
            length = (SIDE - size) // size * size
            cut = luma[:, start : start + length, start : start + length]
            many = length // size
            blocks = cut.reshape(-1, many, size, many, size).swapaxes(2, 3)
            numbers = transform @ blocks @ transform.T
            fine = numbers[..., size // 2 :, size // 2 :]
            if deviation is None:
                deviation = np.median(np.abs(fine), (0, 1, 2)) / 0.6745
            shares.append(float(np.mean(np.abs(fine) < _NEAR * deviation)))
        found = max(found, shares[1] / max(shares[0], 1e-3))
    return found
