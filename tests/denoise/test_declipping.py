"""What the cut of noise at black and white adds to a mean of frames."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae.denoise.declipping import LEAST, RATIOS, SHARES, Declipping

BLOCK, TOP = 2, 8
SIZE = 256, 320
FRAMES = 24


def blocks(picture: NDArray[np.float64]) -> NDArray[np.int8]:
    """Whole levels of a picture, as a model keeps them in its plane."""
    plane = np.pad(np.rint(picture), ((TOP, TOP), (TOP, TOP), (0, 0)), mode="symmetric")
    height, width = plane.shape[:2]
    folded = plane.reshape(height // 2, 2, width // 2, 2, 3).transpose(0, 2, 1, 3, 4)
    return (folded.reshape(height // 2, width // 2, 12) - 128).astype(np.int8)


def learned(clean: NDArray[np.float64], sigma: float) -> tuple[Declipping, NDArray[np.float64]]:
    """What is learned from the mean of frames that grows, and that mean."""
    rng, declipping, total = np.random.default_rng(0), Declipping(), np.zeros(clean.shape)
    for count in range(1, FRAMES + 1):
        noise = sigma * rng.standard_normal(clean.shape)
        frame = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
        total += frame
        mean = blocks(total / count)
        gain = np.full((*mean.shape[:2], 1), round(256 / count) - 128, np.int16)
        declipping.see(frame, BLOCK, TOP)
        declipping.learn(mean, np.clip(gain, -128, 127).astype(np.int8))
    return declipping, total / FRAMES


def steps(levels: list[float]) -> NDArray[np.float64]:
    """A picture with a stripe of each level."""
    stripes = np.repeat(levels, SIZE[1] // len(levels))
    return np.broadcast_to(stripes[None, :, None], (SIZE[0], len(stripes), 3)).astype(float)


def test_the_table_is_that_of_normal_noise() -> None:
    assert np.all(np.diff(RATIOS) > 0)
    assert np.all(np.diff(SHARES) > 0)
    rng = np.random.default_rng(0)
    for clean in (0.0, 0.5, 1.0, 2.0):
        cut = np.maximum(clean + rng.standard_normal(10**6), 0)
        ratio = np.abs(cut - cut.mean()).mean() / cut.mean()
        share = (cut.mean() - clean) / cut.mean()
        assert np.interp(ratio, RATIOS, SHARES) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("sigma", [10, 30])
@pytest.mark.parametrize("white", [False, True])
def test_levels_become_what_they_were(sigma: float, white: bool) -> None:
    levels = [0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 160.0]
    clean = steps([255 - level for level in levels] if white else levels)
    declipping, mean = learned(clean, sigma)
    assert declipping.needed
    gain = np.full((SIZE[0] // 2, SIZE[1] // 2, 1), -127, np.int8)
    levels_less_128 = (np.rint(mean) - 128).astype(np.int8)
    result = declipping.corrected(levels_less_128, gain, BLOCK).astype(float) + 128
    for number in range(len(levels)):
        stripe = np.s_[:, 40 * number + 4 : 40 * number + 36]
        added = abs((mean - clean)[stripe].mean())
        away = abs((result - clean)[stripe].mean())
        assert away < max(0.45 * added, LEAST + 0.25), levels[number]


def test_the_newer_a_mean_is_the_less_is_taken() -> None:
    """A single frame has noise, by which the network tells what was cut."""
    clean = steps([0.0, 10.0, 60.0, 120.0])
    declipping, mean = learned(clean, 25)
    result = (np.rint(mean) - 128).astype(np.int8)
    taken = []
    for gain in (-128, -96, 0, 127):
        gains = np.full((SIZE[0] // 2, SIZE[1] // 2, 1), gain, np.int8)
        corrected = declipping.corrected(result, gains, BLOCK)
        taken.append(float((result.astype(int) - corrected)[:, 4:76].mean()))
    assert taken == sorted(taken, reverse=True)
    assert taken[0] > 5
    assert taken[-1] < 0.3


@pytest.mark.parametrize(
    ("levels", "sigma"), [([60.0, 100.0, 150.0, 190.0], 15), ([3.0, 252.0], 0.7)]
)
def test_noise_that_is_not_cut_changes_nothing(levels: list[float], sigma: float) -> None:
    declipping, _ = learned(steps(levels), sigma)
    assert not declipping.needed


def test_moving_pictures_teach_nothing() -> None:
    rng, declipping = np.random.default_rng(0), Declipping()
    mean = blocks(steps([0.0, 4.0, 8.0, 90.0]))
    moving = np.zeros((*mean.shape[:2], 1), np.int8)  # gain 1/2
    for _ in range(10):
        frame = rng.integers(0, 100, (*SIZE, 3)).astype(np.uint8)
        declipping.see(frame, BLOCK, TOP)
        declipping.learn(mean, moving)
    assert not declipping.needed


def test_it_forgets() -> None:
    declipping, _ = learned(steps([0.0, 10.0, 60.0, 120.0]), 25)
    assert declipping.needed
    declipping.reset()
    assert not declipping.needed
