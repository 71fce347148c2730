"""Flat frames without noise come back nearly as they were, to the very corners."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import Denoiser

COLOURS = [
    *itertools.product((0, 128, 255), repeat=3),
    *(tuple(c) for c in np.random.default_rng(1).integers(0, 256, (40, 3))),
]
EDGE = 6
"""Levels that a pixel at the edge may be away from one in the middle; without a border it is 90."""

OFF = {"nano": 2, "small": 2, "base": 2, "classic": 90}
"""Levels that a pixel may be off, by model. ``classic`` saw no flat colours."""


def flat(height: int, width: int, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def test_the_edge_is_like_the_middle(still: str) -> None:
    """What lies beyond the edge, zeros to a convolution, is far enough away."""
    with Denoiser(still) as denoiser:
        for colour in COLOURS:
            result = denoiser.process(flat(136, 136, colour)).astype(int)
            middle = np.tile(result[64:72, 64:72], (17, 17, 1))
            assert np.abs(result - middle).max() <= EDGE, colour


@pytest.mark.parametrize(
    ("size", "every"), [((1, 1), 1), ((3, 5), 1), ((16, 16), 1), ((61, 97), 3), ((480, 640), 30)]
)
def test_flat_colours_come_back(still: str, size: tuple[int, int], every: int) -> None:
    with Denoiser(still, threads=2) as denoiser:
        for colour in COLOURS[1::every]:
            result = denoiser.process(flat(*size, colour)).astype(int)
            assert np.abs(result - colour).max() <= OFF[still], colour


def test_flat_colours_come_back_in_tiles(still: str) -> None:
    frame = flat(230, 310, (255, 0, 128))
    with Denoiser(still) as whole, Denoiser(still, largest_area=40_000) as tiled:
        result = tiled.process(frame)
        np.testing.assert_array_equal(result, whole.process(frame))
    assert np.abs(result.astype(int) - frame).max() <= OFF[still]
