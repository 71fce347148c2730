"""Tone curves: how far the mean of frames is off, found from how lopsided their noise is."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import noise
from edgecae.errors import NoiseError
from edgecae.noise import measure, noise_file
from edgecae.noise.measured import LEVELS, measured_noise
from edgecae.noise.spectrum import Spectrum
from edgecae.noise.tone import Tone, fit_gamma, shown

CAMERA = "camera:level=20-40,denoise=0,jpeg=0,video=0,chroma=0,seed=1"
"""One whose noise is added to light: at a medium gray, its frames are 4 levels too dark."""


def steps(height: int = 160) -> NDArray[np.uint8]:
    """Sixteen gray fields of 40 pixels each: no pixel has a neighbour of another brightness."""
    row = np.repeat(np.linspace(10, 240, 16), 40)
    return np.broadcast_to(np.rint(row)[None, :, None], (height, 640, 3)).astype(np.uint8)


def frames(spec: str, count: int = 30) -> list[NDArray[np.uint8]]:
    model, rng = noise.parse(spec), np.random.default_rng(0)
    return [model.add(steps(), rng) for _ in range(count)]


@pytest.mark.parametrize("gamma", [1.0, 1.7, 2.4])
def test_tables_are_what_rounding_and_clipping_leave(gamma: float) -> None:
    tables, rng = shown(gamma), np.random.default_rng(0)
    for level, index in ((0, -30), (3, -40), (60, -45), (128, -35), (250, -30), (255, -60)):
        light = (level / 255) ** gamma + tables.sigma[index] * rng.standard_normal(400_000)
        pixels = np.rint(255 * np.clip(light, 0, 1) ** (1 / gamma))
        deviation = float(pixels.std())
        assert tables.mean[index, level] == pytest.approx(pixels.mean(), abs=0.01 * deviation)
        assert tables.variance[index, level] == pytest.approx(pixels.var(), rel=0.02)
        third = np.mean((pixels - pixels.mean()) ** 3)
        assert tables.third[index, level] == pytest.approx(third, abs=0.05 * deviation**3)


@pytest.mark.slow
def test_frames_tell_what_their_mean_is_off() -> None:
    taken = frames(CAMERA)
    measured = measure.measure_noise(taken)
    assert measured.gamma == pytest.approx(2.0, abs=0.25)
    mean = np.mean(taken, axis=0)
    fields = range(3, 14)  # brightness 56 to 209
    columns = [np.s_[40 * each + 4 : 40 * each + 36] for each in fields]
    clean = np.array([steps()[0, each][0, 0] for each in columns], float)
    off = np.array([mean[:, each].mean((0, 1)) for each in columns]) - clean[:, None]
    assert off.mean() < -3
    scene = measured.noise().scene(np.rint(mean).astype(np.uint8))
    left = np.array([scene[:, each].mean((0, 1)) for each in columns]) - clean[:, None]
    assert np.abs(left).mean() < 1
    assert np.abs(left).max() < 2.5
    # What the measured noise makes is off by as much.
    made = measured.noise().add(np.tile(steps(), (4, 1, 1)), np.random.default_rng(1))
    same = np.array([made[:, each].mean((0, 1)) for each in columns]) - clean[:, None]
    assert np.abs(same - off).mean() < 1


@pytest.mark.slow
def test_noise_that_is_added_to_display_values_has_no_curve() -> None:
    taken = frames("gaussian:25")
    measured = measure.measure_noise(taken)
    assert measured.gamma == 1
    # Black still cuts it off.
    scene = measured.noise().scene(np.rint(np.mean(taken, axis=0)).astype(np.uint8))
    assert scene[:, 4:36].mean() == pytest.approx(10, abs=1)
    assert np.mean(taken, axis=0)[:, 4:36].mean() > 15


def test_nothing_is_looked_for_in_weak_noise() -> None:
    level, variance, third, pixels = (np.full((3, 4), value) for value in (100.0, 9.0, -5.0, 500.0))
    assert fit_gamma(level, variance, third, pixels) == 1


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_noise_in_light_shows_the_curve_that_was_asked(gamma: float) -> None:
    level = np.array(LEVELS)
    curve = 4 + 12 * np.sin(np.pi * level / 255)
    tone = Tone.of_curve(gamma, level, curve)
    rng = np.random.default_rng(0)
    for clean in (20, 90, 160, 230):
        plane = np.full((500, 500), clean, np.uint8)
        noisy = tone.add(plane, rng.standard_normal(plane.shape).astype(np.float32))
        noisy = np.clip(np.rint(noisy), 0, 255)
        assert noisy.std() == pytest.approx(np.interp(noisy.mean(), level, curve), rel=0.02)
        assert noisy.mean() == pytest.approx(tone.mean[clean], abs=0.15)


def test_a_text_without_a_curve_is_still_read() -> None:
    made = measured_noise(np.full((3, len(LEVELS)), 9.0), Spectrum.white())
    content = base64.urlsafe_b64decode(made.spec.partition(":")[2])
    before = base64.urlsafe_b64encode(b"\x01" + content[2:]).decode()
    old = noise.parse(f"measured:{before}")
    assert isinstance(old, noise.MeasuredNoise)
    assert old.sigma(100) == made.sigma(100)
    clean = steps()
    pictures = [each.add(clean, np.random.default_rng(0)) for each in (old, made)]
    np.testing.assert_array_equal(*pictures)


def test_a_file_keeps_the_curve_and_the_warnings(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    measured = replace(measure.measure_noise(frames(CAMERA, 3)), warnings=('3 "frames"', "moves"))
    noise_file.write_noise_file(path, measured, "a camera")
    clean = steps()
    pictures = [
        each.add(clean, np.random.default_rng(0))
        for each in (measured.noise(), noise.parse(str(path)))
    ]
    assert np.abs(np.subtract(*[each.astype(int) for each in pictures])).mean() < 0.1
    assert noise_file.read_warnings(path) == measured.warnings
    text = path.read_text()
    path.write_text(text.replace(f"gamma = {measured.gamma}", "gamma = 9"))
    with pytest.raises(NoiseError, match=r"tone\.gamma must be a number from 1 to 2\.5"):
        noise.parse(str(path))
