"""Flat pictures: one colour, or a few areas of one colour each, as screens and title bars have.

Photos hold hardly any: a network that learned from them alone returns pure blue some levels off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLEAN", "colour", "patch"]

CLEAN = 0.5
"""Share of the flat patches that get no noise, as what a computer drew has none."""

WHOLE = 0.5
"""Share of the patches that are of one colour; the others have up to ``MAX_AREAS`` more."""

MAX_AREAS = 3

EXTREME = 0.5
"""How often a channel is 0 or 255; else it is any of the 256 levels."""

VIVID = 0.4
"""How often a colour has a channel near black, one near white and one that is any: there, a network
that cuts its result at both ends errs most."""

NEAR = 32
"""Levels that such a channel may be away from black or white."""


def colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a colour, uint8 of shape (3,): pure and saturated ones more often than chance."""
    levels = rng.integers(0, 256, 3)
    ends = 255 * rng.integers(0, 2, 3)
    if rng.random() < VIVID:
        low, high = rng.integers(0, NEAR + 1, 2)
        return rng.permutation([low, 255 - high, levels[0]]).astype(np.uint8)
    return np.where(rng.random(3) < EXTREME, ends, levels).astype(np.uint8)


def patch(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Draw a patch of flat colours.

    Args:
        rng: the only source of randomness.
        side: of the patch, in pixels.

    Returns:
        uint8, side×side×3: one colour, with up to three rectangles of other colours on it, each of
        which may reach the patch's edges.
    """
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:] = colour(rng)
    if rng.random() < WHOLE:
        return pixels
    for _ in range(rng.integers(1, MAX_AREAS + 1)):
        top, left = rng.integers(-side // 2, side, 2)
        height, width = rng.integers(1, side + 1, 2)
        pixels[max(top, 0) : top + height, max(left, 0) : left + width] = colour(rng)
    return pixels
