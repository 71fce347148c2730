"""Shifts and cuts that are found in frames whose motion is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from recurrent import Frame, moved, noisy, scene

from edgecae.denoise.alignment import Aligner, Motion
from edgecae.denoise.kept import Kept
from edgecae.denoise.tiling import pad_edges

SIZE = 240, 360


def kept(frame: Frame, place: tuple[int, int] = (8, 8)) -> Kept:
    """What a model keeps of one frame: of a plane in blocks of 2×2."""
    height, width = frame.shape[:2]
    plane = np.zeros((-(-(height + 16) // 8) * 8, -(-(width + 16) // 8) * 8, 3), np.uint8)
    plane[place[0] : place[0] + height, place[1] : place[1] + width] = frame
    pad_edges(plane, height, width, *place)
    high, wide = plane.shape[0] // 2, plane.shape[1] // 2
    blocks = (plane ^ 0x80).view(np.int8).reshape(high, 2, wide, 2, 3).transpose(0, 2, 1, 3, 4)
    return Kept(np.ascontiguousarray(blocks.reshape(high, wide, 12)), 2, *place)


def view(large: NDArray[np.float64], top: int, left: int) -> NDArray[np.float64]:
    return large[top : top + SIZE[0], left : left + SIZE[1]]


LARGE = scene(SIZE[0] + 80, SIZE[1] + 80, 3)


@pytest.mark.parametrize("place", [(8, 8), (7, 8)])
@pytest.mark.parametrize("sigma", [0, 10, 50])
@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (-1, 0), (2, -3), (0, 30), (-17, 22), (30, -30)])
def test_a_shift_is_found(shift: tuple[int, int], sigma: float, place: tuple[int, int]) -> None:
    """Also against a single frame with as much noise, which a state is at its beginning.

    A single pixel in strong noise is only found once the state has less of it.
    """
    rng = np.random.default_rng(0)
    frames = 8 if sigma == 50 and max(map(abs, shift)) == 1 else 1
    before = noisy(view(LARGE, 40, 40), sigma / frames**0.5, rng)
    frame = noisy(view(LARGE, 40 + shift[0], 40 + shift[1]), sigma, rng)
    assert Aligner().find(frame, kept(before, place)) == Motion(*shift)


@pytest.mark.parametrize("sigma", [1, 10, 25])
@pytest.mark.parametrize("shift", [(0.5, 0), (0.25, -0.25), (-3.375, 7.5), (0, 12.25), (1, 0.75)])
def test_parts_of_a_pixel_are_found(shift: tuple[float, float], sigma: float) -> None:
    rng = np.random.default_rng(0)
    before = noisy(view(LARGE, 40, 40), sigma / 2, rng)
    frame = noisy(view(moved(LARGE, *shift), 40, 40), sigma, rng)
    found = Aligner().find(frame, kept(before))
    assert not found.cut
    assert found.rows == pytest.approx(shift[0], abs=0.13)
    assert found.columns == pytest.approx(shift[1], abs=0.13)


@pytest.mark.parametrize("sigma", [1, 10, 50])
def test_flat_scenes_stay_where_they_are(sigma: float) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        flat = np.full((*SIZE, 3), 40.0 + 5 * number)
        slope = flat + np.linspace(0, 20, SIZE[1])[:, None]
        for clean in (flat, slope):
            state = kept(noisy(clean, sigma / (1 + number) ** 0.5, rng))
            assert Aligner().find(noisy(clean, sigma, rng), state) == Motion()


@pytest.mark.parametrize("sigma", [0, 5, 30])
def test_moving_objects_move_no_scene(sigma: float) -> None:
    rng, thing = np.random.default_rng(0), scene(110, 150, 5)
    for way in ((0, 4), (3, -7), (-12, 2)):
        aligner = Aligner()
        background = view(LARGE, 40, 40)
        frames = []
        for number in range(4):
            clean = background.copy()
            top, left = 60 + way[0] * number, 100 + way[1] * number
            clean[top : top + 110, left : left + 150] = thing
            frames.append(noisy(clean, sigma, rng))
        for before, frame in pairwise(frames):
            assert aligner.find(frame, kept(before)) == Motion()


@pytest.mark.parametrize("sigma", [2, 25, 50])
def test_cuts_are_found_and_motion_is_none(sigma: float) -> None:
    rng, aligner = np.random.default_rng(0), Aligner()
    for number in range(8):
        by = 6 * number
        state = kept(noisy(view(LARGE, 20, 10 + by), sigma / (1 + number) ** 0.5, rng))
        frame = noisy(view(LARGE, 20, 16 + by), sigma, rng)
        assert aligner.find(frame, state) == Motion(0, 6)
    other = noisy(scene(*SIZE, 11), sigma, rng)
    assert aligner.find(other, state) == Motion(cut=True)
    assert Aligner().find(other, state) == Motion(cut=True)


@pytest.mark.parametrize("grain", [1, 4])
def test_strong_noise_in_weak_contrast_is_no_cut_for_ever(grain: int) -> None:
    """The first comparison may err for coarse noise: nothing is known of it then."""
    rng, aligner = np.random.default_rng(0), Aligner()
    weak = 128 + (view(LARGE, 20, 20) - 128) * 0.05
    small = (SIZE[0] // grain, SIZE[1] // grain, 3)

    def frame() -> Frame:
        coarse = np.kron(rng.standard_normal(small), np.ones((grain, grain, 1)))
        return noisy(weak + 30 * coarse, 20, rng)

    before, cuts = frame(), 0
    for _ in range(8):
        now = frame()
        cuts += aligner.find(now, kept(before)).cut
        before = now
    assert cuts <= (grain > 1)


def test_frames_too_small_or_gray_are_taken() -> None:
    rng = np.random.default_rng(0)
    for side in (1, 2, 31):
        tiny = noisy(scene(side, side), 5, rng)
        assert Aligner().find(tiny, kept(tiny)) == Motion()
    for size in ((32, 32), (32, 400), (33, 47)):
        frame = noisy(scene(*size), 5, rng)
        assert Aligner().find(frame, kept(frame)) == Motion()
    gray = noisy(scene(96, 128).mean(axis=2, keepdims=True), 5, rng)
    assert Aligner().find(gray, kept(np.repeat(gray, 3, axis=2))) == Motion()
    moved = np.roll(gray, -3, axis=1)
    assert Aligner().find(moved, kept(np.repeat(gray, 3, axis=2))) == Motion(0, 3)
