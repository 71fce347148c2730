"""The spatial spectrum of noise: what neighbouring pixels and the three channels share.

Power spectral density by the method of Blackman and Tukey ("The measurement of power spectra",
1958): the covariance at each distance of two pixels, without bias, under a window that ends at 16
pixels, and its Fourier transform. White noise of variance 1 has the density 1 at each frequency.
Noise is taken as alike for up and down, left and right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.tiles import SIDE

__all__ = ["FREQUENCIES", "PAIRS", "PLANES", "SpectralSum", "Spectrum"]

Floats = NDArray[np.floating]

NODES = (0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16)
FREQUENCIES = tuple(node / SIDE for node in NODES)
"""Cycles per pixel at which a density is kept, along rows as along columns; ½ is the highest."""

PLANES = ("luma", "cb", "cr")
PAIRS = ((0, 1), (0, 2), (1, 2))

_LAGS = (10, 16)
"""Distances up to the first are not weakened by the window; from the second on, nothing is left."""

_SHORT_LAGS = (4, 9)
"""Likewise for few tiles: what is less sure is seen less finely."""

MANY_TILES = 400
"""Tiles from which a spectrum is seen finely."""

MIN_POWER = 1e-5
"""A density below this, in parts of white noise, is no noise."""


def lag_window(many: bool = True) -> Floats:
    """Weights of the distances −16 to 15, first 0 to 15: flat, then half a cosine."""
    first, last = _LAGS if many else _SHORT_LAGS
    lag = np.abs(np.fft.fftfreq(SIDE, 1 / SIDE))
    beyond = np.clip((lag - first) / (last - first), 0, 1)
    return np.asarray(0.5 * (1 + np.cos(np.pi * beyond)))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Densities of luma and chroma (BT.601), and how they go together.

    Attributes:
        power: 3×11×11, luma, Cb, Cr; rows are vertical :data:`FREQUENCIES`, columns horizontal.
        coherence: −1 to 1, 3×11×11: of luma and Cb, luma and Cr, Cb and Cr.
    """

    power: Floats
    coherence: Floats

    @staticmethod
    def white() -> Spectrum:
        """That of noise which neither pixels nor channels share, of variance 1 in each channel."""
        to_luma = colour_matrices(601)[0].astype(np.float64)
        return Spectrum.of_densities(np.broadcast_to(to_luma @ to_luma.T, (SIDE, SIDE, 3, 3)))

    @staticmethod
    def of_densities(density: Floats) -> Spectrum:
        """From the densities of luma, Cb and Cr with each other, 32×32×3×3, frequency 0 first."""
        mirrored = np.roll(density[::-1], 1, 0)
        both = (density + mirrored) / 2
        both = (both + np.roll(both[:, ::-1], 1, 1)) / 2
        nodes = both[np.ix_(NODES, NODES)]
        power = np.stack([nodes[..., i, i] for i in range(3)])
        kept = np.maximum(power, MIN_POWER)
        coherence = np.stack([nodes[..., i, j] / np.sqrt(kept[i] * kept[j]) for i, j in PAIRS])
        return Spectrum(kept, np.clip(coherence, -1, 1))

    def with_equal_channels(self) -> Spectrum:
        """The same with a variance of 1 in each of red, green and blue."""
        to_luma, from_luma = (each.astype(np.float64) for each in colour_matrices(601))
        scale = 1 / np.sqrt(np.maximum(np.diag(self.covariance()), 1e-12))
        change = to_luma @ np.diag(scale) @ from_luma
        return Spectrum.of_densities(change @ self.densities() @ change.T)

    def densities(self) -> Floats:
        """Densities at all frequencies, 32×32×3×3, frequency 0 first; no power is negative."""
        index = np.abs(np.fft.fftfreq(SIDE, 1 / SIDE))
        power = np.square(_interpolated(np.sqrt(self.power), index))
        coherence = _interpolated(self.coherence, index)
        density = np.empty((SIDE, SIDE, 3, 3))
        for i in range(3):
            density[..., i, i] = power[i]
        for (i, j), each in zip(PAIRS, coherence, strict=True):
            density[..., i, j] = density[..., j, i] = each * np.sqrt(power[i] * power[j])
        values, vectors = np.linalg.eigh(density)
        return np.asarray(
            (vectors * np.maximum(values, 0)[..., None, :]) @ vectors.swapaxes(-1, -2)
        )

    def rows(self) -> float:
        """Share of the luma noise that the pixels of a row have in common.

        Such noise has the horizontal frequency 0 alone. Noise that is blurred to all sides has
        more there as well: what it has at the vertical frequency 0 is the measure for that.
        """
        density = self.densities()[: SIDE // 2 + 1, : SIDE // 2 + 1, 0, 0]
        usual = density[3:, 2] * density[0, 3:] / density[2, 3:]
        # The window makes the line wider and lower: white noise of rows has this at its middle.
        line = float(np.maximum(density[3:, 0] - usual, 0).mean() / lag_window().sum())
        return line / float(density.mean())

    def to_dict(self) -> dict[str, Any]:
        """For TOML and JSON: rows are vertical frequencies, columns horizontal ones."""

        def rounded(values: Floats, digits: int) -> list[list[float]]:
            return [[float(f"{each:.{digits}g}") for each in row] for row in values]

        names = [*PLANES, *(f"{PLANES[i]}_{PLANES[j]}" for i, j in PAIRS)]
        maps = [rounded(each, 4) for each in self.power]
        maps += [rounded(np.round(each, 3), 4) for each in self.coherence]
        return {"frequency": list(FREQUENCIES), **dict(zip(names, maps, strict=True))}

    def channels(self) -> Floats:
        """Correlation of red, green and blue in one pixel, 3×3."""
        covariance = self.covariance()
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        return np.asarray(covariance / np.outer(deviation, deviation))

    def covariance(self) -> Floats:
        """Covariance of red, green and blue in one pixel, 3×3."""
        from_luma = colour_matrices(601)[1].astype(np.float64)
        return np.asarray(from_luma @ self.densities().mean((0, 1)) @ from_luma.T)

    def neighbours(self) -> float:
        """Correlation of luma in neighbouring pixels of a row or column, their mean."""
        covariance = np.fft.fft2(self.densities()[..., 0, 0]).real
        return float((covariance[0, 1] + covariance[1, 0]) / 2 / covariance[0, 0])


def _interpolated(maps: Floats, index: Floats) -> Floats:
    """Values at indices of frequencies between the nodes, M×11×11 to M×32×32."""
    weights = np.stack([np.interp(index, NODES, unit) for unit in np.eye(len(NODES))], axis=1)
    return np.asarray(weights @ maps @ weights.T)


class SpectralSum:
    """Sums over tiles of noise, of which a spectrum is made, in two halves."""

    def __init__(self) -> None:
        self.count = 0
        self._sums = np.zeros((2, 2 * SIDE, SIDE + 1, 6))

    def add(self, noise: Floats, half: NDArray[np.intp]) -> None:
        """Add tiles of noise.

        Args:
            noise: of mean 0 and, on the whole, variance 1: float32, N×32×32×3.
            half: 0 or 1 for each tile, N. What tiles of one place share must not be in both.
        """
        planes = np.moveaxis(noise @ colour_matrices(601)[0].T, -1, 0)
        wave = np.fft.rfft2(planes, (2 * SIDE, 2 * SIDE))
        both = [(i, i) for i in range(3)] + list(PAIRS)
        for index, (i, j) in enumerate(both):
            product = (wave[i] * wave[j].conj()).real
            for each in range(2):
                self._sums[each, ..., index] += product[half == each].sum(0)
        self.count += len(noise)

    def spectrum(self) -> Spectrum:
        """Of all tiles."""
        return self._of(self._sums.sum(0))

    def error(self) -> float:
        """Relative error of a density, root of the mean square: how far the halves differ."""
        if self.count < 4:
            return 1.0
        first, second = (self._of(each).power for each in self._sums)
        mean = (first + second) / 2
        least = 0.02 * mean.max((1, 2), keepdims=True)
        return float(np.sqrt(np.mean(np.square((first - second) / (mean + least)))) / 2)

    def _of(self, sums: Floats) -> Spectrum:
        covariance = np.fft.irfft2(sums, (2 * SIDE, 2 * SIDE), axes=(0, 1))
        lags = np.fft.fftfreq(SIDE, 1 / SIDE).astype(int)
        cut = covariance[np.ix_(lags, lags)]
        pixels = SIDE - np.abs(lags)
        window = lag_window(self.count >= MANY_TILES)
        cut = cut * (np.outer(window, window) / np.outer(pixels, pixels))[..., None]
        # Half of the tiles or all: what is left to divide by is the variance, made 1 below.
        density = np.fft.fft2(cut, axes=(0, 1)).real
        full = np.empty((SIDE, SIDE, 3, 3))
        for i in range(3):
            full[..., i, i] = density[..., i]
        for index, (i, j) in enumerate(PAIRS):
            full[..., i, j] = full[..., j, i] = density[..., 3 + index]
        from_luma = colour_matrices(601)[1]
        channels = from_luma @ full.mean((0, 1)) @ from_luma.T
        return Spectrum.of_densities(full / max(np.trace(channels) / 3, 1e-12))
