"""The fusion front in int8 does what its recursion says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from recurrent import STILL_SCENE, WATCHFUL, video_model

from edgecae import models
from edgecae.errors import ModelFileError
from edgecae.tflite import graph as graphs
from edgecae.tflite import interpreter, model_file
from edgecae_convert.fusion import attach
from edgecae_train.gate_layers import AMPLIFIED, DIFFERENCE, GAIN, MAGNITUDE, Layer

SIDE = 32
MIN_GAIN = 9 / 256


def folded(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Space-to-depth by 2."""
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    return frame.reshape(height, 2, width, 2, 3).transpose(0, 2, 1, 3, 4).reshape(height, width, 12)


class Fusion:
    """Runs a model frame by frame, without alignment or padding."""

    def __init__(self, content: bytes, side: int = SIDE) -> None:
        self._runner = interpreter.Interpreter(content, 1, interpreter.find_backend())
        self._runner.resize(side, side)
        self._states: list[NDArray[np.int8]] = []

    def step(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        plane = (frame ^ 0x80).view(np.int8)
        if not self._states:
            high = folded(plane)[None]
            self._states = [high, np.zeros_like(high), np.full((*high.shape[:3], 1), 127, np.int8)]
        for number, values in enumerate([plane[None], *self._states]):
            self._runner.input(number)[...] = values
        self._runner.invoke()
        self._states = [self._runner.output(number).copy() for number in (1, 2, 3)]
        return self._runner.output()[0].view(np.uint8) ^ 0x80

    @property
    def mean(self) -> NDArray[np.float64]:
        """z in levels."""
        return self._states[0][0] + 128.0 + self._states[1][0] / 8

    @property
    def gain(self) -> NDArray[np.float64]:
        return (self._states[2][0] + 128.0) / 256


def noisy(clean: NDArray[np.float64], sigma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    frame = clean + sigma * rng.standard_normal(clean.shape)
    return np.clip(np.round(frame), 0, 255).astype(np.uint8)


def scene() -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    return rng.uniform(60, 190, (SIDE, SIDE, 3))


@pytest.mark.parametrize("sigma", [2, 10, 40])
def test_the_mean_follows_the_float_recursion(sigma: float) -> None:
    """With the gains that the int8 model has, which its last step makes 1 at most."""
    rng, clean = np.random.default_rng(0), scene()
    fusion, expected = Fusion(video_model()), np.zeros(())
    for number in range(200):
        frame = noisy(clean, sigma, rng)
        fusion.step(frame)
        now = folded(frame.astype(float))
        gain = fusion.gain * 256 / 255
        expected = now if not number else expected + gain * (now - expected)
        error = fusion.mean - expected
        if number >= 8:
            assert abs(error.mean()) < 0.1
            assert np.quantile(np.abs(error), 0.95) < 0.5
            assert error.std() < 0.25
    left = (fusion.mean - folded(clean)).std()
    assert left < 0.3 + 1.3 * sigma * np.sqrt(MIN_GAIN / (2 - MIN_GAIN))


def test_the_gain_falls_as_one_over_the_number_of_frames() -> None:
    fusion, frame = Fusion(video_model()), scene().astype(np.uint8)
    for number in range(60):
        fusion.step(frame)
        assert np.ptp(fusion.gain) == 0
        expected = max(1 / (number + 2), MIN_GAIN)
        assert abs(np.log(fusion.gain.mean() / expected)) < 0.18
    assert fusion.gain.mean() == MIN_GAIN


@pytest.mark.parametrize("sigma", [0, 2])
@pytest.mark.parametrize("step", [-3, 3])
def test_brightness_that_steps_is_followed(step: int, sigma: float) -> None:
    """With the smallest gain: exactly where there is noise, within rounding where there is none."""
    rng, clean = np.random.default_rng(0), np.round(scene())
    fusion = Fusion(video_model())
    for _ in range(40):
        fusion.step(noisy(clean, sigma, rng))
    for _ in range(160):
        fusion.step(noisy(clean + step, sigma, rng))
    error = (fusion.mean - folded(clean + step)).mean()
    assert abs(error) < (1.55 if sigma == 0 else 0.2)


@pytest.mark.slow
def test_ten_thousand_frames_neither_drift_nor_cycle() -> None:
    rng, side = np.random.default_rng(0), 16
    clean = np.round(scene()[:side, :side])
    fusion = Fusion(video_model(), side)
    still = Fusion(video_model(), side)
    errors = []
    for number in range(10_000):
        fusion.step(noisy(clean, 3, rng))
        if number >= 100:
            errors.append((fusion.mean - folded(clean)).mean())
        if number < 1000:
            still.step(clean.astype(np.uint8))
            np.testing.assert_array_equal(still.mean, folded(clean))
    assert np.abs(errors).max() < 0.35
    first, last = np.mean(errors[:2000]), np.mean(errors[-2000:])
    assert abs(first - last) < 0.05


def test_another_picture_is_taken_at_once() -> None:
    """Where the gate sees that history is worth nothing."""
    clean = scene()
    fusion, frame = Fusion(video_model(watchful=True)), clean.astype(np.uint8)
    for _ in range(20):
        fusion.step(frame)
    assert fusion.gain.mean() < 0.1
    other = np.full_like(frame, 250)
    fusion.step(other)
    assert fusion.gain.mean() > 0.98
    assert np.abs(fusion.mean - 250).max() <= 3


def logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def test_the_gate_sees_gain_and_magnitude() -> None:
    """Each by its own weights, whatever scale it has inside."""
    layers = [Layer("q", (DIFFERENCE, MAGNITUDE, GAIN), 2)]
    kernel = np.zeros((2, 2, 25, 4))
    kernel[:, :, 12:24] = 40 / 48 / AMPLIFIED  # 40 times the mean of |y − z|
    kernel[:, :, 24] = 2 / 4  # twice the mean of the gain
    weights = {"q/kernel": kernel, "q/bias": np.zeros(4)}
    fusion = Fusion(attach(models.find_model("nano").read_bytes(), layers, weights))
    mean, gain = 120.0, 1.0
    for level in (120, 120, 120, 100, 100, 115, 115, 115):
        fusion.step(np.full((SIDE, SIDE, 3), level, np.uint8))
        away = level - mean
        gain = logistic(np.log(gain) + 40 * abs(away) / 255 + 2 * gain)
        mean += gain * away
        inner = np.s_[2:-2, 2:-2]
        assert np.abs(fusion.gain[inner] - gain).max() < 0.03
        assert np.abs(fusion.mean[inner] - mean).max() < 1


def test_the_first_frame_is_that_of_the_still_model() -> None:
    frame = noisy(scene(), 20, np.random.default_rng(0))
    runner = interpreter.Interpreter(
        models.find_model("nano").read_bytes(), 1, interpreter.find_backend()
    )
    runner.resize(SIDE, SIDE)
    runner.input()[...] = (frame ^ 0x80).view(np.int8)
    runner.invoke()
    still = runner.output()[0].view(np.uint8) ^ 0x80
    for watchful in (False, True):
        np.testing.assert_array_equal(Fusion(video_model(watchful=watchful)).step(frame), still)


@pytest.mark.parametrize("name", ["nano", "small", "base"])
def test_it_fits_every_model_that_folds_its_frame(name: str) -> None:
    still = model_file.read(models.find_model(name))
    file = graphs.decode(attach(still.content, *WATCHFUL, name="x", noise="gaussian:25"))
    about = model_file.check(file)
    assert (about.name, about.noise, about.quality) == ("x", "gaussian:25", {})
    assert about.architecture == still.metadata.architecture
    assert list(about.states) == sorted(["state_high", "state_low", "state_gain"])
    assert about.stride == max(8, still.metadata.stride)
    assert about.halo > still.metadata.halo


def test_what_does_not_fit_is_refused() -> None:
    layers, weights = STILL_SCENE
    nano = models.find_model("nano").read_bytes()
    with pytest.raises(ModelFileError, match="takes no fusion front"):
        attach(models.find_model("classic").read_bytes(), layers, weights)
    with pytest.raises(ModelFileError, match="takes no fusion front"):
        attach(video_model(), layers, weights)
    with pytest.raises(ModelFileError, match="layer q lacks 'q/kernel'"):
        attach(nano, layers, {})
    with pytest.raises(ModelFileError, match="layer q lacks 'p'"):
        attach(nano, [Layer("q", ("p",))], weights)
    with pytest.raises(ModelFileError, match="reads 12 channels"):
        attach(nano, [Layer("q", (DIFFERENCE,), 2)], weights)
    with pytest.raises(ModelFileError, match="last layer"):
        attach(nano, [Layer("q", (DIFFERENCE, "gain"))], weights)
    with pytest.raises(ModelFileError, match="last layer"):
        attach(nano, [], weights)
    with pytest.raises(ModelFileError, match="have different scales"):
        attach(nano, [Layer("q", (DIFFERENCE, "state"), 2)], weights)
