"""How strong a camera's noise is where: by brightness, channel and exposure.

Two ways. *Linear light*: shot and read noise are added to what the sensor saw, that is before white
balance and tone curve (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw data", 2008; Brooks et al., "Unprocessing images for learned raw denoising", 2019,
has the ranges). *Shaped*: σ follows a power of brightness, for pipelines of which less is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.drawn import Generator

__all__ = [
    "FINE",
    "Sensors",
    "add_in_linear_light",
    "add_shaped",
    "draw_sensors",
    "table_index",
]

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

FINE = 2048
"""Entries of a tone curve's table, over the square root of linear light: even steps to the eye."""


def _tone_curve(gamma: float, contrast: float, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light to display brightness, both in [0, 1]: a power, bent into an S."""
    power = linear ** (1 / gamma)
    return (1 - contrast) * power + contrast * (3 - 2 * power) * power**2


def table_index(light: Floats) -> NDArray[np.int32]:
    """Where linear light, white = 1, lies in a tone curve's table of :data:`FINE` entries.

    Args:
        light: of any shape; used up. What is beyond black or white is cut off.
    """
    np.clip(light, 0, 1, out=light)
    np.sqrt(light, out=light)
    light *= FINE - 1
    return np.rint(light).astype(np.int32)


@dataclass(frozen=True)
class Sensors:
    """What happens to a display value between the sensor and the picture, for M cameras.

    Attributes:
        linear: light that the sensor saw, in [0, 1], M×256, by display value.
        sigma: σ of the noise in that light, M×256×3.
        tone: display value by the square root of light, M×2048, 0–255 scale.
    """

    linear: Floats
    sigma: Floats
    tone: Floats


def draw_sensors(rng: Generator, level: Floats) -> Sensors:
    """Draw white balance, tone curve, shot and read noise for M cameras.

    Args:
        rng: where they are drawn from.
        level: σ that the green of a medium gray gets, M, 0–255 scale.
    """
    count = len(level)
    grid = np.linspace(0, 1, FINE)
    linear = np.empty((count, 256), np.float32)
    sigma = np.empty((count, 256, 3), np.float32)
    tone = np.empty((count, FINE), np.float32)
    for n in range(count):
        gamma, contrast = rng.uniform(1.8, 2.4), rng.uniform(0, 0.4)
        # Read noise as a share of shot noise, in units of the brightest signal.
        read = np.exp(rng.uniform(np.log(5e-5), np.log(3e-2)))
        gains = np.array([rng.uniform(1.2, 2.4), 1.0, rng.uniform(1.2, 2.4)])
        curve = _tone_curve(gamma, contrast, grid**2)
        light = np.interp(np.arange(256) / 255, curve, grid) ** 2
        middle = light[128]
        slope = 255 * (_tone_curve(gamma, contrast, middle + np.array([-1e-4, 1e-4])) @ [-1, 1])
        shot = (level[n] * 2e-4 / slope) ** 2 / (middle + read)
        linear[n] = light
        sigma[n] = np.sqrt(shot * gains * (light[:, None] + gains * read))
        tone[n] = 255 * curve
    return Sensors(linear, sigma, tone)


def add_in_linear_light(clean: Pixels, field: Floats, sensors: Sensors) -> Floats:
    """Add noise before white balance and tone curve.

    Args:
        clean: N×H×W×3.
        field: see :mod:`edgecae.noise.camera.field`.
        sensors: one for each picture, or one for all.

    Returns:
        Noisy pictures, float32, on the 0–255 scale, neither rounded nor beyond it.
    """
    patch = np.arange(len(clean))[:, None, None, None] % len(sensors.tone)
    exposed = sensors.linear[patch, clean]
    exposed += field * sensors.sigma[patch, clean, np.arange(3)]
    return np.asarray(sensors.tone[patch, table_index(exposed)])


def add_shaped(clean: Pixels, field: Floats, level: Floats, power: Floats) -> Floats:
    """Add noise whose σ is ``level`` at a medium gray and goes with a power of brightness.

    Args:
        clean: N×H×W×3.
        field: see :mod:`edgecae.noise.camera.field`.
        level: N, 0–255 scale.
        power: N; 0 for noise that does not depend on brightness.

    Returns:
        Noisy pictures, float32, on the 0–255 scale, neither rounded nor clipped.
    """
    brightness = (np.arange(256, dtype=np.float32) + 8) / 136
    sigma = level[:, None] * brightness ** power[:, None]
    noise = sigma[np.arange(len(clean))[:, None, None, None], clean]
    noise *= field
    noise += clean
    return np.asarray(noise, np.float32)
