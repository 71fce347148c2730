"""Noise models: parse a description, add the noise to a frame.

One description is used everywhere, in training, in the ``test:`` source and in benchmarks:

===============================  ==================================================
``gaussian:25``                  white Gaussian noise, σ 25
``gaussian:0-55``                the same, σ drawn evenly from 0 to 55 for each image
``poisson-gaussian:GAIN,READ``   variance = gain · mean + read²; each number may be a range, or
                                 ``RED/GREEN/BLUE``
``camera.toml``                  ``gain = […]`` and ``read = […]``, one number a channel
===============================  ==================================================

σ, gain and read are on the 0–255 scale. The signal-dependent part is the heteroscedastic Gaussian
of Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw
data", 2008, section II.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError

__all__ = [
    "Noise",
    "Normals",
    "fast_normals",
    "gaussian",
    "parse",
    "standard_normals",
]

Normals = Callable[["np.random.Generator", tuple[int, ...]], "NDArray[np.floating]"]
"""Draws an array of the given shape from the standard normal distribution."""

MAX_LEVEL = 255.0


@dataclass(frozen=True)
class Noise:
    """Noise of variance ``gain · mean + read²``, with its strength drawn from a range.

    Attributes:
        gain: lowest and highest gain; 0 for noise that does not depend on the signal.
        read: lowest and highest standard deviation in the dark, 0–255 scale.
        channel_gain: factor on the gain for each of the three channels.
        channel_read: factor on the standard deviation for each of the three channels.
        spec: the description that :func:`parse` was given; of a file, one in its place that says
            the same in numbers.
    """

    gain: tuple[float, float]
    read: tuple[float, float]
    spec: str
    channel_gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channel_read: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __str__(self) -> str:
        return self.spec

    def add(
        self,
        clean: NDArray[np.uint8],
        rng: np.random.Generator,
        normals: Normals | None = None,
    ) -> NDArray[np.uint8]:
        """Return ``clean`` with noise, rounded and clipped as a camera would give it.

        Args:
            clean: uint8, H×W×3, H×W×1 or H×W; or a batch N×H×W×3, for each of whose images the
                strength is drawn anew.
            rng: where strength and noise are drawn from.
            normals: how to draw normal numbers; ``standard_normals`` unless given.

        Returns:
            uint8, the shape of ``clean``.
        """
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
        return noise.astype(np.uint8)


def standard_normals(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Exact normal numbers, float64: what measurements use."""
    return rng.standard_normal(shape)


@functools.cache
def _quantiles() -> NDArray[np.float32]:
    import statistics

    inverse = statistics.NormalDist().inv_cdf
    table = np.array([inverse((i + 0.5) / 65536) for i in range(65536)], np.float32)
    table.setflags(write=False)
    return table


_ALL_BITS = 2**64 - 1


def fast_normals(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Normal numbers for training, float32, several times as fast as exact ones.

    Inverse transform sampling from 65 536 quantiles: the tails end at 4.3 σ, and the steps
    between neighbours vanish in the rounding to 8 bits. Any bit generator serves: words are drawn
    with all of their 64 bits, also where a raw word has 32, as of MT19937.
    """
    count = math.prod(shape)
    words = rng.integers(0, _ALL_BITS, (count + 3) // 4, np.uint64, endpoint=True)
    index = words.view(np.uint16)[:count]
    # Every index is in range; to say so spares the check of each.
    return np.take(_quantiles(), index, mode="wrap").reshape(shape)


def gaussian(sigma: float) -> Noise:
    """White Gaussian noise of standard deviation ``sigma`` (0–255 scale)."""
    return parse(f"gaussian:{sigma:g}")


_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_RANGE = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
_FORMS = "gaussian:SIGMA, gaussian:LOW-HIGH, poisson-gaussian:GAIN,READ or a TOML file"

_Factors = tuple[float, float, float]


def _range(text: str, spec: str, forms: str = "a number or LOW-HIGH") -> tuple[float, float]:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise NoiseError(f"noise {spec!r}: {text!r} is not {forms}; use {_FORMS}")
    low = float(match[1])
    high = low if match[2] is None else float(match[2])
    if low > high:
        raise NoiseError(f"noise {spec!r}: the range {text} runs backwards")
    if high > MAX_LEVEL:
        raise NoiseError(f"noise {spec!r}: {high:g} is above {MAX_LEVEL:g}, the scale is 0-255")
    return low, high


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
        return _range(text, spec, forms), (1.0, 1.0, 1.0)
    ranges = [_range(each, spec, forms) for each in channels]
    if len(ranges) != 3 or any(low < high for low, high in ranges):
        raise NoiseError(f"noise {spec!r}: {text!r} is not three numbers, RED/GREEN/BLUE")
    return _shared_out([low for low, _ in ranges])


def _from_file(path: Path) -> Noise:
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NoiseError(f"noise file {path}: {error}") from error
    levels, texts = [], []
    for key in ("gain", "read"):
        numbers = values.get(key)
        if (
            not isinstance(numbers, list)
            or len(numbers) != 3
            or not all(isinstance(n, int | float) and 0 <= n <= MAX_LEVEL for n in numbers)
        ):
            raise NoiseError(f"noise file {path}: {key} must be three numbers from 0 to 255")
        levels.append(_shared_out([float(n) for n in numbers]))
        # Every digit, and no exponent: parsed, it is the same noise again.
        texts.append("/".join(np.format_float_positional(n, trim="-") for n in numbers))
    (gain, channel_gain), (read, channel_read) = levels
    return Noise(gain, read, f"poisson-gaussian:{','.join(texts)}", channel_gain, channel_read)


def parse(spec: str) -> Noise:
    """Read a noise description (see the table at the top of this module).

    Raises:
        NoiseError: the description has none of the known forms, or a number is out of range.
    """
    kind, separator, numbers = spec.partition(":")
    if separator and kind == "gaussian":
        return Noise((0.0, 0.0), _range(numbers, spec), spec)
    if separator and kind == "poisson-gaussian":
        parts = numbers.split(",")
        if len(parts) != 2:
            raise NoiseError(f"noise {spec!r}: poisson-gaussian takes two numbers, GAIN,READ")
        (gain, channel_gain), (read, channel_read) = (_level(part, spec) for part in parts)
        return Noise(gain, read, spec, channel_gain, channel_read)
    if spec.endswith(".toml"):
        return _from_file(Path(spec))
    raise NoiseError(f"noise {spec!r} is not known; use {_FORMS}")
