"""σ over brightness, as it was measured: points, and how sure each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "EDGES", "ROUNDING", "Curve", "bin_of"]

Floats = NDArray[np.floating]

EDGES = (1, 2, 3, 4, 6, 8, 12, *range(16, 240, 8), 240, 244, 248, 250, 252, 253, 254)
"""Between these levels, brightness shares one point: noise that is cut off at black or white
changes much within few levels."""

BINS = len(EDGES) + 1

ROUNDING = 1 / 12
"""Variance of rounding to whole numbers."""

MAX_ERROR = 0.5
"""Relative standard error of σ up to which a point is one."""

MIN_PIXELS = 48
"""Pixels that a point must have."""


def bin_of(level: Floats) -> NDArray[np.intp]:
    """Number of the bin that a brightness belongs to, 0 to :data:`BINS` − 1."""
    return np.searchsorted(EDGES, level, side="right")


@dataclass(frozen=True)
class Curve:
    """σ of one channel over brightness; points in the order of brightness.

    Attributes:
        level: mean brightness of each point, 0–255.
        sigma: standard deviation that frames show there, 0–255 scale, with rounding and clipping.
        error: one standard error of it, relative.
    """

    level: tuple[float, ...]
    sigma: tuple[float, ...]
    error: tuple[float, ...]

    @staticmethod
    def of_points(level: Floats, variance: Floats, error: Floats, pixels: Floats) -> Curve:
        """From variances of bins of brightness and their relative errors; NaN where is none."""
        good = (pixels >= MIN_PIXELS) & (error / 2 <= MAX_ERROR)
        if not good.any():
            good = pixels == np.nanmax(pixels)
        sigma = np.sqrt(np.maximum(variance[good], 0))
        columns = (level[good], sigma, np.maximum(error[good] / 2, 1e-4))
        return Curve(*(tuple(float(each) for each in column) for column in columns))

    def at(self, level: Floats, gain: float, read: float) -> Floats:
        """σ at any brightness, 0–255 scale.

        Between points, what is measured; beyond them, what the line through all points has there,
        in the proportion of the nearest point to it.

        Args:
            level: 0–255.
            gain: of the line, variance = gain · level + read².
            read: likewise.
        """
        measured = np.asarray(self.level)
        line, points = (
            np.sqrt(gain * each + read**2 + ROUNDING) for each in (np.asarray(level), measured)
        )
        ratio = np.interp(level, measured, np.asarray(self.sigma) / points)
        return np.asarray(ratio * line)

    def to_dict(self) -> dict[str, Any]:
        """For TOML and JSON."""
        return {
            "level": [round(each, 1) for each in self.level],
            "sigma": [round(each, 3) for each in self.sigma],
            "error": [round(each, 4) for each in self.error],
        }
