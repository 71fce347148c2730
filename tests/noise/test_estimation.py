"""The strength of the noise in one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecae import noise
from edgecae.media import images
from edgecae.noise.frame_statistics import COUNT, MIN_SIDE, frame_statistics
from edgecae.noise.white import white_sigma
from edgecae_train.data import synthetic

ANY_RANK = st.sampled_from([(), (1,), (3,)])


@pytest.mark.parametrize("sigma", [1, 2, 5, 10, 25])
@pytest.mark.parametrize("tail", [(), (1,), (3,)])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (97, 131)])
def test_the_noise_of_a_flat_frame_is_estimated(
    size: tuple[int, int], tail: tuple[int, ...], sigma: float
) -> None:
    frame = np.full((*size, *tail), 128, np.uint8)
    noisy = noise.gaussian(sigma).add(frame, np.random.default_rng(0), noise.fast_normals)
    assert white_sigma(noisy) == pytest.approx(sigma, rel=0.1)
    assert noise.estimate(noisy) == pytest.approx(sigma, rel=0.2, abs=0.4)
    assert white_sigma(frame) == 0
    assert noise.estimate(frame) < 0.6


@pytest.mark.parametrize("sigma", [5, 10, 15, 25])
def test_the_noise_of_a_photo_is_estimated(photos: Path, sigma: float) -> None:
    for path in sorted(photos.glob("*.png")):
        noisy = noise.gaussian(sigma).add(images.read(path).pixels, np.random.default_rng(0))
        assert white_sigma(noisy) == pytest.approx(sigma, rel=0.15)
        assert noise.estimate(noisy) == pytest.approx(sigma, rel=0.25)


def test_a_clean_photo_has_little_noise(photos: Path) -> None:
    clean = [images.read(path).pixels for path in photos.glob("*.png")]
    assert max(white_sigma(photo) for photo in clean) < 1.5


def test_clean_pictures_have_little_noise() -> None:
    pictures = [synthetic.generate(5, index, size=320) for index in range(8)]
    assert np.median([noise.estimate(picture) for picture in pictures]) < 1.5


@pytest.mark.slow
def test_estimates_over_many_photos(shared: Path) -> None:
    for sigma, share in ((5, 0.75), (10, 0.9), (15, 0.95), (25, 0.95), (50, 0.9)):
        close = []
        for path in sorted(shared.glob("train/*.jpg"))[::12]:
            noisy = noise.gaussian(sigma).add(images.read(path).pixels, np.random.default_rng(0))
            close.append(abs(noise.estimate(noisy) - sigma) < 0.15 * sigma)
        assert np.mean(close) >= share


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "share"),
    [("camera:level=5-30", 0.75), ("camera:level=5-40,rest=0,chroma=1", 0.8)],
)
def test_noise_that_neighbours_share_is_seen(shared: Path, spec: str, share: float) -> None:
    """In three of four frames of a camera, within a fifth; taken for white it is far too little."""
    close, white = [], []
    made = noise.parse(spec)
    for seed, path in enumerate(sorted(shared.glob("train/*.jpg"))[::4]):
        photo = images.read(path).pixels
        noisy = made.add(photo, np.random.default_rng(seed))
        sigma = float((noisy.astype(float) - photo).std())
        close.append(abs(noise.estimate(noisy) / sigma - 1) < 0.2)
        white.append(abs(white_sigma(noisy) / sigma - 1) < 0.2)
    assert np.mean(close) >= share
    assert np.mean(white) < 0.6


@given(st.integers(1, 70), st.integers(1, 70), ANY_RANK)
def test_frames_of_any_size_have_an_estimate(h: int, w: int, tail: tuple[int, ...]) -> None:
    frame = np.random.default_rng(h * w).integers(0, 256, (h, w, *tail), dtype=np.uint8)
    for estimate in (noise.estimate, white_sigma):
        assert 0 <= estimate(frame) < 255
        assert estimate(np.full_like(frame, 9)) < 0.6


@given(st.integers(MIN_SIDE, 200), st.integers(MIN_SIDE, 200), st.integers(0, 2**32))
def test_statistics_are_numbers_and_the_same_for_gray_of_any_rank(
    h: int, w: int, seed: int
) -> None:
    gray = np.random.default_rng(seed).integers(0, 256, (h, w), dtype=np.uint8)
    found = frame_statistics(gray)
    assert found.shape == (COUNT,)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(frame_statistics(gray[..., None]), found)
    colour = frame_statistics(np.repeat(gray[..., None], 3, axis=2))
    np.testing.assert_allclose(colour[:-1], found[:-1], atol=1e-5)


def test_statistics_of_a_large_frame_are_those_of_a_part(photos: Path) -> None:
    """Rows of blocks are left out, nothing else: a frame of equal rows has the same."""
    photo = images.read(photos / "face.png").pixels[:16]
    one, many = (np.tile(photo, (count, 8, 1)) for count in (2, 100))
    np.testing.assert_allclose(frame_statistics(one), frame_statistics(many), atol=0.3)
