from __future__ import annotations

import contextlib
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecae import noise
from edgecae.errors import NoiseError

FLAT = np.full((400, 500, 3), 128, np.uint8)
LEVELS = st.floats(0, 255).map(lambda x: round(x, 3))


@given(LEVELS)
def test_a_level_is_read_back(sigma: float) -> None:
    assert noise.parse(f"gaussian:{sigma}").read == (sigma, sigma)


@given(LEVELS, LEVELS)
def test_a_range_is_read_back_unless_it_runs_backwards(a: float, b: float) -> None:
    spec = f"gaussian:{a}-{b}"
    if a <= b:
        assert noise.parse(spec).read == (a, b)
    else:
        with pytest.raises(NoiseError, match="backwards"):
            noise.parse(spec)


@given(st.text(max_size=30))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(NoiseError):
        parsed = noise.parse(text)
        assert isinstance(parsed, noise.PoissonGaussian)
        assert 0 <= parsed.read[0] <= parsed.read[1] <= 255


@pytest.mark.parametrize(
    "spec",
    ["", "gaussian", "gaussian:", "gaussian:x", "gaussian:-5", "gaussian:300", "gaussian:1-2-3",
     "poisson-gaussian:1", "poisson-gaussian:1,2,3", "salt:5", "nothing.toml",
     "poisson-gaussian:1/2,3", "poisson-gaussian:1/2/3-4,3", "poisson-gaussian:1/2/300,3",
     "gaussian:1/2/3"],
)  # fmt: skip
def test_nonsense_is_refused(spec: str) -> None:
    with pytest.raises(NoiseError):
        noise.parse(spec)


@pytest.mark.parametrize("normals", [noise.standard_normals, noise.fast_normals])
@pytest.mark.parametrize("sigma", [5, 15, 25])
def test_gaussian_has_the_deviation_it_says(sigma: float, normals: noise.Normals) -> None:
    noisy = noise.gaussian(sigma).add(FLAT, np.random.default_rng(0), normals)
    error = noisy.astype(float) - 128
    assert error.std() == pytest.approx(np.hypot(sigma, 1 / np.sqrt(12)), rel=0.01)
    assert abs(error.mean()) < 0.02 * sigma


def test_the_measuring_protocol() -> None:
    """noisy = round(clip(clean + σ·n)), n drawn image by image from one generator."""
    clean = np.random.default_rng(7).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(2):
        expected = np.round(np.clip(clean + 50 * same.standard_normal(clean.shape), 0, 255))
        np.testing.assert_array_equal(noise.gaussian(50).add(clean, rng), expected)


def test_signal_dependent_noise_has_its_variance() -> None:
    model = noise.parse("poisson-gaussian:0.5,3")
    for mean in (40, 120, 200):
        noisy = model.add(np.full_like(FLAT, mean), np.random.default_rng(0))
        assert noisy.astype(float).var() == pytest.approx(0.5 * mean + 9 + 1 / 12, rel=0.02)


def test_each_image_of_a_batch_has_a_strength_of_its_own() -> None:
    batch = np.stack([FLAT[:64, :64]] * 8)
    noisy = noise.parse("gaussian:0-55").add(batch, np.random.default_rng(0), noise.fast_normals)
    deviations = noisy.astype(float).std((1, 2, 3))
    assert len(set(deviations.round(1))) == 8
    assert deviations.max() < 56


def test_a_measured_camera(tmp_path: Path) -> None:
    file = tmp_path / "camera.toml"
    file.write_text("gain = [0.1, 0.2, 0.4]\nread = [2.0, 1.0, 4.0]\n")
    noisy = noise.parse(str(file)).add(FLAT, np.random.default_rng(0)).astype(float)
    expected = [g * 128 + r * r + 1 / 12 for g, r in ((0.1, 2), (0.2, 1), (0.4, 4))]
    np.testing.assert_allclose(noisy.var((0, 1)), expected, rtol=0.02)


CHANNELS = st.lists(st.one_of(LEVELS, st.floats(0, 255)), min_size=3, max_size=3)


@given(CHANNELS, CHANNELS)
def test_a_noise_file_is_known_by_its_numbers(gain: list[float], read: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "camera.toml"
        file.write_text(f"gain = {gain}\nread = {read}\n")
        measured = noise.parse(str(file))
    assert noise.parse(str(measured)) == measured
    assert folder not in str(measured)


@pytest.mark.parametrize("text", ["", "gain = 3", "gain = [1, 2, 3]\nread = [1, 2]", "gain = ["])
def test_a_camera_file_that_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "camera.toml"
    file.write_text(text)
    with pytest.raises(NoiseError, match=r"camera\.toml"):
        noise.parse(str(file))


def test_gray_frames() -> None:
    gray = FLAT[..., 0]
    assert noise.gaussian(10).add(gray, np.random.default_rng(0)).shape == gray.shape


@pytest.mark.parametrize("bits", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_fast_normals_are_normal_with_every_bit_generator(bits: str) -> None:
    rng = np.random.Generator(getattr(np.random, bits)(0))
    drawn = noise.fast_normals(rng, (1_000_003,)).astype(np.float64)
    assert drawn.mean() == pytest.approx(0, abs=0.003)
    assert drawn.std() == pytest.approx(1, abs=0.002)
    assert (drawn**3).mean() == pytest.approx(0, abs=0.01)
    assert (drawn**4).mean() == pytest.approx(3, abs=0.02)
    pairs = drawn[:-1].reshape(-1, 2)
    assert (pairs[:, 0] * pairs[:, 1]).mean() == pytest.approx(0, abs=0.005)


def test_fast_normals_are_the_raw_words_of_64_bit_generators() -> None:
    """Training goes on drawing the numbers that recipes and checkpoints began with."""
    words = np.random.PCG64(3).random_raw(2).view(np.uint16)
    expected = [statistics.NormalDist().inv_cdf((int(each) + 0.5) / 65536) for each in words]
    drawn = noise.fast_normals(np.random.default_rng(3), (2, 4))
    assert drawn.ravel() == pytest.approx(expected, rel=1e-6)
