"""Recurrent models in the denoiser: states, tiles, motion, cuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recurrent import moved, noisy, scene, video_model

from edgecae import Denoiser, noise
from edgecae.errors import FrameError
from edgecae.media import images
from edgecae.quality import psnr
from edgecae.tflite import writer
from edgecae.tflite.graph import decode


@pytest.fixture(scope="module")
def watchful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "watchful.tflite"
    path.write_bytes(video_model(watchful=True))
    return path


def test_a_still_scene_gets_better_than_single_frames(watchful: Path) -> None:
    rng, clean = np.random.default_rng(0), scene(96, 144)
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        found = []
        for _ in range(24):
            frame = noisy(clean, 25, rng)
            found.append(psnr(clean, denoiser.process(frame)) - psnr(clean, still.process(frame)))
    assert min(found[3:]) > 1


@pytest.mark.parametrize("size", [(64, 112), (96, 96), (101, 77), (5, 3), (1, 1)])
def test_the_first_frame_and_one_after_a_reset_are_the_still_models(
    watchful: Path, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    frames = [noisy(scene(*size), 25, rng) for _ in range(3)]
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        first = denoiser.process(frames[0])
        np.testing.assert_array_equal(first, still.process(frames[0]))
        denoiser.process(frames[1])
        assert not np.array_equal(denoiser.process(frames[0]), first) or size == (1, 1)
        denoiser.reset()
        np.testing.assert_array_equal(denoiser.process(frames[0]), first)


def test_another_size_begins_anew(watchful: Path) -> None:
    rng = np.random.default_rng(0)
    small, large = (noisy(scene(*size), 25, rng) for size in ((48, 64), (64, 48)))
    with Denoiser(watchful) as denoiser:
        first = denoiser.process(small)
        for frame in (large, small, large, small):
            result = denoiser.process(frame)
        np.testing.assert_array_equal(result, first)


def test_denoisers_have_states_of_their_own(watchful: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [noisy(scene(48, 64, seed), 25, rng) for seed in (0, 1) for _ in range(4)]
    with Denoiser(watchful) as one, Denoiser(one.model) as other, Denoiser(one.model) as third:
        alone = [one.process(frame) for frame in frames[:4]]
        for number in range(4):
            again = other.process(frames[number])
            third.process(frames[4 + number])
            np.testing.assert_array_equal(again, alone[number])


@pytest.mark.parametrize("area", [10**6, 96 * 96])
def test_sequences_take_turns(watchful: Path, area: int) -> None:
    """Such as fields, which may differ by a row in height."""
    rng = np.random.default_rng(0)
    clips = [
        [noisy(scene(height, 150, height), 25, rng) for _ in range(4)] for height in (121, 120)
    ]
    with Denoiser(watchful, largest_area=area) as denoiser:
        alone = []
        for clip in clips:
            denoiser.reset()
            alone.append([denoiser.process(frame) for frame in clip])
        denoiser.reset()
        for number in range(4):
            for sequence, clip in enumerate(clips):
                result = denoiser.process(clip[number], sequence=sequence)
                np.testing.assert_array_equal(result, alone[sequence][number])


@pytest.mark.slow
@pytest.mark.parametrize("dark", [0, 90])
@pytest.mark.parametrize("step", [(0, 0), (0, 1), (-1, 3), (2, -5), (0.5, 0.25), (-1.25, 2)])
def test_tiles_give_the_bytes_of_the_whole_frame(
    watchful: Path, step: tuple[float, float], dark: float
) -> None:
    """At any place in the plane, in place or not, and with memory that does not grow."""
    rng, large, size = np.random.default_rng(0), scene(280, 330) - dark, (197, 241)
    with (
        Denoiser(watchful) as whole,
        Denoiser(watchful, largest_area=160 * 160) as tiled,
        Denoiser(watchful, largest_area=160 * 160) as in_place,
    ):
        for number in range(8):
            by = step[0] * number, step[1] * number
            clean = moved(large, *by)[40 : 40 + size[0], 40 : 40 + size[1]]
            frame = noisy(np.clip(clean, 0, 255), 20, rng)
            expected = whole.process(frame)
            np.testing.assert_array_equal(tiled.process(frame), expected)
            in_place.process(frame, frame)
            np.testing.assert_array_equal(frame, expected)
        assert tiled._plan.tiles > 1
        assert whole._active is not None
        assert whole._active._declipping.needed or not dark


def test_chroma_samples_keep_their_place_in_the_blocks(photos: Path) -> None:
    """Why states move, and the frame in its plane does not."""
    photo = images.read(photos / "face.png").pixels
    camera = noise.parse("camera:level=15,rest=0,chroma=1")
    dirty, clean = camera.pair(photo, np.random.default_rng(0))
    inner = np.s_[16:-16, 16:-16]
    with Denoiser("nano") as still:
        in_place = psnr(clean[inner], still.process(dirty)[inner])
        moved = np.roll(still.process(np.roll(dirty, 1, axis=(0, 1))), -1, axis=(0, 1))
    assert in_place > psnr(clean[inner], moved[inner]) + 0.1


@pytest.mark.parametrize("sigma", [10, 25])
def test_a_scene_in_a_shaking_hand_gains_as_a_still_one_does(watchful: Path, sigma: float) -> None:
    rng, large = np.random.default_rng(0), scene(210, 260, 4)
    inner = np.s_[24:-24, 24:-24]
    gains = {"still": [], "shaken": []}
    for kind, found in gains.items():
        with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
            for _ in range(16):
                by = rng.normal(0, 1.5, 2) if kind == "shaken" else (0, 0)
                clean = moved(large, *by)[40:-40, 40:-40]
                frame = noisy(clean, sigma, rng)
                result, alone = denoiser.process(frame), still.process(frame)
                found.append(psnr(clean[inner], result[inner]) - psnr(clean[inner], alone[inner]))
    still_scene, shaken = (np.mean(gains[kind][4:]) for kind in ("still", "shaken"))
    assert still_scene > 0.5
    assert shaken > 0.6 * still_scene


@pytest.mark.parametrize("sigma", [15, 40])
def test_blacks_stay_black_where_noise_is_cut(watchful: Path, sigma: float) -> None:
    """The mean of frames is too bright there, and too dark at white."""
    rng = np.random.default_rng(0)
    dark = np.clip(scene(128, 192) / 4 - 20, 0, 255)
    for clean in (dark, 255 - dark):
        with Denoiser(watchful) as denoiser:
            for _ in range(30):
                frame = noisy(clean, sigma, rng)
                result = denoiser.process(frame)
        added = abs(frame.mean() - clean.mean())
        assert added > 2
        assert abs(result.mean() - clean.mean()) < 0.5 * added


@pytest.mark.parametrize("step", [(0, 2), (2, 0), (-4, 8), (0, 30), (-18, 12), (0, 1), (0.5, 1.75)])
def test_a_pan_gains_as_a_still_scene_does(watchful: Path, step: tuple[float, float]) -> None:
    """Except at the side that comes into view."""
    rng, size = np.random.default_rng(0), (128, 192)
    large = scene(330, 480)
    top = 40 if step[0] >= 0 else large.shape[0] - 40 - size[0]
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        for number in range(8):
            shown = moved(large, step[0] * number, step[1] * number)
            clean = np.clip(shown[top : top + size[0], 10 : 10 + size[1]], 0, 255)
            frame = noisy(clean, 20, rng)
            result, alone = denoiser.process(frame), still.process(frame)
    inner = np.s_[32:-32, 32:-32]
    assert psnr(clean[inner], result[inner]) - psnr(clean[inner], alone[inner]) > 0.5
    assert psnr(clean, result) > psnr(clean, alone)


def test_a_frame_in_gray_and_a_strength(watchful: Path) -> None:
    rng, clean = np.random.default_rng(0), scene(64, 80).mean(axis=2)
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        for _ in range(6):
            frame = noisy(clean, 10, rng)
            result = denoiser.process(frame)
        assert result.shape == frame.shape
        assert psnr(clean, result) > psnr(clean, still.process(frame)) + 0.3
        denoiser.strength = 0.0
        np.testing.assert_array_equal(denoiser.process(frame), frame)
        denoiser.strength = None
        denoiser.process(noisy(clean, 25, rng))
        assert 0 < denoiser.share <= 1


def test_frames_of_one_size(tmp_path: Path) -> None:
    """With room for the border, and without it."""
    model = writer.copy_model(decode(video_model(watchful=True)).model)
    for tensor in model.subgraphs[0].tensors:
        tensor.shape_signature = None
    path = tmp_path / "fixed.tflite"
    path.write_bytes(writer.encode(model))
    rng, large = np.random.default_rng(0), scene(64, 120)
    with Denoiser(path) as denoiser, Denoiser("nano") as still:
        for side, step in ((48, 4), (64, 2)):
            gains = []
            for number in range(8):
                clean = large[:side, step * number : step * number + side]
                frame = noisy(clean, 20, rng)
                # Not at the edges, beyond which a file without room for a border sees zeros.
                inner = np.s_[16:-16, 16:-16]
                result, alone = denoiser.process(frame)[inner], still.process(frame)[inner]
                gains.append(psnr(clean[inner], result) - psnr(clean[inner], alone))
            assert min(gains) > -0.3
            assert gains[-1] > 0.2
            denoiser.reset()
        with pytest.raises(FrameError, match="takes frames of 64x64 alone"):
            denoiser.process(noisy(large, 20, rng))


def test_a_failure_in_between_begins_anew(watchful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frames = [noisy(scene(48, 64), 25, rng) for _ in range(3)]
    with Denoiser(watchful) as denoiser:
        first = denoiser.process(frames[2])
        denoiser.reset()
        denoiser.process(frames[0])
        with monkeypatch.context() as patch:
            patch.setattr(denoiser._writer, "write", lambda *given: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                denoiser.process(frames[1])
        np.testing.assert_array_equal(denoiser.process(frames[2]), first)


EVENTS = {
    "cut": lambda clean, number: scene(128, 192, 9) if number >= 10 else clean,
    "cut to gray": lambda clean, number: np.full_like(clean, 90.0) if number >= 10 else clean,
    "flash": lambda clean, number: np.clip(clean + 70, 0, 255) if number == 10 else clean,
    "exposure": lambda clean, number: clean * (0.7 if number >= 10 else 1.0),
    "quick pan": lambda clean, number: np.roll(clean, 38 * max(0, number - 9), axis=1),
    "second frame": lambda clean, number: scene(128, 192, 9) if number >= 1 else clean,
}


@pytest.mark.parametrize("sigma", [5, 30])
@pytest.mark.parametrize("event", list(EVENTS))
def test_nothing_that_happens_makes_it_worse_than_a_still_model(
    watchful: Path, event: str, sigma: float
) -> None:
    rng, clean = np.random.default_rng(0), scene(128, 192)
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        for number in range(16):
            now = EVENTS[event](clean, number)
            frame = noisy(now, sigma, rng)
            result, alone = denoiser.process(frame), still.process(frame)
            assert psnr(now, result) > psnr(now, alone) - 0.1, (event, number)


@pytest.mark.parametrize("sigma", [5, 30])
def test_the_first_frame_after_a_cut_is_the_still_models(watchful: Path, sigma: float) -> None:
    rng = np.random.default_rng(0)
    with Denoiser(watchful) as denoiser, Denoiser("nano") as still:
        for seed in (0, 7):
            for number in range(6):
                frame = noisy(scene(112, 176, seed), sigma, rng)
                result = denoiser.process(frame)
                if not number:
                    np.testing.assert_array_equal(result, still.process(frame))


def test_noise_that_is_asked_for_is_estimated_as_before(watchful: Path) -> None:
    frame = noisy(scene(64, 80), 25, np.random.default_rng(0))
    with Denoiser(watchful) as denoiser:
        denoiser.measure_noise = True
        denoiser.process(frame)
        assert denoiser.noise == pytest.approx(noise.estimate(frame))
