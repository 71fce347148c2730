"""Noise that is known is found again, from still frames and from one picture."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.errors import NoiseError, SinkError
from edgecae.media.sources import scene as test_scene
from edgecae.noise import measure, noise_file
from edgecae.noise.spectrum import FREQUENCIES

SPECS = ["poisson-gaussian:0,5", "poisson-gaussian:0.5,5", "poisson-gaussian:2,15"]


def noisy(clean: NDArray[np.uint8], spec: str, count: int) -> list[NDArray[np.uint8]]:
    model = noise.parse(spec)
    return [model.add(clean, np.random.default_rng(i)) for i in range(count)]


def sigma(spec: str, brightness: float = 0.5) -> float:
    model = noise.parse(spec)
    return float(np.sqrt(model.gain[0] * 255 * brightness + model.read[0] ** 2))


def ramp(low: int = 10, high: int = 245) -> NDArray[np.uint8]:
    """Something plain that has dark and bright parts."""
    row = np.linspace(low, high, 320).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (240, 320, 3)))


def edgecae(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", *map(str, arguments)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_still_frames(spec: str, photo: NDArray[np.uint8]) -> None:
    measured = measure.measure_noise(noisy(photo, spec, 30))
    assert (measured.method, measured.frames, measured.warnings) == ("still frames", 30, ())
    assert measured.sigma(0.5) == pytest.approx([sigma(spec)] * 3, rel=0.03)
    assert measured.sigma(0.1) == pytest.approx([sigma(spec, 0.1)] * 3, rel=0.1)
    assert measured.gain == pytest.approx([noise.parse(spec).gain[0]] * 3, rel=0.1, abs=0.05)
    assert abs(measured.correlation) < 0.05
    assert measured.fit_error < 0.05


@pytest.mark.parametrize("spec", SPECS)
def test_one_picture(spec: str) -> None:
    measured = measure.measure_noise(noisy(ramp(), spec, 1))
    assert (measured.method, measured.frames, measured.warnings) == ("single pictures", 1, ())
    assert measured.sigma(0.5) == pytest.approx([sigma(spec)] * 3, rel=0.05)


@pytest.mark.parametrize("spec", ["gaussian:5", *SPECS])
def test_photos(spec: str, photos: Path) -> None:
    clean = [np.array(Image.open(path).convert("RGB")) for path in sorted(photos.glob("*.png"))]
    frames = [noisy(each, spec, i + 1)[i] for i, each in enumerate(clean)]
    measured = measure.measure_noise(frames)
    assert (measured.method, measured.frames) == ("single pictures", 6)
    assert measured.sigma(0.5) == pytest.approx([sigma(spec)] * 3, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_a_camera_that_moves(spec: str) -> None:
    scene = test_scene.TestScene(320, 240, frames=10, noise=noise.parse(spec))
    measured = measure.measure_noise(frame.pixels for frame in scene)
    assert measured.sigma(0.5) == pytest.approx([sigma(spec)] * 3, rel=0.05)


def test_what_moves_is_left_out(photo: NDArray[np.uint8]) -> None:
    frames = noisy(photo, SPECS[1], 20)
    for index, frame in enumerate(frames):
        frame[40:80, 4 * index : 4 * index + 40] = (255 * (index % 2), 200, 40)
    measured = measure.measure_noise(frames)
    assert measured.method == "still frames"
    assert measured.sigma(0.5) == pytest.approx([sigma(SPECS[1])] * 3, rel=0.05)


def test_a_lamp_that_flickers_is_no_noise(photo: NDArray[np.uint8]) -> None:
    lit = [(photo * (0.8 + 0.02 * (i % 2))).astype(np.uint8) for i in range(20)]
    frames = [noisy(each, SPECS[1], i + 1)[i] for i, each in enumerate(lit)]
    assert measure.measure_noise(frames).sigma(0.5) == pytest.approx(
        [sigma(SPECS[1])] * 3, rel=0.05
    )


def test_different_pictures_are_looked_at_one_by_one(photo: NDArray[np.uint8]) -> None:
    frames = [noisy(np.roll(ramp(), 60 * i, 1), SPECS[1], i + 1)[i] for i in range(4)]
    measured = measure.measure_noise([*frames, noisy(photo, SPECS[1], 1)[0]])
    assert measured.frames == 5
    assert measured.sigma(0.5) == pytest.approx([sigma(SPECS[1])] * 3, rel=0.1)


def test_each_channel_has_its_own(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    (tmp_path / "true.toml").write_text("gain = [0.2, 0.5, 1]\nread = [2, 4, 8]\n")
    measured = measure.measure_noise(noisy(photo, str(tmp_path / "true.toml"), 30))
    assert measured.gain == pytest.approx([0.2, 0.5, 1], rel=0.1)
    assert measured.read == pytest.approx([2, 4, 8], rel=0.1)


def test_gray_frames_give_three_equal_numbers(photo: NDArray[np.uint8]) -> None:
    frames = noisy(np.ascontiguousarray(photo[..., 1]), SPECS[1], 20)
    measured = measure.measure_noise(frames)
    assert len(set(measured.gain)) == len(set(measured.read)) == 1
    assert measured.sigma(0.5)[0] == pytest.approx(sigma(SPECS[1]), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 20])
def test_noise_that_neighbours_share(count: int) -> None:
    frames = []
    for index in range(count):
        white = np.random.default_rng(index).normal(0, 20, (241, 321, 3))
        shared = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 4
        frames.append(np.clip(np.rint(ramp(60, 190) + shared), 0, 255).astype(np.uint8))
    measured = measure.measure_noise(frames)
    # Averages of four have half the spread, and neighbours share two of four.
    assert measured.correlation == pytest.approx(0.5, abs=0.05 if count > 1 else 0.1)
    assert measured.warnings == ()
    assert measured.sigma(0.5) == pytest.approx([10] * 3, rel=0.03 if count > 1 else 0.1)
    frequency = np.array(FREQUENCIES)
    along = np.square(np.cos(np.pi * frequency))
    found, true = measured.spectrum.power[0], 0.447 * 4 * np.outer(along, along)
    error = (found - true) / np.maximum(true, 0.02 * true.max())
    assert np.sqrt(np.mean(error**2)) < (0.1 if count > 1 else 0.3)


def test_one_brightness_does_not_tell_gain_and_read_apart() -> None:
    plain = np.full((160, 160, 3), 100, np.uint8)
    measured = measure.measure_noise(noisy(plain, SPECS[1], 5))
    assert measured.gain == (0, 0, 0)
    assert measured.read == pytest.approx([np.sqrt(75)] * 3, rel=0.03)
    assert "can't be told apart" in measured.warnings[0]


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64), 255, np.uint8),
        np.full((64, 64, 3), 90, np.uint8),
        np.zeros((7, 64, 3), np.uint8),
    ],
    ids=["black", "white", "one colour", "small"],
)
@pytest.mark.parametrize("count", [1, 3])
def test_nothing_to_measure(frame: NDArray[np.uint8], count: int) -> None:
    with pytest.raises(NoiseError) as caught:
        measure.measure_noise([frame.copy() for _ in range(count)])
    assert "\n" not in str(caught.value)


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    measured = measure.measure_noise(noisy(ramp(), SPECS[1], 2))
    target = tmp_path / "new" / "camera.toml"
    noise_file.write_noise_file(target, measured, "a\nb = 3")
    assert [p.name for p in target.parent.iterdir()] == ["camera.toml"]
    with pytest.raises(SinkError, match="--overwrite"):
        noise_file.write_noise_file(target, measured, "a")
    noise_file.write_noise_file(target, measured, "a", overwrite=True)
    with pytest.raises(SinkError, match="toml"):
        noise_file.write_noise_file(tmp_path / "camera.txt", measured, "a")
    parsed = noise.parse(str(target))
    assert isinstance(parsed, noise.MeasuredNoise)
    assert parsed.sigma(128) == pytest.approx(measured.noise().sigma(128), rel=1e-3)


@pytest.mark.slow
def test_the_command_and_the_way_back(tmp_path: Path) -> None:
    target = tmp_path / "camera.toml"
    source = "test:320x240@30?noise=poisson-gaussian:0.5,5"
    done = edgecae("noise", source, "--frames", "12", "--json", "-o", target)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["gain"] == pytest.approx([0.5] * 3, rel=0.1)
    assert found["read"] == pytest.approx([5] * 3, rel=0.1)
    assert found["frames"] == 12
    model = noise.parse(str(target))
    assert isinstance(model, noise.MeasuredNoise)
    line = np.sqrt(np.array(found["gain"]) * 128 + np.square(found["read"]) + 1 / 12)
    assert model.sigma(128) == pytest.approx(line, rel=0.05)
    values = tomllib.loads(target.read_text())
    assert values["gain"] == found["gain"]
    assert values["read"] == found["read"]
    assert values["curve"] == found["curve"]
    assert values["correlation"]["channels"] == found["channels"]
    again = edgecae("noise", source, "-o", target)
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert "--overwrite" in again.stderr


@pytest.mark.slow
def test_the_command_takes_several_images(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    paths = []
    for index, frame in enumerate(noisy(photo, SPECS[1], 8)):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(frame).save(paths[-1])
    done = edgecae("noise", *paths)
    assert done.returncode == 0, done.stderr
    assert "still frames: 8 frames" in done.stdout
    assert "σ at 50 %" in done.stdout


@pytest.mark.slow
def test_the_command_draws_curve_and_spectrum(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "new.png"
    source = "test:320x240@30?noise=poisson-gaussian:0.5,5"
    done = edgecae("noise", source, "--frames", "3", "--plot", plot)
    assert done.returncode == 0, done.stderr
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    again = edgecae("noise", source, "--frames", "3", "--plot", plot)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    wrong = edgecae("noise", source, "--plot", tmp_path / "new.jpg")
    assert wrong.returncode == 1
    assert "ends in .png" in wrong.stderr
