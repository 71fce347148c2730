"""What a video model that ships does at once, leaves behind, and keeps for hours.

The measures are those of ``benchmarks/video_checks.py``, which prints the figures. To test a file
that does not ship yet, name it ``NAME-video.tflite`` after its still model::

    EDGECAE_VIDEO_MODELS=FILE:FILE python -m pytest tests/denoise/test_video_models.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_modules import load
from conftest import DATA
from recurrent import noisy, scene, video_model

from edgecae import Denoiser, models
from edgecae.tflite import model_file

BY_HAND = "by hand"
"""A file with a gate that no training made: these tests run before any model ships."""

SHIPPED = [name for name in models.names() if model_file.read(models.find_model(name)).graph.states]
GIVEN = [path for path in os.environ.get("EDGECAE_VIDEO_MODELS", "").split(":") if path]

CHECKS = load("video_checks")


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return CHECKS.read_photos(DATA)[:3]


@pytest.fixture(scope="module", params=[BY_HAND, *SHIPPED, *GIVEN])
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A name or a file."""
    if request.param != BY_HAND:
        return str(request.param)
    return hand_made(tmp_path_factory.mktemp("models"), watchful=True)


def hand_made(folder: Path, watchful: bool) -> str:
    path = folder / "nano-video.tflite"
    path.write_bytes(video_model(watchful=watchful))
    return str(path)


def test_what_is_called_a_video_model_is_one() -> None:
    named = [name for name in models.names() if name.endswith("-video")]
    assert named == SHIPPED
    for name in named:
        assert CHECKS.still_of(name) in models.names()


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_each_beginning_is_as_good_as_the_still_model(
    video: str, photos: list[np.ndarray], sigma: float
) -> None:
    for what, gain in CHECKS.beginnings(video, photos, sigma).items():
        assert gain > -0.1, what


@pytest.mark.parametrize("sigma", [10, 25])
@pytest.mark.parametrize("opacity", [1.0, 0.3])
def test_a_moving_object_leaves_no_trail(
    video: str, photos: list[np.ndarray], sigma: float, opacity: float
) -> None:
    """The pixels next to it may be worse for one frame; then they are as good as anywhere."""
    found = CHECKS.trail(video, photos[0], photos[1], sigma, opacity)
    trained = video in SHIPPED + GIVEN
    assert found.excess[0] < (2 if trained else 6)
    assert max(found.excess[1:]) < (0.5 if trained else 3)
    assert found.worst < (2 if trained else 6)
    assert max(found.left) < 0.05


def test_a_trail_would_be_seen(photos: list[np.ndarray], tmp_path: Path) -> None:
    """Of a model that takes every scene for a still one."""
    found = CHECKS.trail(hand_made(tmp_path, watchful=False), photos[0], photos[1], 10)
    assert min(found.excess) > 10
    assert 0.3 < min(found.left) < max(found.left) < 1


@pytest.mark.slow
def test_ten_thousand_frames_keep_their_colour(video: str, photos: list[np.ndarray]) -> None:
    far = CHECKS.drift(video, photos[0], 10)
    assert far.drift < 0.1
    assert far.offset < far.still + 0.25
    assert far.wander < 1


def test_a_scene_without_noise_comes_to_rest(video: str, photos: list[np.ndarray]) -> None:
    """No limit cycle: the same picture again and again."""
    count, away = CHECKS.repeats(video, photos[0])
    assert count == 1
    assert away <= 3


def test_no_state_survives_a_reset(video: str) -> None:
    """Not even the whitest and blackest ones, nor those of another size."""
    rng = np.random.default_rng(0)
    clip = [noisy(scene(56, 72), 20, rng) for _ in range(4)]
    with Denoiser(video) as fresh:
        expected = [fresh.process(frame) for frame in clip]
    with Denoiser(video) as denoiser:
        befores: list[Any] = [np.full((56, 72, 3), level, np.uint8) for level in (0, 255)]
        for before in [*befores, noisy(scene(40, 64), 50, rng)]:
            for _ in range(12):
                denoiser.process(before)
            denoiser.reset()
            for frame, result in zip(clip, expected, strict=True):
                np.testing.assert_array_equal(denoiser.process(frame), result)
