"""Flat frames without noise come back as they were, to the very corners."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser

COLOURS = [
    *itertools.product((0, 128, 255), repeat=3),
    *(tuple(c) for c in np.random.default_rng(1).integers(0, 256, (40, 3))),
]
EDGE = 8
"""Levels that a pixel at the edge may be away from one in the middle; without a border it is 90."""


def flat(height: int, width: int, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def test_the_edge_is_like_the_middle(shipped: str) -> None:
    """What lies beyond the edge, zeros to a convolution, is far enough away."""
    with Denoiser(shipped) as denoiser:
        for colour in COLOURS:
            result = denoiser.process(flat(136, 136, colour)).astype(int)
            middle = np.tile(result[64:72, 64:72], (17, 17, 1))
            assert np.abs(result - middle).max() <= EDGE, colour
