"""Pictures in blocks that are moved by parts of a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from recurrent import moved as shifted
from recurrent import scene

from edgecae.denoise.resampling import MAX_FINE, TAPS, kernel, moved

SIZE = 96, 130
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


def worst(size: int, part: float) -> NDArray[np.bool_]:
    """Where a line is white for the largest sum, over and over."""
    return np.resize(kernel(part) > 0, size)


@pytest.mark.parametrize("fine", [8, MAX_FINE])
@pytest.mark.parametrize("part", [(0.5, 0.5), (0.9375, 0.4375)])
def test_the_largest_sums_are_exact(fine: int, part: tuple[float, float]) -> None:
    """As in double precision."""
    white = ~(worst(SIZE[0], part[0])[:, None] ^ worst(SIZE[1], part[1]))
    picture = np.where(white, 255.0, 0.0)[..., None].repeat(3, 2)
    result = unfolded(*moved(*folded(picture, fine), fine, 2, WHOLE, WHOLE, part), fine)
    lines = sum(each * np.roll(picture, 7 - tap, 0) for tap, each in enumerate(kernel(part[0])))
    between = np.rint(np.asarray(lines) * fine * 4 / 256)
    sums = sum(each * np.roll(between, 7 - tap, 1) for tap, each in enumerate(kernel(part[1])))
    expected = np.clip(np.rint(np.asarray(sums) / 1024), 0, 255 * fine) / fine
    inner = np.s_[8:-8, 8:-8]
    np.testing.assert_array_equal(result[inner], expected[inner])


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
