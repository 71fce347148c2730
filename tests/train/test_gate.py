"""The gate of recurrent models: what it learns from, and its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from clips import make_clip
from PIL import Image

from edgecae.errors import DataError, RecipeError
from edgecae_train import architectures, command, evaluate, loop, recipe, training_set, weights
from edgecae_train._tf import tf
from edgecae_train.architectures.fusion import MIN_GAIN, Fusion, clip_denoiser, fused
from edgecae_train.gain_loss import errors, gain_loss, loss_of_gain
from edgecae_train.gate_layers import MAX_Q

pytestmark = pytest.mark.slow

TINY = {
    "model": "nano-video",
    "frames": 3,
    "validate_every": 2,
    "deterministic": True,
    "float.steps": 4,
    "float.batch": 2,
    "float.patch": 64,
    "float.learning_rate": 1e-3,
    "qat.steps": 0,
}


@pytest.fixture(autouse=True)
def short_held_out_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation runs the still model on each frame of each clip, and takes most of the time."""
    monkeypatch.setattr(training_set, "HELD_OUT_FRAMES", 3)


NO_STRIPS = np.zeros((2, 4), np.uint8)


def always(q: float):
    """A gate that says the same everywhere."""
    return lambda inputs: tf.fill(tf.shape(inputs[3]), np.float32(q))


def test_while_nothing_changes_the_mean_is_that_of_all_frames() -> None:
    rng = np.random.default_rng(0)
    frames = rng.random((6, 1, 4, 4, 12), np.float32)
    mean, gain = tf.constant(frames[0]), tf.ones((1, 4, 4, 1))
    for number, frame in enumerate(frames[1:], 2):
        mean, _, gain = fused(always(0), frame, mean, gain)
        assert np.allclose(gain, 1 / number)
        assert np.allclose(mean, frames[:number].mean(0), atol=1e-6)
    for _ in range(100):
        mean, _, gain = fused(always(0), frames[0], mean, gain)
    assert np.allclose(gain, MIN_GAIN)


def test_a_large_q_begins_anew() -> None:
    frame = np.full((1, 4, 4, 12), 0.8, np.float32)
    mean, _, gain = fused(always(MAX_Q), frame, 0 * frame, tf.fill((1, 4, 4, 1), MIN_GAIN))
    assert (gain.numpy() > 0.98).all()
    assert np.allclose(mean, 0.8, atol=0.02)


def test_a_boosted_gate_forgets_more_where_it_forgets() -> None:
    frame = np.full((1, 4, 4, 12), 0.8, np.float32)
    gain = tf.fill((1, 4, 4, 1), 0.1)
    for q in (0.0, 0.5, 5.0):
        _, once, _ = fused(always(min(2 * q, MAX_Q)), frame, 0 * frame, gain)
        _, boosted, _ = fused(always(q), frame, 0 * frame, gain, boost=2.0)
        np.testing.assert_allclose(boosted, once)


@pytest.mark.parametrize(("change", "before"), [(0.0, 0.1), (1e-4, 0.04), (1e-2, 1.0), (0.5, 0.04)])
def test_the_best_gain_costs_least(change: float, before: float) -> None:
    """By trying all: it weighs what is left of the noise and the change against a new frame."""
    noise = 25.0**2 / 255**2
    gains = np.geomspace(MIN_GAIN / 2, 1, 4000)
    given = (tf.constant(x, tf.float64) for x in (np.log(gains), before, change, noise))
    costs = loss_of_gain(*given).numpy()
    error = (1 - gains) ** 2 * (change + before * noise) + gains**2 * noise
    assert gains[costs.argmin()] == pytest.approx(gains[error.argmin()], rel=0.01)
    assert costs.min() == pytest.approx(0, abs=1e-4)


def test_change_and_noise_are_told_from_a_clean_clip() -> None:
    rng = np.random.default_rng(0)
    clean = np.full((1, 64, 64, 12), 0.5)
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    mean = clean.copy()
    mean[:, :, 32:] += 0.2
    change, noise = (x.numpy()[0, ..., 0] for x in errors(clean, mean, noisy, 8.0))
    assert np.allclose(change[:, :30], 0)
    assert np.allclose(change[:, 34:], 8 * 0.04)
    assert np.allclose(noise[16:-16, 16:-16], 0.01, rtol=0.1)


def test_to_forget_a_still_scene_costs_more_than_to_keep_it() -> None:
    clean = np.full((2, 4, 64, 64, 3), 120, np.uint8)
    noisy = np.clip(clean + 20 * np.random.default_rng(0).standard_normal(clean.shape), 0, 255)
    batch = noisy.astype(np.uint8), clean, np.array([1, 16]), np.array([0, 0]), NO_STRIPS
    nothing, all_ = (float(gain_loss(always(q), 4, 4, 32.0)(*batch)) for q in (0, MAX_Q))
    assert nothing < 0.3
    assert all_ > 5 * nothing


@pytest.mark.parametrize("led", [0, 1])
def test_a_gate_forgets_a_scene_that_was_cut(led: int) -> None:
    clean = np.full((1, 4, 64, 64, 3), 40, np.uint8)
    clean[:, 2:] = 200
    nothing, all_ = (
        float(
            gain_loss(always(q), 4, 4, 32.0)(
                clean, clean, np.array([8]), np.array([led]), NO_STRIPS[:1]
            )
        )
        for q in (0, MAX_Q)
    )
    assert all_ < nothing


def test_strips_begin_anew_with_each_frame() -> None:
    """A gate is shown no history there, and the gain 1."""
    seen = []

    def gate(inputs):
        seen.append([x.numpy() for x in inputs])
        return 0.0 * inputs[3]

    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 256, (1, 3, 64, 64, 3), dtype=np.uint8)
    strips = np.array([[2, 0, 0, 5]], np.uint8)
    gain_loss(gate, 3, 4, 32.0)(noisy, 255 - noisy, np.array([9]), np.array([0]), strips)
    for difference, _, _, gain in seen:
        new = np.zeros((32, 32), bool)
        new[:2] = new[:, -5:] = True
        np.testing.assert_array_equal(gain[0, ..., 0] == 1, new)
        assert (difference[0][new] == 0).all()
        assert np.abs(difference[0][~new]).mean() > 0


def test_it_trains_and_goes_on_where_it_was_killed(tmp_path: Path, photos: Path) -> None:
    settings = recipe.with_changes(recipe.Recipe(), {**TINY, "data": str(photos)})
    whole = loop.train(settings, tmp_path / "whole")

    def kill(event: loop.Event) -> None:
        if event.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path / "run", report=kill)
    loop.train(recipe.read(tmp_path / "run" / "recipe.toml"), tmp_path / "run", resume=True)
    assert (tmp_path / "run/history.csv").read_text() == (whole / "history.csv").read_text()
    architecture, phase, values = weights.read_weights(whole / "float.weights.h5")
    assert (architecture, phase) == (Fusion("nano"), "float")
    assert all(name.startswith("gate_") for name in values)
    assert (whole / "samples.png").exists()
    assert len(list((whole / "held_out").glob("*_clip.png"))) == 12


def videos_below(folder: Path, photos: Path, *names: str) -> Path:
    """A folder of short videos in which a camera pans over a photo."""
    folder.mkdir()
    photo = np.asarray(Image.open(photos / "face.png").convert("RGB"))
    for step, name in enumerate(names):
        frames = [np.ascontiguousarray(photo[t : t + 96, step * t :][:, :96]) for t in range(5)]
        make_clip(folder / name, frames)
    return folder


def test_it_trains_on_videos_alone(tmp_path: Path, photos: Path) -> None:
    data = videos_below(tmp_path / "videos", photos, "a.mkv", "b.mkv", "c.mkv")
    settings = recipe.with_changes(recipe.Recipe(), {**TINY, "data": str(data)})
    run = loop.train(settings, tmp_path / "run")
    assert (run / "float.weights.h5").exists()
    kept = training_set.read_held_out(run / "held_out").clean
    assert len(kept) == 12
    assert (kept[0] == kept[0][0]).all()  # cut from the video: a pan that is followed
    assert np.ptp(kept[0]) > 100


def test_videos_alone_need_videos_to_validate_on(tmp_path: Path, photos: Path) -> None:
    data = videos_below(tmp_path / "videos", photos, "a.mkv")
    other = videos_below(tmp_path / "other", photos)
    changes = {**TINY, "data": str(data), "held_out": str(other)}
    with pytest.raises(DataError, match="other holds no usable video"):
        loop.train(recipe.with_changes(recipe.Recipe(), changes), tmp_path / "run")


def test_pairs_and_bursts_teach_it_nothing(tmp_path: Path, photos: Path) -> None:
    settings = recipe.with_changes(recipe.Recipe(), {**TINY, "pairs": str(photos)})
    with pytest.raises(RecipeError, match="nano-video learns from photos"):
        loop.train(settings, tmp_path / "run")


def test_a_trained_gate_is_a_start_beside_another_model(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "short.toml").write_text("frames = 2\n")  # a step is traced frame by frame
    given = [
        *("--data", str(photos), "--steps", "1", "--batch", "1", "--patch", "64"),
        *("--validate-every", "1", "--recipe", str(tmp_path / "short.toml")),
    ]
    first = CliRunner().invoke(
        command.command, ["--model", "nano-video", "--out", str(tmp_path / "a"), *given]
    )
    assert first.exit_code == 0, first.output
    second = ["--model", "small-video", "--init", str(tmp_path / "a"), "--learning-rate", "1e-9"]
    done = CliRunner().invoke(command.command, [*second, "--out", str(tmp_path / "b"), *given])
    assert done.exit_code == 0, done.output
    (one, _, before), (other, _, after) = (
        weights.read_weights(tmp_path / run / "float.weights.h5") for run in "ab"
    )
    assert (one, other) == (Fusion("nano"), Fusion("small"))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-6)


def test_a_clip_whose_gate_forgets_all_is_denoised_frame_by_frame() -> None:
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    still = evaluate.float_denoiser("nano")
    denoise = clip_denoiser(always(40.0), still)
    expected = np.stack([still(frame) for frame in clip])
    assert np.abs(denoise(clip).astype(int) - expected).max() <= 1


def test_a_description_is_read_again_and_others_are_refused() -> None:
    described = architectures.describe(Fusion("small", width=6))
    assert architectures.restore(described) == Fusion("small", width=6)
    with pytest.raises(RecipeError, match="not one of edgecae's"):
        architectures.restore({**described, "high": 3})
