"""What a tone curve, black and white do to noise: they shift its mean and make it lopsided.

A camera's noise arises in linear light. A tone curve that is bent stretches what falls below the
mean more than what rises above it, so the mean of many frames is darker than the scene; and what
black cuts off makes it brighter. No frame shows the scene itself. But both leave a trace: the
skewness of the noise. The curve is taken for a power, display = light^(1/γ), and γ is the one that
explains the skewness at each brightness (Foi, "Clipped noisy images: Heteroskedastic modeling and
practical denoising", 2009, does so for black and white alone).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.sensor import FINE, table_index

__all__ = ["MAX_GAMMA", "Shown", "Tone", "fit_gamma", "shown"]

Floats = NDArray[np.floating]

MAX_GAMMA, GAMMA_STEP = 2.5, 0.25
"""The largest γ that is looked for, and the step between those that are tried."""

MIN_SHIFT = 0.3
"""Levels of 255 that the mean must be off somewhere, roughly, for a γ to be looked for."""

MIN_BETTER = 0.7
"""A curve must leave at most so much of the squared error that a straight line leaves."""

_MIN_SIGMA, _MAX_SIGMA, _SIGMA_STEP = 0.05, 1.6, 0.075
"""σ before: the least in levels of the darkest step, the most in units of white, logarithm."""


@functools.lru_cache(maxsize=1)
def _upper_tail() -> tuple[Floats, Floats]:
    """How often a normal number exceeds z, over 0 ≤ z ≤ 8."""
    z = np.linspace(0, 8, 8193)
    return z, np.array([0.5 * math.erfc(each / math.sqrt(2)) for each in z])


@dataclass(frozen=True, eq=False)
class Shown:
    """What is left of normal noise in linear light after a tone curve, rounding and clipping.

    Attributes:
        sigma: σ before, in linear light, white = 1: S, rising.
        mean: of what frames show, by σ and by display value of the scene, 0, 1 … 255: S×256.
        variance: likewise.
        third: third central moment, likewise.
    """

    sigma: Floats
    mean: Floats
    variance: Floats
    third: Floats


@functools.lru_cache(maxsize=16)
def shown(gamma: float) -> Shown:
    """Tables for a γ. They are exact for normal noise: sums over the 255 edges of rounding."""
    level, edge = np.arange(256), np.arange(255)
    light = (level / 255) ** gamma
    threshold = ((edge + 0.5) / 255) ** gamma
    least = _MIN_SIGMA * float(threshold[0])
    steps = math.ceil(math.log(_MAX_SIGMA / least) / _SIGMA_STEP)
    sigma = np.geomspace(least, _MAX_SIGMA, steps)
    # Distance from the value itself is a sum of 1 for each edge passed, its square one of 1, 3, 5 …
    # and its cube one of 1, 7, 19 …
    above = edge >= level[:, None]
    passed = np.where(above, edge - level[:, None], level[:, None] - 1 - edge)
    sign = np.where(above, 1, -1)
    weights = np.stack([sign, 2 * passed + 1, sign * (3 * passed**2 + 3 * passed + 1)])
    distance = np.abs(threshold - light[:, None])
    first, second, third = np.empty((3, steps, 256))
    for index, each in enumerate(sigma):
        share = np.interp(distance / each, *_upper_tail(), right=0.0)
        first[index], second[index], third[index] = np.einsum("mle,le->ml", weights, share)
    variance = np.maximum(second - first**2, 0)
    return Shown(sigma, level + first, variance, third - 3 * first * second + 2 * first**3)


@dataclass(frozen=True, eq=False)
class Tone:
    """How a tone curve turns noise of one channel into what frames show.

    Attributes:
        gamma: of the curve; 1: noise is added to display values.
        light: linear light of the display values 0, 1 … 255, white = 1.
        sigma: of the noise in that light, 256.
        mean: of what frames show, by display value of the scene, 256, 0–255 scale.
        skewness: of what frames show, 256.
    """

    gamma: float
    light: NDArray[np.float32]
    sigma: NDArray[np.float32]
    mean: Floats
    skewness: Floats

    @staticmethod
    def of_curve(gamma: float, levels: Floats, sigma: Floats) -> Tone:
        """Find the noise in linear light of which frames show a given curve.

        Args:
            gamma: 1 to :data:`MAX_GAMMA`.
            levels: brightness that frames show, rising, 0–255.
            sigma: σ that they show there, rounding and clipping included, 0–255 scale.
        """
        table = shown(gamma)
        every = np.arange(256)
        enough = np.sqrt(table.variance) >= np.interp(table.mean, levels, sigma)
        index = np.where(enough.any(0), enough.argmax(0), len(table.sigma) - 1)
        # Between two steps of σ, the logarithm of σ is followed.
        low = np.maximum(index - 1, 0)
        gaps = [
            np.sqrt(table.variance[step, every]) - np.interp(table.mean[step, every], levels, sigma)
            for step in (low, index)
        ]
        part = np.clip(-gaps[0] / np.maximum(gaps[1] - gaps[0], 1e-9), 0, 1)

        def between(values: Floats) -> Floats:
            return np.asarray((1 - part) * values[low, every] + part * values[index, every])

        # Weaker than any noise that rounding shows: none.
        there = index > 0
        before = table.sigma[low] * (table.sigma[index] / table.sigma[low]) ** part
        variance = between(table.variance)
        skewness = between(table.third) / np.maximum(variance, 1e-9) ** 1.5
        return Tone(
            gamma,
            ((every / 255) ** gamma).astype(np.float32),
            np.where(there, before, 0).astype(np.float32),
            np.where(there, between(table.mean), every),
            np.where(there, skewness, 0),
        )

    def add(self, clean: NDArray[np.uint8], field: Floats) -> Floats:
        """Add noise.

        Args:
            clean: display values of one channel, of any shape.
            field: noise of variance 1, of the same shape; used up.

        Returns:
            float32, 0–255 scale, neither rounded nor clipped where γ is 1.
        """
        field *= self.sigma[clean]
        field += self.light[clean]
        if self.gamma == 1:
            field *= 255
            return field
        return np.asarray(_display(self.gamma)[table_index(field)])

    def scene(self, mean: Floats) -> Floats:
        """Display values of the scene, of whose frames the mean is known; 0–255 scale."""
        rising = np.maximum.accumulate(self.mean)
        return np.interp(mean, rising, np.arange(256))


@functools.lru_cache(maxsize=16)
def _display(gamma: float) -> NDArray[np.float32]:
    """Display value, 0–255 scale, by the square root of light: even steps to the eye."""
    return (255 * np.linspace(0, 1, FINE) ** (2 / gamma)).astype(np.float32)


def fit_gamma(level: Floats, variance: Floats, third: Floats, pixels: Floats) -> float:
    """Find the tone curve that explains how lopsided noise is.

    Args:
        level: mean of each bin of brightness, C×B, 0–255; NaN where is none.
        variance: that frames show there.
        third: third central moment.
        pixels: in each bin.

    Returns:
        γ from 1 to :data:`MAX_GAMMA`; 1 also where a bent curve explains little.
    """
    channels = []
    for row in zip(level, variance, third, pixels, strict=True):
        there = (row[3] > 0) & (row[1] > 0)
        channels.append([each[there] for each in row])
    shifts = [np.abs(cube / (6 * spread)) for _, spread, cube, _ in channels]
    if not any(each.size and each.max() >= MIN_SHIFT for each in shifts):
        return 1.0
    tried = np.arange(1, MAX_GAMMA + GAMMA_STEP / 2, GAMMA_STEP)
    errors = []
    for gamma in map(float, tried):
        off = total = 0.0
        for mean, spread, cube, number in channels:
            if not mean.size:
                continue
            sigma = np.sqrt(spread)
            tone = Tone.of_curve(gamma, mean, sigma)
            told = np.interp(mean, np.maximum.accumulate(tone.mean), tone.skewness)
            # The shift of the mean is about σ · skewness / 6.
            weight = np.minimum(number, np.quantile(number, 0.9))
            off += float(np.sum(weight * np.square(sigma * (told - cube / sigma**3))))
            total += float(weight.sum())
        errors.append(off / max(total, 1e-9))
    best = int(np.argmin(errors))
    if errors[best] > MIN_BETTER * errors[0]:
        return 1.0
    if not 0 < best < len(tried) - 1:
        return float(tried[best])
    before, here, after = errors[best - 1 : best + 2]
    part = 0.5 * (before - after) / max(before - 2 * here + after, 1e-9)
    return round(float(tried[best] + GAMMA_STEP * np.clip(part, -0.5, 0.5)), 2)
