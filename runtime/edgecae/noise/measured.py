"""Noise as it was measured: σ by brightness, and what pixels and channels share."""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise.base import Noise
from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.curve import EDGES
from edgecae.noise.normals import Normals, standard_normals
from edgecae.noise.spectrum import NODES, PAIRS, Spectrum
from edgecae.noise.tiles import SIDE
from edgecae.noise.tone import MAX_GAMMA, Tone

__all__ = ["LEVELS", "MeasuredNoise", "measured_noise", "parse_measured"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

LEVELS = (0.0, *(float(edge) for edge in EDGES), 255.0)
"""Brightness at which a description has σ, 0–255."""

_VERSION = 2
_GAMMA_STEP = 0.01
_MIN_SIGMA, _MAX_SIGMA = 0.02, 255.0
_SIGMA_STEP = math.log(_MAX_SIGMA / _MIN_SIGMA) / 65535
_POWER_STEP = 0.05
_TOP_POWER = 7.0
"""Natural logarithm of the highest density: 1100 times that of white noise."""


@dataclass(frozen=True)
class MeasuredNoise(Noise):
    """Noise with a curve of σ over brightness in each channel, and a spatial spectrum.

    White fields are shaped in the Fourier domain and scaled by the curve. Two cameras are equal
    where their descriptions are.
    """

    @property
    def name(self) -> str:
        """See :attr:`edgecae.noise.Noise.name`: σ at a medium gray, and a number of its own."""
        middle = self.sigma(128.0)
        number = binascii.crc32(self.spec.encode())
        return f"measured({'/'.join(f'{each:.2g}' for each in middle)},{number:08x})"

    def sigma(self, level: float) -> tuple[float, float, float]:
        """Standard deviation of red, green and blue that frames show at a brightness, 0–255 scale.

        Rounding to whole numbers and clipping at black and white are in it.
        """
        curve, _, _ = _decoded(self.spec)
        red, green, blue = (float(np.interp(level, LEVELS, each)) for each in curve)
        return red, green, blue

    def spectrum(self) -> Spectrum:
        """Of the noise, brought to variance 1 at each brightness."""
        return _decoded(self.spec)[1]

    def scene(self, mean: Pixels) -> Pixels:
        """What a camera with this noise saw, where the mean of its frames is known.

        Black, white and the tone curve shift the mean of noise (:mod:`.tone`).

        Args:
            mean: uint8, …×3.

        Returns:
            uint8, of the same shape.
        """
        every = np.arange(256.0)
        tables = [np.rint(tone.scene(every)).astype(np.uint8) for tone in _tones(self.spec)]
        return np.stack([table[mean[..., c]] for c, table in enumerate(tables)], axis=-1)

    def pair(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals | None = None
    ) -> tuple[Pixels, Pixels]:
        """See :meth:`edgecae.noise.Noise.pair`; the target is ``clean`` itself.

        A picture of one channel has the noise of green.
        """
        colour = clean.ndim > 2 and clean.shape[-1] == 3
        batch = clean if clean.ndim == 4 else clean.reshape(1, *clean.shape[:2], -1)
        height, width = (max(SIDE, length) for length in batch.shape[1:3])
        field = _field(self.spec, (len(batch), height, width), rng, normals or standard_normals)
        field = field[..., : batch.shape[1], : batch.shape[2]]
        noisy = np.empty(batch.shape, np.uint8)
        for plane, channel in enumerate((0, 1, 2) if colour else (1,)):
            value = _tones(self.spec)[channel].add(batch[..., plane], field[channel])
            np.rint(value, out=value)
            np.clip(value, 0, 255, out=value)
            noisy[..., plane] = value
        return noisy.reshape(clean.shape), clean


def measured_noise(sigma: Floats, spectrum: Spectrum, gamma: float = 1.0) -> MeasuredNoise:
    """Noise of given σ and spectrum, as exactly as a description says it (σ 0.02 %, density 3 %).

    Args:
        sigma: of red, green and blue at :data:`LEVELS`, 3×L, 0–255 scale, rounding and clipping
            included.
        spectrum: of the noise.
        gamma: of the tone curve behind which noise is added to light, 1 to :data:`.tone.MAX_GAMMA`.
    """
    spectrum = spectrum.with_equal_channels()
    curve = np.rint(np.log(np.clip(sigma, _MIN_SIGMA, _MAX_SIGMA) / _MIN_SIGMA) / _SIGMA_STEP)
    power = 255 - np.rint((_TOP_POWER - np.log(spectrum.power)) / _POWER_STEP).clip(0, 255)
    coherence = np.rint(127 * spectrum.coherence)
    content = bytes([_VERSION, round(gamma / _GAMMA_STEP)]) + b"".join(
        [curve.astype("<u2").tobytes(), power.astype(np.uint8).tobytes(),
         coherence.astype(np.int8).tobytes()]
    )  # fmt: skip
    return MeasuredNoise(f"measured:{base64.urlsafe_b64encode(content).decode()}")


def parse_measured(_: str, spec: str) -> MeasuredNoise:
    """Read ``measured:…``.

    Raises:
        NoiseError: it was not written by :func:`measured_noise`.
    """
    _decoded(spec.strip())
    return MeasuredNoise(spec.strip())


@functools.lru_cache(maxsize=16)
def _decoded(spec: str) -> tuple[Floats, Spectrum, float]:
    """Curve of σ, 3×L, spectrum and γ of a description."""
    nodes = len(NODES) ** 2
    sizes = [2 * 3 * len(LEVELS), 3 * nodes, len(PAIRS) * nodes]
    try:
        content = base64.b64decode(spec.partition(":")[2], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) == 1 + sum(sizes) and content[0] == 1:  # without a tone curve
        content = bytes([_VERSION, round(1 / _GAMMA_STEP)]) + content[1:]
    gamma = content[1] * _GAMMA_STEP if len(content) == 2 + sum(sizes) else 0.0
    if content[:1] != bytes([_VERSION]) or not 1 <= gamma <= MAX_GAMMA:
        shown = spec if len(spec) < 40 else f"{spec[:36]}…"
        raise NoiseError(
            f"noise {shown!r} was cut off or comes from another version: measured: is followed by "
            "what edgecae wrote into a recipe or a model; name the file of edgecae noise instead"
        )
    ends = np.cumsum([2, *sizes])
    first, second, third = (content[a:b] for a, b in itertools.pairwise(ends))
    steps = np.frombuffer(first, "<u2").reshape(3, -1)
    sigma = np.where(steps, _MIN_SIGMA * np.exp(_SIGMA_STEP * steps), 0)
    shape = (3, len(NODES), len(NODES))
    logarithm = _TOP_POWER - _POWER_STEP * (255.0 - np.frombuffer(second, np.uint8))
    power = np.exp(logarithm.reshape(shape))
    coherence = np.clip(np.frombuffer(third, np.int8).reshape(shape) / 127, -1, 1)
    return sigma, Spectrum(power, coherence), gamma


def _field(
    spec: str, shape: tuple[int, int, int], rng: np.random.Generator, normals: Normals
) -> Floats:
    """Noise with the spectrum of a description, 3×N×H×W, variance 1 in each channel.

    White noise is white in the Fourier domain as well: it is drawn there, which saves a transform.
    """
    count, height, width = shape
    columns = width // 2 + 1
    real, imaginary = normals(rng, (2, 3, count, height, columns)).astype(np.float32, copy=False)
    wave = np.empty(real.shape, np.complex64)
    wave.real, wave.imag = real, imaginary
    transfer = _transfer(spec, height, width)
    shaped = np.empty_like(wave)
    for channel in range(3):
        shaped[channel] = sum(transfer[channel, other] * wave[other] for other in range(3))
    noise: Floats = np.fft.irfft2(shaped, s=(height, width))
    return noise.astype(np.float32, copy=False)


@functools.lru_cache(maxsize=8)
def _transfer(spec: str, height: int, width: int) -> Floats:
    """How much of each white channel goes into each channel, by frequency: 3×3×H×(W/2+1)."""
    density = _decoded(spec)[1].densities()
    values, vectors = np.linalg.eigh(density)
    root = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ vectors.swapaxes(-1, -2)
    # Kernels of 32×32 pixels, which a larger field only spaces out.
    kernel = np.fft.ifft2(root, axes=(0, 1)).real
    kernel = colour_matrices(601)[1].astype(np.float64) @ kernel
    kernel /= np.sqrt(np.maximum(np.square(kernel).sum((0, 1, 3)), 1e-12))[:, None]
    wide = np.zeros((height, width, 3, 3))
    lags = np.fft.fftfreq(SIDE, 1 / SIDE).astype(int)
    wide[np.ix_(lags, lags)] = kernel
    # The kernels are the same for up and down, left and right: their transform is real.
    transfer = np.fft.rfft2(wide, axes=(0, 1)).real * math.sqrt(height * width / 2)
    # Of the columns that stand for themselves, only the real half comes back.
    transfer[:, 0] *= math.sqrt(2)
    if width % 2 == 0:
        transfer[:, -1] *= math.sqrt(2)
    return np.ascontiguousarray(transfer.transpose(2, 3, 0, 1), np.float32)


@functools.lru_cache(maxsize=16)
def _tones(spec: str) -> tuple[Tone, Tone, Tone]:
    """How red, green and blue get the noise of which the curves are left after rounding."""
    curves, _, gamma = _decoded(spec)
    red, green, blue = (Tone.of_curve(gamma, np.array(LEVELS), curve) for curve in curves)
    return red, green, blue
