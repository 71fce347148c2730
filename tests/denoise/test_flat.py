"""Flat frames and fine stripes without noise come back nearly as they were."""

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
EDGE = 2
"""Levels that a pixel at the edge may be away from one in the middle; without a border it is 88."""

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


def test_hardly_a_colour_is_further_off(still: str) -> None:
    """Of any mixture; kernels of other CPUs round a few in another way."""
    levels = np.linspace(0, 255, 9).round().astype(int)
    with Denoiser(still) as denoiser:
        frames = [flat(16, 16, colour) for colour in itertools.product(levels, repeat=3)]
        off = np.array([np.abs(denoiser.process(f).astype(int) - f).max() for f in frames])
    assert off.max() <= OFF[still] + 1
    assert (off > OFF[still]).mean() <= 0.005


@pytest.mark.parametrize("model", ["nano", "small", "base"])
@pytest.mark.parametrize(("contrast", "least"), [(20, 0.65), (40, 0.85)])
@pytest.mark.parametrize("period", [3, 4, 6, 8])
def test_fine_stripes_are_no_grain(model: str, period: int, contrast: int, least: float) -> None:
    """In no direction do they lose much of their contrast."""
    down, right = np.mgrid[:96, :96]
    with Denoiser(model) as denoiser:
        for angle in np.arange(8) * np.pi / 8:
            along = right * np.cos(angle) + down * np.sin(angle)
            levels = np.rint(120 + contrast * np.cos(2 * np.pi * along / period)).astype(np.uint8)
            clean = levels - levels.mean()
            result = denoiser.process(np.stack([levels] * 3, axis=2))[..., 1] - levels.mean()
            assert (result * clean).sum() / np.square(clean).sum() > least, angle


def test_flat_colours_come_back_in_tiles(still: str) -> None:
    frame = flat(230, 310, (255, 0, 128))
    with Denoiser(still) as whole, Denoiser(still, largest_area=40_000) as tiled:
        result = tiled.process(frame)
        np.testing.assert_array_equal(result, whole.process(frame))
    assert np.abs(result.astype(int) - frame).max() <= OFF[still]
