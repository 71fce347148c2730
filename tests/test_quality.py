from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecae.errors import FrameError
from edgecae.quality import flicker, mse, psnr, ssim

IMAGES = hnp.arrays(np.uint8, st.tuples(*[st.integers(11, 20)] * 2, st.just(3)))


def test_a_known_error() -> None:
    clean = np.full((16, 16, 3), 100, np.uint8)
    assert mse(clean, clean + np.uint8(5)) == 25
    assert psnr(clean, clean + np.uint8(5)) == pytest.approx(10 * math.log10(255**2 / 25))


def test_large_differences_of_bytes_do_not_wrap() -> None:
    black, white = np.zeros((12, 12), np.uint8), np.full((12, 12), 255, np.uint8)
    assert mse(black, white) == mse(white, black) == 255**2
    assert psnr(black, white) == 0


@given(IMAGES)
def test_an_image_equals_itself(image: np.ndarray) -> None:
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1)


@pytest.mark.slow
@given(IMAGES, st.integers(0, 2**32))
def test_symmetric_and_bounded(image: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).integers(0, 256, image.shape, dtype=np.uint8)
    assert psnr(image, other) == psnr(other, image)
    assert ssim(image, other) == pytest.approx(ssim(other, image))
    assert ssim(image, other) <= 1


def test_ssim_of_a_known_pair() -> None:
    """Constant images a and b: (2ab + C1) / (a² + b² + C1)."""
    a, b, c1 = 100.0, 150.0, (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(np.full((20, 20), a), np.full((20, 20), b)) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [mse, psnr, ssim])
def test_shapes_must_agree(measure) -> None:
    with pytest.raises(FrameError, match="differ in shape"):
        measure(np.zeros((12, 12, 3)), np.zeros((12, 12)))
    with pytest.raises(FrameError):
        measure(np.zeros((0, 12)), np.zeros((0, 12)))


def test_flicker_of_known_clips() -> None:
    clean = [np.full((8, 6, 3), level, np.uint8) for level in (10, 60, 110)]
    assert flicker(clean, clean) == 0
    assert flicker(clean, [frame + np.uint8(9) for frame in clean]) == 0  # an error that stays
    errors = (3, -1, -3)  # changes by 4, then by 2
    assert flicker(clean, [c.astype(int) + e for c, e in zip(clean, errors, strict=True)]) == 3
    half = np.zeros((8, 6, 3))
    half[:4] = 6  # half of the pixels change by 6
    assert flicker([half * 0] * 2, [half * 0, half]) == pytest.approx(6 / math.sqrt(2))


def test_flicker_of_noise_that_is_new_in_each_frame() -> None:
    rng = np.random.default_rng(0)
    clean = [np.full((64, 64, 3), 128.0)] * 8
    noisy = [frame + 10 * rng.standard_normal(frame.shape) for frame in clean]
    assert flicker(clean, noisy) == pytest.approx(10 * math.sqrt(2), rel=0.02)


def test_flicker_needs_two_frames_of_each() -> None:
    frame = np.zeros((4, 4))
    with pytest.raises(FrameError, match="fewer than two frames"):
        flicker([frame], [frame])
    with pytest.raises(FrameError, match="3 and 2 frames"):
        flicker([frame] * 3, [frame] * 2)
    with pytest.raises(FrameError, match="differ in shape"):
        flicker([frame] * 2, [frame, frame[:2]])
