"""For tests of video: recurrent models whose gate is made by hand, and scenes with noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import models
from edgecae_convert.fusion import attach
from edgecae_train.gate_layers import AMPLIFIED, DIFFERENCE, GAIN, STATE, Layer

__all__ = ["STILL_SCENE", "WATCHFUL", "Frame", "moved", "noisy", "scene", "video_model"]

Frame = NDArray[np.uint8]

Gate = tuple[Sequence[Layer], Mapping[str, NDArray[Any]]]


def _convolution(name: str, kernel: NDArray[Any], bias: Any = 0.0) -> dict[str, NDArray[Any]]:
    return {
        f"{name}/kernel": kernel,
        f"{name}/bias": np.broadcast_to(np.float64(bias), kernel.shape[-1:]),
    }


def _still_scene() -> Gate:
    """q is always 0: the plain mean of all frames."""
    layers = [Layer("q", (DIFFERENCE, GAIN), 2)]
    return layers, _convolution("q", np.zeros((2, 2, 13, 4)))


def _watchful() -> Gate:
    """q grows with the mean absolute difference of a neighbourhood, from 10 levels on.

    Each 2×2 pixels have one difference, and 12×12 pixels around a block count. So white noise up to
    σ 30 is let pass.
    """
    signed = np.zeros((2, 2, 12, 8))
    for number in range(8):
        place = number // 2
        signed[place // 2, place % 2, :, number] = (20 if number % 2 else -20) / 12 / AMPLIFIED
    layers = [
        Layer("changed", (DIFFERENCE,), 2),
        Layer("seen", (STATE,), 2),
        Layer("coarse", ("changed", "seen"), 2),
        Layer("both", ("coarse",), skip="changed"),
        Layer("q", ("both",)),
    ]
    weights = {
        **_convolution("changed", signed),
        **_convolution("seen", np.zeros((2, 2, 12, 4))),
        **_convolution("coarse", np.zeros((3, 3, 12, 4))),
        **_convolution("both", np.zeros((1, 1, 4, 32))),
        # The mean of 36 absolute values, each of which is one of two channels.
        **_convolution("q", np.full((3, 3, 8, 4), 8.0 / 36), -8 * 20 * 10 / 255),
    }
    return layers, weights


STILL_SCENE, WATCHFUL = _still_scene(), _watchful()


@cache
def _model(still: str, watchful: bool) -> bytes:
    content = models.find_model(still).read_bytes()
    return attach(content, *(WATCHFUL if watchful else STILL_SCENE), name=f"{still}-video")


def video_model(still: str = "nano", watchful: bool = False) -> bytes:
    """A recurrent model file; its gate is :data:`WATCHFUL` or :data:`STILL_SCENE`."""
    return _model(still, watchful)


def scene(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """Texture of all sizes, weaker the finer it is, as in photos; 20 to 235."""
    rng = np.random.default_rng(seed)
    down, right = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    spectrum = np.fft.rfft2(rng.standard_normal((height, width, 3)), axes=(0, 1))
    spectrum /= np.maximum(np.hypot(down, right), 1 / max(height, width)) ** 1.3
    total = np.fft.irfft2(spectrum, (height, width), axes=(0, 1))
    total = (total - total.mean()) / total.std()
    return np.clip(128 + 45 * total, 20, 235)


def moved(clean: NDArray[np.float64], down: float, right: float) -> NDArray[np.float64]:
    """Pixel (y, x) shows what was at (y + down, x + right); what goes out comes in again."""
    height, width = clean.shape[:2]
    turns = down * np.fft.fftfreq(height)[:, None] + right * np.fft.rfftfreq(width)[None]
    spectrum = np.fft.rfft2(clean, axes=(0, 1)) * np.exp(2j * np.pi * turns)[..., None]
    return np.fft.irfft2(spectrum, (height, width), axes=(0, 1))


def noisy(clean: NDArray[np.float64], sigma: float, rng: np.random.Generator) -> Frame:
    """A frame of a scene with white noise."""
    frame = clean + sigma * rng.standard_normal(clean.shape)
    return np.clip(np.round(frame), 0, 255).astype(np.uint8)
