"""Noise of variance ``gain · mean + read²``, white: no pixel knows of its neighbours.

The signal-dependent part is the heteroscedastic Gaussian of Foi et al., "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw data", 2008, section II.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise.base import Noise
from edgecae.noise.normals import Normals, standard_normals
from edgecae.noise.numbers import number_range

__all__ = ["PoissonGaussian", "gaussian", "of_channels", "parse_poisson_gaussian"]


@dataclass(frozen=True)
class PoissonGaussian(Noise):
    """Noise of variance ``gain · mean + read²``, with its strength drawn from a range.

    Attributes:
        gain: lowest and highest gain; 0 for noise that does not depend on the signal.
        read: lowest and highest standard deviation in the dark, 0–255 scale.
        channel_gain: factor on the gain for each of the three channels.
        channel_read: factor on the standard deviation for each of the three channels.
    """

    gain: tuple[float, float]
    read: tuple[float, float]
    channel_gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channel_read: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def pair(
        self,
        clean: NDArray[np.uint8],
        rng: np.random.Generator,
        normals: Normals | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """See :meth:`edgecae.noise.Noise.pair`; the target is ``clean`` itself."""
        batch = clean.shape[0] if clean.ndim == 4 else 1
        gain, read = (
            (low + (high - low) * rng.random(batch) if high > low else np.full(batch, low))
            for low, high in (self.gain, self.read)
        )
        noise = (normals or standard_normals)(rng, clean.shape)
        channels = clean.shape[-1] if clean.ndim > 2 else 1
        per_image = (batch, 1, 1, 1) if clean.ndim == 4 else (1,) * clean.ndim

        def spread(level: NDArray[np.float64], factor: Sequence[float]) -> NDArray[np.floating]:
            value = level.reshape(per_image).astype(noise.dtype)
            if channels == 3 and len(set(factor)) > 1:
                value = value * np.asarray(factor, noise.dtype)
            return value

        sigma = spread(read, self.channel_read)
        if self.gain[1] > 0:
            sigma = np.sqrt(spread(gain, self.channel_gain) * clean + np.square(sigma))
        noise *= sigma
        noise += clean
        np.rint(noise, out=noise)
        np.clip(noise, 0, 255, out=noise)
        return noise.astype(np.uint8), clean


def gaussian(sigma: float) -> PoissonGaussian:
    """White Gaussian noise of standard deviation ``sigma`` (0–255 scale)."""
    return parse_gaussian(f"{sigma:g}", f"gaussian:{sigma:g}")


def parse_gaussian(numbers: str, spec: str) -> PoissonGaussian:
    """Read what follows ``gaussian:``."""
    return PoissonGaussian(spec, (0.0, 0.0), number_range(numbers, spec))


def parse_poisson_gaussian(numbers: str, spec: str) -> PoissonGaussian:
    """Read what follows ``poisson-gaussian:``."""
    parts = numbers.split(",")
    if len(parts) != 2:
        raise NoiseError(f"noise {spec!r}: poisson-gaussian takes two numbers, GAIN,READ")
    (gain, channel_gain), (read, channel_read) = (_level(part, spec) for part in parts)
    return PoissonGaussian(spec, gain, read, channel_gain, channel_read)


_Factors = tuple[float, float, float]


def _shared_out(numbers: Sequence[float]) -> tuple[tuple[float, float], _Factors]:
    """The highest of three channels' numbers, as a range, and each as a share of it."""
    top = max(numbers)
    red, green, blue = (n / top if top else 1.0 for n in numbers)
    return (top, top), (red, green, blue)


def _level(text: str, spec: str) -> tuple[tuple[float, float], _Factors]:
    """Gain or read, as a range, and each channel's factor on it."""
    channels = text.split("/")
    forms = "a number, LOW-HIGH or RED/GREEN/BLUE"
    if len(channels) == 1:
        return number_range(text, spec, forms), (1.0, 1.0, 1.0)
    ranges = [number_range(each, spec, forms) for each in channels]
    if len(ranges) != 3 or any(low < high for low, high in ranges):
        raise NoiseError(f"noise {spec!r}: {text!r} is not three numbers, RED/GREEN/BLUE")
    return _shared_out([low for low, _ in ranges])


def of_channels(gain: tuple[float, ...], read: tuple[float, ...]) -> PoissonGaussian:
    """White noise with a gain and a read noise for each of red, green and blue, 0 to 255."""
    # Every digit, and no exponent: parsed, it is the same noise again.
    texts = [
        "/".join(np.format_float_positional(n, trim="-") for n in numbers)
        for numbers in (gain, read)
    ]
    (top_gain, channel_gain), (top_read, channel_read) = _shared_out(gain), _shared_out(read)
    spec = f"poisson-gaussian:{','.join(texts)}"
    return PoissonGaussian(spec, top_gain, top_read, channel_gain, channel_read)
