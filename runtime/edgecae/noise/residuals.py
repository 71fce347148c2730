"""Still frames less their mean, less changes of the light and of the camera: noise, and what moves.

A change of the light and a shake of the camera are no noise: of each frame, a curve of brightness
(a polynomial of degree 2) and a shift (the gradient of the mean frame) are fitted and taken out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.tiles import SIDE

__all__ = ["CHUNK", "Residuals"]

Floats = NDArray[np.floating]

CHUNK = 24
"""Tiles that are worked on at once: a few tens of MB."""

MIN_FITTED = 40_000
"""Pixels that changes of the light are fitted to, where there are so many."""


class Residuals:
    """What is left of frames less their mean, less changes of the light and of the camera.

    Args:
        frames: T×N×32×32×3, of at least two frames.
    """

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self.frames = frames
        self.mean: Floats = np.stack(
            [frames[:, n].mean(0, dtype=np.float32) for n in range(frames.shape[1])]
        )
        self._fitted = self._fit()

    @property
    def count(self) -> int:
        """Tiles."""
        return int(self.frames.shape[1])

    def _basis(self, part: slice, step: int = 1) -> Floats:
        """What a frame may differ by, 5×M×h×w×3: a constant, brightness, its square, a shift."""
        mean = self.mean[part] / np.float32(255)
        down, across = (np.gradient(self.mean[part], axis=axis) for axis in (1, 2))
        every = (np.ones_like(mean), mean, np.square(mean), down, across)
        return np.stack([each[:, ::step, ::step] for each in every])

    def _slope(self, part: slice) -> Floats:
        """Square of the mean frame's gradient: the variance that a movement by 1 pixel makes."""
        down, across = (np.gradient(self.mean[part], axis=axis) for axis in (1, 2))
        return np.asarray(np.square(down) + np.square(across))

    def shaken(self, part: slice, shift: float) -> Floats:
        """Variance that a movement of the camera makes, N×32×32×3."""
        return np.asarray(self._slope(part) * np.float32(shift**2 / 2))

    def _fit(self) -> Floats:
        """Coefficients of the basis for each frame and channel, T×5×3."""
        step = min(4, 1 + math.isqrt(self.count * SIDE**2 // MIN_FITTED))
        count = len(self.frames)
        moments = np.zeros((3, 5, 5))
        products = np.zeros((count, 5, 3))
        sampled = self.frames[:, :, ::step, ::step]
        variance = np.stack([sampled[:, n].var(0, dtype=np.float32) for n in range(self.count)])
        # Something that moves must not pull at the fit.
        slope = np.concatenate([self._slope(part)[:, ::step, ::step] for part in self._parts()])
        used = variance <= 6 * np.median(variance, (0, 1, 2)) + 1 + slope
        for part in self._parts():
            mean = self.mean[part, ::step, ::step]
            change = sampled[:, part].astype(np.float32) - mean
            basis = self._basis(part, step) * ((mean > 2) & (mean < 253) & used[part])
            for channel in range(3):
                columns = basis[..., channel].reshape(5, -1)
                moments[channel] += columns @ columns.T
                products[..., channel] += change[..., channel].reshape(count, -1) @ columns.T
        scale = np.sqrt(np.maximum(np.einsum("caa->ca", moments), 1e-9))
        normal = moments / (scale[:, :, None] * scale[:, None, :]) + 1e-6 * np.eye(5)
        solved = np.linalg.solve(normal, (products.transpose(2, 1, 0) / scale[..., None]))
        return np.asarray((solved / scale[..., None]).transpose(2, 1, 0), np.float32)

    def _parts(self) -> Iterator[slice]:
        for first in range(0, self.count, CHUNK):
            yield slice(first, first + CHUNK)

    def light_and_shift(self, variance: Floats) -> tuple[float, float, float]:
        """What of the change is no noise.

        Args:
            variance: of the rest, N×32×32×3.

        Returns:
            Root mean square of what the light changes (0–255 scale) and of the shift (pixels);
            share of the change at the sharpest twentieth of edges that the shift explains.
        """
        level = (self.mean[:, ::8, ::8] / 255).reshape(-1, 3)
        powers = np.stack([np.ones_like(level), level, np.square(level)])
        light = np.einsum("tac,apc->tpc", self._fitted[:, :3], powers)
        shift = self._fitted[:, 3:].mean(-1)
        sharp, explained = [], []
        for part in self._parts():
            down, across = (each[..., 1].ravel() for each in self._basis(part, 4)[3:])
            moved = np.square(self._fitted[:, 3:, 1] @ np.stack([down, across])).mean(0)
            sharp.append(down**2 + across**2)
            explained.append(moved / (moved + variance[part, ::4, ::4, 1].ravel() + 1e-3))
        edges = np.concatenate(sharp)
        sharpest = edges >= np.quantile(edges, 0.95)
        return (
            float(np.sqrt(np.mean(light**2))),
            float(np.sqrt(np.mean(shift**2) * 2)),
            float(np.concatenate(explained)[sharpest].mean()),
        )

    def parts(self) -> Iterator[tuple[slice, Floats]]:
        """Which tiles, and their residuals, float32, T×M×32×32×3."""
        for part in self._parts():
            residual = self.frames[:, part].astype(np.float32)
            residual -= self.mean[part]
            basis = self._basis(part)
            for channel in range(3):
                fitted = self._fitted[..., channel] @ basis[..., channel].reshape(5, -1)
                residual[..., channel] -= fitted.reshape(residual.shape[:-1])
            yield part, residual
