"""Flat pictures: one colour, or a few areas of one colour each, as screens and title bars have.

Photos hold hardly any: a network that learned from them alone returns pure blue some levels off.
Flat patches get no noise, as what a computer drew has none. Noise on them would teach a network
that fine diagonal stripes on an even ground are grain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_AREAS", "colour", "patch"]

WHOLE = 0.5
"""Share of the patches that are of one colour; the others have up to ``MAX_AREAS`` more."""

MAX_AREAS = 3

EXTREME = 0.5
"""How often a channel is 0 or 255; else it is any of the 256 levels."""

VIVID = 0.35
"""How often a colour has a channel near black, one near white and one that is any: there, a network
that cuts its result at both ends errs most."""

CORNER = 0.25
"""How often a colour has each channel near black or white: nearly white ones among them."""

NEAR = 32
"""Levels that such a channel may be away from black or white."""


def colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a colour, uint8 of shape (3,): pure and saturated ones more often than chance."""
    levels = rng.integers(0, 256, 3)
    ends = 255 * rng.integers(0, 2, 3)
    near = rng.integers(0, NEAR + 1, 3)
    kind = rng.random()
    if kind < VIVID:
        return rng.permutation([near[0], 255 - near[1], levels[0]]).astype(np.uint8)
    if kind < VIVID + CORNER:
        return np.where(ends, 255 - near, near).astype(np.uint8)
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
