"""Fine regular patterns over photos, as cloth, nets, blinds and print have.

Photos hold few, and where noise is weak a network takes them for grain of the camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["over"]

PERIODS = 2.1, 10.0
"""Pixels from line to line, the finest and the coarsest, where lines do not bend."""

CONTRASTS = 4.0, 50.0
"""Levels from the middle to either end."""

WARP = 2.0
"""Periods by which a line bends to either side, at most."""

WHOLE = 0.5
"""Share of the patches that have the pattern everywhere; in others it ends somewhere."""


def over(rng: np.random.Generator, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw a pattern over a part of a photo.

    Args:
        rng: the only source of randomness.
        photo: uint8, H×W×3. Its own contrast is lowered, at most to none.

    Returns:
        uint8, H×W×3: stripes, a weave or a net.
    """
    height, width = photo.shape[:2]
    down, right = np.mgrid[:height, :width] - np.array([height / 2, width / 2])[:, None, None]
    longest = max(height, width)
    bend = rng.uniform(0, WARP) * np.sin(
        rng.uniform(0, np.pi) + (down * rng.normal() + right * rng.normal()) * 2 / longest
    )
    angle = rng.uniform(0, np.pi)
    sharpness = rng.uniform(0.3, 1)

    def waves(turned: float) -> NDArray[np.float64]:
        low, high = np.log(PERIODS)
        period = np.exp(rng.uniform(low, high))
        along = right * np.cos(angle + turned) + down * np.sin(angle + turned)
        wave = np.cos(2 * np.pi * (along / period + bend))
        result: NDArray[np.float64] = np.sign(wave) * np.abs(wave) ** sharpness
        return result

    kind = rng.integers(3)
    pattern = waves(0)
    if kind:
        crossing = waves(np.pi / 2)
        pattern = pattern * crossing if kind == 1 else np.maximum(pattern, crossing)
    if rng.random() >= WHOLE:
        turned = rng.uniform(0, 2 * np.pi)
        beyond = right * np.cos(turned) + down * np.sin(turned) > rng.uniform(-0.3, 0.3) * longest
        pattern = pattern * beyond
    contrast = np.exp(rng.uniform(*np.log(CONTRASTS))) * rng.uniform(0.5, 1, 3)
    smooth = photo.mean(axis=(0, 1))
    below = smooth + rng.uniform() * (photo - smooth)
    levels: NDArray[np.float64] = np.rint(below + pattern[..., None] * contrast)
    return levels.clip(0, 255).astype(np.uint8)
