"""Pictures in blocks that are moved by parts of a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from recurrent import moved as shifted
from recurrent import scene

from edgecae.denoise.resampling import MAX_FINE, TAPS, kernel, moved

SIZE = 96, 130
Sides = tuple[range, range]
WHOLE = range(SIZE[0]), range(SIZE[1])
PARTS = [(0, 0.25), (0.5, 0), (0.9375, 0.0625), (0.5, 0.5)]


def folded(
    picture: NDArray[np.float64], fine: int = 8
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """A picture as a model keeps it."""
    height, width = picture.shape[:2]
    steps = np.rint(picture * fine).astype(int)
    blocks = steps.reshape(height // 2, 2, width // 2, 2, 3).transpose(0, 2, 1, 3, 4)
    blocks = blocks.reshape(height // 2, width // 2, 12)
    levels = (blocks + fine // 2) // fine
    return (levels - 128).astype(np.int8), (blocks - fine * levels).astype(np.int8)


def unfolded(high: NDArray[np.int8], low: NDArray[np.int8], fine: int = 8) -> NDArray[np.float64]:
    steps = (high.astype(int) + 128) * fine + low
    rows, columns = high.shape[:2]
    blocks = steps.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * rows, 2 * columns, 3) / fine


@pytest.mark.parametrize("part", np.linspace(0, 1, 16, endpoint=False))
def test_a_kernel_is_whole_and_sums_to_one(part: float) -> None:
    weights = kernel(part)
    assert weights.shape == (TAPS,)
    np.testing.assert_array_equal(weights, np.rint(weights))
    assert weights.sum() == 256
    np.testing.assert_array_equal(kernel(0), 256 * (np.arange(TAPS) == TAPS // 2 - 1))


@pytest.mark.parametrize("part", [(0, 0), *PARTS])
def test_it_moves_as_a_sinc_does(part: tuple[float, float]) -> None:
    clean = scene(*SIZE, 3)
    result = unfolded(*moved(*folded(clean), 8, 2, WHOLE, WHOLE, part))
    inner = np.s_[8:-8, 8:-8]
    away = (result - shifted(clean, *part))[inner]
    # What is finest, a kernel of sixteen pixels can't carry over.
    assert np.sqrt(np.mean(away**2)) < (3 if any(part) else 0.05)
    assert abs(away.mean()) < 0.02


def summed(
    steps: NDArray[np.int64], fine: int, inside: Sides, place: Sides, part: tuple[float, float]
) -> NDArray[np.float64]:
    """What moved should give, from sums of whole numbers; steps are pixels, H×W×C."""
    (rows, columns), taps = place, np.arange(TAPS) - (TAPS // 2 - 1)
    near_rows, near_columns = (
        np.clip(np.array(side)[:, None] + taps, within[0], within[-1])
        for side, within in zip((rows, columns), inside, strict=True)
    )
    down, right = (kernel(by).astype(np.int64) for by in part)
    between = np.rint(np.einsum("t,atwc->awc", down, steps[near_rows]) * 4 / 256).astype(np.int64)
    sums = np.einsum("t,hatc->hac", right, between[:, near_columns])
    return np.clip(np.rint(sums / 1024), 0, 255 * fine) / fine


def _somewhere(rng: np.random.Generator, side: int) -> range:
    """Of whole blocks, from any pixel on."""
    length = 2 * int(rng.integers(1, side // 2 + 1))
    start = int(rng.integers(0, side - length + 1))
    return range(start, start + length)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_what_whole_numbers_give(seed: int) -> None:
    """Of any size, from anywhere, with the largest sums that black and white can give."""
    rng = np.random.default_rng(seed)
    fine = int(rng.choice([1, 8, MAX_FINE]))
    size = 2 * rng.integers(1, 50, 2)
    part = (float(rng.integers(16)) / 16, float(rng.integers(16)) / 16)
    white = [np.resize(kernel(by) > 0, side) for by, side in zip(part, size, strict=True)]
    extreme = np.where(white[0][:, None] ^ white[1], 0.0, 255.0)[..., None].repeat(3, 2)
    picture = extreme if seed % 2 else rng.uniform(0, 255, (*size, 3))
    starts = [int(rng.integers(0, side)) for side in size]
    down, right = (
        (range(start, int(rng.integers(start, side)) + 1), _somewhere(rng, int(side)))
        for start, side in zip(starts, size, strict=True)
    )
    inside, place = (down[0], right[0]), (down[1], right[1])
    high, low = folded(picture, fine)
    result = unfolded(*moved(high, low, fine, 2, inside, place, part), fine)
    steps = np.rint(unfolded(high, low, fine) * fine).astype(np.int64)
    np.testing.assert_array_equal(result, summed(steps, fine, inside, place, part))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 20), (0, 30)), ((33, 81), (57, 119)), ((50, 96), (6, 130))]
)
def test_a_part_comes_out_as_in_the_whole(
    rows: tuple[int, int], columns: tuple[int, int], part: tuple[float, float]
) -> None:
    kept = folded(scene(*SIZE, 5))
    whole = unfolded(*moved(*kept, 8, 2, WHOLE, WHOLE, part))
    place = range(*rows), range(*columns)
    alone = unfolded(*moved(*kept, 8, 2, WHOLE, place, part))
    np.testing.assert_array_equal(alone, whole[slice(*rows), slice(*columns)])


@pytest.mark.parametrize("level", [0, 0.125, 77.5, 254.875, 255])
def test_flat_pictures_stay_as_they_are(level: float) -> None:
    kept = folded(np.full((*SIZE, 3), level))
    for part in PARTS:
        kept = moved(*kept, 8, 2, WHOLE, WHOLE, part)
    np.testing.assert_array_equal(unfolded(*kept), np.full((*SIZE, 3), level))


def test_what_is_outside_is_not_looked_at() -> None:
    """The sides of the part that is read go on beyond it."""
    picture = scene(*SIZE, 7)
    beyond = picture.copy()
    beyond[:9] = beyond[87:] = 0
    beyond[:, :11] = beyond[:, 121:] = 255
    inside, place = (range(9, 87), range(11, 121)), (range(10, 86), range(12, 120))
    one, two = (
        moved(*folded(each), 8, 2, inside, place, (0.5, 0.25)) for each in (picture, beyond)
    )
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
