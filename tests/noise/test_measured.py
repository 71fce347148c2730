"""Noise of a curve and a spectrum: what is made of it has both, and files and texts keep it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import noise
from edgecae.errors import NoiseError
from edgecae.noise import measure, noise_file
from edgecae.noise.camera import CameraNoise
from edgecae.noise.measured import LEVELS, measured_noise
from edgecae.noise.parse import short_name
from edgecae.noise.spectrum import FREQUENCIES, Spectrum

Pixels = NDArray[np.uint8]


def grainy(scale: float = 1.0) -> noise.MeasuredNoise:
    """Noise as of a camera: bent curves, soft chroma, channels that go together."""
    frequency = np.array(FREQUENCIES)
    square = frequency[:, None] ** 2 + frequency**2
    power = np.stack(
        [0.5 * np.exp(-12 * square), 0.5 * np.exp(-40 * square), 0.7 * np.exp(-30 * square)]
    )
    coherence = np.stack([0.3 * np.exp(-9 * square), 0 * square, -0.2 + 0 * square])
    level = np.array(LEVELS)
    curve = 3 + 6 * np.sin(np.pi * (level / 255) ** 0.6)
    sigma = scale * np.stack([1.2 * curve, curve, 1.5 * curve])
    return measured_noise(sigma, Spectrum(power + 1e-3, coherence))


def ramp(low: float, high: float) -> Pixels:
    row = np.linspace(low, high, 256)
    picture = row[None, :, None] + np.linspace(-8, 8, 192)[:, None, None] + np.zeros(3)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def frames(model: noise.Noise, clean: Pixels, count: int) -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [model.add(clean, rng, noise.fast_normals) for _ in range(count)]


def spectral_error(found: Spectrum, true: Spectrum) -> float:
    """Root of the mean square, relative; low densities count as 2 % of the highest."""
    # A spectrum says no strength: that of the first is brought to that of the second.
    power = found.power * (np.trace(true.covariance()) / np.trace(found.covariance()))
    least = 0.02 * true.power.max((1, 2), keepdims=True)
    return float(np.sqrt(np.mean(np.square((power - true.power) / (true.power + least)))))


@pytest.mark.slow
def test_what_is_made_has_the_curve_and_the_spectrum() -> None:
    model = grainy()
    measured = measure.measure_noise(frames(model, ramp(20, 235), 30))
    assert measured.warnings == ()
    for channel, curve in enumerate(measured.curves):
        sure = np.array(curve.error) < 0.02
        true = [model.sigma(level)[channel] for level in curve.level]
        assert np.array(curve.sigma)[sure] == pytest.approx(np.array(true)[sure], rel=0.05)
        assert sure.sum() > 15
    assert spectral_error(measured.spectrum, model.spectrum()) < 0.1
    np.testing.assert_allclose(measured.spectrum.channels(), model.spectrum().channels(), atol=0.03)


@pytest.mark.slow
def test_round_trip_of_a_file(tmp_path: Path) -> None:
    """Measured, written, read, made and measured again."""
    first = measure.measure_noise(frames(grainy(0.7), ramp(0, 255), 30))
    file = tmp_path / "camera.toml"
    noise_file.write_noise_file(file, first, "a camera")
    model = noise.parse(str(file))
    again = measure.measure_noise(frames(model, ramp(0, 255), 30))
    for one, two in zip(first.curves, again.curves, strict=True):
        sure = np.array(one.error) < 0.02
        level = np.array(one.level)[sure]
        off = np.interp(level, two.level, two.sigma) / np.array(one.sigma)[sure] - 1
        assert np.abs(off[(level > 8) & (level < 247)]).max() < 0.05
        assert np.abs(off).max() < 0.15  # within a few levels of black and white
    assert spectral_error(again.spectrum, first.spectrum) < 0.1
    np.testing.assert_allclose(again.spectrum.channels(), first.spectrum.channels(), atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chroma", "jpeg"])
def test_a_camera_that_is_known(kind: str) -> None:
    """Thirty frames say what a hundred others do."""
    shares = ",".join(f"{name}={float(name == kind):g}" for name in ("jpeg", "video", "chroma"))
    camera = noise.parse(f"camera:level=9,raw=1,{shares},seed=3")
    assert isinstance(camera, CameraNoise)
    scene = ramp(40, 215)[:96]
    first, many = (
        list(camera.still_frames(scene, np.random.default_rng(seed), 10 + count))[10:]
        for seed, count in ((1, 30), (2, 100))
    )
    measured = measure.measure_noise(first)
    true = np.stack(many)
    mean, variance = true.mean(0), true.var(0, ddof=1)
    for channel, curve in enumerate(measured.curves):
        bins = (mean[..., channel] / 8).astype(int)
        for each in np.unique(bins):
            inside = bins == each
            if inside.sum() >= 500:
                sigma = np.sqrt(variance[..., channel][inside].mean())
                level = np.array([mean[..., channel][inside].mean()])
                found = curve.at(level, measured.gain[channel], measured.read[channel])[0]
                assert found == pytest.approx(sigma, rel=0.05)


def test_the_curve_holds_at_black_and_white() -> None:
    """Where noise is cut off, what is left of it is what was measured."""
    model = grainy(2)
    stack = np.stack(frames(model, np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(
        128, 128, 1).repeat(3, -1), 60)).astype(np.float64)  # fmt: skip
    level, sigma = stack.mean(0).reshape(256, 64, 3), stack.std(0).reshape(256, 64, 3)
    sigma = np.sqrt(np.mean(sigma**2, 1))
    for channel in range(3):
        wanted = [model.sigma(at)[channel] for at in level.mean(1)[:, channel]]
        off = sigma[:, channel] / wanted - 1
        assert np.abs(off).max() < 0.09  # of 60 frames of 64 pixels that share noise
        assert abs(off[:8].mean()) < 0.03
        assert abs(off[-8:].mean()) < 0.03


@pytest.mark.parametrize("sigma", [0.15, 0.3, 0.5, 1.0])
def test_weak_noise_survives_rounding(sigma: float) -> None:
    model = measured_noise(np.full((3, len(LEVELS)), sigma), Spectrum.white())
    found = np.stack(frames(model, np.full((128, 128, 3), 100, np.uint8), 4)).std()
    assert found == pytest.approx(sigma, rel=0.05)


def test_no_noise_is_none() -> None:
    model = measured_noise(np.zeros((3, len(LEVELS))), Spectrum.white())
    clean = ramp(0, 255)
    np.testing.assert_array_equal(model.add(clean, np.random.default_rng(0)), clean)


@pytest.mark.parametrize(
    "shape", [(40, 50), (40, 50, 1), (7, 9, 3), (5, 33, 47, 3), (2, 64, 64, 3)]
)
@pytest.mark.parametrize("normals", [noise.standard_normals, noise.fast_normals])
def test_pictures_of_any_shape(shape: tuple[int, ...], normals: noise.Normals) -> None:
    clean = np.full(shape, 120, np.uint8)
    model = grainy()
    first, again, other = (
        model.pair(clean, np.random.default_rng(seed), normals)[0] for seed in (1, 1, 2)
    )
    assert first.shape == shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.std() > 3


def test_a_seed_gives_each_picture_of_a_batch_its_own_noise() -> None:
    noisy = grainy().add(np.full((3, 48, 48, 3), 90, np.uint8), np.random.default_rng(0))
    assert (noisy[0] != noisy[1]).mean() > 0.5
    assert (noisy[1] != noisy[2]).mean() > 0.5


def test_a_description_says_the_same_again(tmp_path: Path) -> None:
    model = grainy()
    assert noise.parse(str(model)) == model
    assert len(model.name) < 40
    mixed = noise.parse(f"0.5*{model} + 0.5*gaussian:0-55")
    assert noise.parse(str(mixed)) == mixed
    assert mixed.name == f"0.5*{model.name} + 0.5*gaussian:0-55"
    assert short_name(str(mixed)) == mixed.name
    (tmp_path / "gaussian.toml").write_text("gain = [0, 0, 0]\nread = [5, 5, 5]\n")
    file = str(tmp_path / "gaussian.toml")
    assert short_name(file) == file
    assert short_name("measured:nonsense") == "measured:nonsense"


@pytest.mark.parametrize("cut", [4, 30, 700])
def test_a_description_that_was_cut_off(cut: int) -> None:
    with pytest.raises(NoiseError, match="cut off"):
        noise.parse(str(grainy())[:-cut])


def test_an_older_file_is_white_noise(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text("# Noise of 0\ngain = [0.5, 0.5, 0.5]\nread = [3, 3, 3]\nother = 1\n")
    assert isinstance(noise.parse(str(file)), noise.PoissonGaussian)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[curve.green]", "[curve.", "at line"),
        ("[curve.green]", "[curve.other]", "curve.green"),
        ("[spectrum]", "[spectral]", "spectrum.frequency"),
        ("frequency = [0.0, ", "frequency = [0.1, ", "spectrum.frequency"),
        ("\nluma_cb = [\n", "\nluma_cb = [\n  [],\n", "spectrum.luma_cb must be 11 rows"),
        ("\ncb = [\n", "\ncb = 5\nother = [\n", "spectrum.cb must be 11 rows"),
        ("\nlevel = [", "\nlevel = [255.0, ", "curve.red"),
        ("\nsigma = [", "\nsigma = [-1.0, ", "curve.red"),
        ("\nsigma = [", "\nsigma = [nan, ", "curve.red"),
        ("gain = [", "gain = [1.0, ", "gain must be three numbers"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "camera.toml"
    measured = measure.measure_noise(frames(grainy(), ramp(40, 200)[:64, :96], 3))
    noise_file.write_noise_file(file, measured, "a camera")
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(NoiseError, match=message) as caught:
        noise.parse(str(file))
    assert "camera.toml" in str(caught.value)


@pytest.mark.slow
def test_noise_that_lasts_is_measured_and_warned_of() -> None:
    """As of compressed video: a frame has much of the noise of the one before."""
    rng = np.random.default_rng(0)
    clean, noisy = ramp(30, 220)[:128], 5 * rng.standard_normal((128, 256, 3))
    shot = []
    for _ in range(40):
        noisy = 0.8 * noisy + 0.6 * 5 * rng.standard_normal(clean.shape)
        shot.append(np.clip(np.rint(clean + noisy), 0, 255).astype(np.uint8))
    measured = measure.measure_noise(shot)
    assert measured.time[:3] == pytest.approx([0.8, 0.64, 0.51], abs=0.04)
    assert measured.sigma(0.5) == pytest.approx([5] * 3, rel=0.03)
    assert any("lasts into the next" in each for each in measured.warnings)


def light(frame: Pixels, factor: float) -> Pixels:
    return np.clip(np.rint(frame * factor), 0, 255).astype(np.uint8)


def said(shots: list[Pixels]) -> str:
    return " / ".join(measure.measure_noise(shots).warnings)


@pytest.mark.slow
def test_a_scene_that_can_not_tell_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    model = noise.parse("poisson-gaussian:0.2,2")

    def taken(cleans: list[Pixels]) -> list[Pixels]:
        return [model.add(each, rng, noise.fast_normals) for each in cleans]

    fine = ramp(30, 220)[:128]
    assert said(taken([fine] * 20)) == ""
    assert "the light flickers" in said(taken([light(fine, 1 + 0.02 * (i % 3)) for i in range(20)]))
    assert "are dark" in said(taken([ramp(4, 30)[:128]] * 20))
    assert "black or white" in said(taken([light(fine, 3.5)] * 20))
    assert "one brightness" in said(taken([ramp(100, 100)[:128] // 16 * 16] * 20))
    edges = np.where(np.add.outer(np.arange(128), np.arange(256))[..., None] % 32 < 16, 60, 180)
    sharp = np.broadcast_to(edges, (128, 256, 3)).astype(np.uint8)
    shaken = [
        np.rint(sharp + 0.3 * (i % 2) * (np.roll(sharp, 1, 1).astype(float) - sharp))
        .astype(np.uint8) for i in range(20)
    ]  # fmt: skip
    assert "the camera moves" in said(taken(shaken))
    moving = [fine.copy() for _ in range(20)]
    for index, frame in enumerate(moving):
        frame[30:100, 8 * index : 8 * index + 40] = (20 + 200 * (index % 2), 90, 200)
    assert "something moves in" in said(taken(moving))


@pytest.mark.slow
def test_rows_and_hot_pixels_are_found() -> None:
    rng = np.random.default_rng(0)
    clean = ramp(40, 200).astype(np.float64)
    clean[rng.integers(0, 192, 40), rng.integers(0, 256, 40)] = 250
    shots = []
    for _ in range(20):
        rows = 3 * rng.standard_normal((192, 1, 1))
        shot = clean + rows + 6 * rng.standard_normal(clean.shape)
        shots.append(np.clip(np.rint(shot), 0, 255).astype(np.uint8))
    measured = measure.measure_noise(shots)
    # Of the luma: rows 9, the rest 36 · (0.3² + 0.59² + 0.11²).
    assert measured.rows == pytest.approx(9 / (9 + 36 * 0.447), rel=0.2)
    assert measured.hot == pytest.approx(1e6 * 40 / (192 * 256), rel=0.4)
    text = " / ".join(measured.warnings)
    assert "whole rows share" in text
    assert "far off their neighbours" in text


def test_blocks_that_lost_their_noise_are_counted() -> None:
    rng = np.random.default_rng(0)
    clean = ramp(40, 200)
    eaten = np.zeros((24, 32), bool)
    eaten[:6] = True
    mask = eaten.repeat(8, 0).repeat(8, 1)[..., None]
    shots = [np.where(mask, clean, noise.gaussian(6).add(clean, rng)) for _ in range(20)]
    measured = measure.measure_noise(shots)
    assert measured.eaten == pytest.approx(0.25, abs=0.02)
    assert "left no noise" in " / ".join(measured.warnings)


@pytest.mark.slow
def test_few_frames_say_how_sure_they_are() -> None:
    model = grainy()
    few, many = (measure.measure_noise(frames(model, ramp(20, 235), n)) for n in (2, 24))
    assert few.spectrum_error > 2 * many.spectrum_error
    assert np.median(few.curves[1].error) > 2 * np.median(many.curves[1].error)
    # What is told is about what it is off.
    off = []
    for channel, curve in enumerate(few.curves):
        true = np.array([model.sigma(level)[channel] for level in curve.level])
        off.append((np.array(curve.sigma) / true - 1) / np.array(curve.error))
    assert 0.5 < np.sqrt(np.mean(np.square(np.concatenate(off)))) < 3


def test_a_jpeg_picture_alone_is_warned_of() -> None:
    camera = noise.parse("camera:level=8,rest=0,jpeg=1,seed=1")
    taken = camera.add(ramp(30, 220), np.random.default_rng(0))
    assert "compressed in blocks" in said([taken])
