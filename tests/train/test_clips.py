"""Clips made from photos, and batches of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import noise
from edgecae_train.data import clips
from edgecae_train.data.clip_batches import ClipBatches, add_noise, held_out_clips
from edgecae_train.data.clips import Motion
from edgecae_train.data.images import open_images

Pixels = NDArray[np.uint8]
SIDE, FRAMES = 64, 6


def waves(rng: np.random.Generator, side: int) -> Pixels:
    """A smooth picture, whose value at a place is known."""
    rows, columns = np.mgrid[:side, :side]
    value = 128 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)
    return np.repeat(value[..., None], 3, 2).astype(np.uint8)


def only(monkeypatch: pytest.MonkeyPatch, motion: Motion) -> None:
    """Clips of one motion, without objects, cuts and changes of light."""
    monkeypatch.setattr(clips, "draw_motion", lambda rng, frames: motion)
    monkeypatch.setattr(clips, "OBJECTS", 0.0)
    monkeypatch.setattr(clips, "CUTS", 0.0)
    monkeypatch.setattr(clips, "BLURRED", 0.0)
    monkeypatch.setattr(clips, "_light", lambda rng, count: np.ones(count))


def test_a_still_scene_is_the_same_in_each_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, Motion(np.zeros((FRAMES, 2))))
    clip = clips.clip(np.random.default_rng(0), waves, FRAMES, SIDE)
    assert clip.shape == (FRAMES, SIDE, SIDE, 3)
    assert (clip == clip[0]).all()
    assert np.ptp(clip) > 100


@pytest.mark.parametrize("shift", [(2, 0), (0, 3), (-1, 2)])
def test_a_scene_moves_as_it_is_told(
    shift: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shift says where the pixels of a frame come from."""
    only(monkeypatch, Motion(np.outer(np.arange(FRAMES), shift).astype(float)))
    clip = clips.clip(np.random.default_rng(0), waves, FRAMES, SIDE).astype(int)
    for time in range(1, FRAMES):
        back = np.roll(clip[time], np.array(shift) * time, axis=(0, 1))
        inner = np.s_[16:-16, 16:-16]
        assert np.abs(back - clip[0])[inner].max() <= 3


def test_half_a_pixel_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, Motion(np.array([[0, 0], [0, 0.5], [0, 1.0]])))
    clip = clips.clip(np.random.default_rng(0), waves, 3, SIDE).astype(float)
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(clip[1] - (clip[0] + clip[2]) / 2)[inner].mean() < 1


def test_objects_cuts_and_light_come_in_clips(photos: Path) -> None:
    """Of many clips, some are still, most are not, and some are cut."""
    images = open_images(str(photos), SIDE, 0)
    source = ClipBatches(images, None, noise.parse("gaussian:25"), 1, SIDE, FRAMES, seed=0)
    drawn = [source._clip(index)[1].astype(int) for index in range(80)]
    steps = np.array([[np.abs(np.diff(clip, axis=0)).mean((1, 2, 3)).max()] for clip in drawn])
    assert 4 <= (steps == 0).sum() <= 40
    assert (steps > 20).sum() >= 2


def test_a_batch_is_a_function_of_the_step(photos: Path) -> None:
    def source() -> ClipBatches:
        images = open_images(str(photos), SIDE, 0)
        kinds = noise.parse("0.5*gaussian:5-50 + 0.5*camera:level=2-40")
        return ClipBatches(images, None, kinds, 3, SIDE, FRAMES, seed=5)

    first = source()
    for step in range(3):
        before = first.at(step)
    again = source().at(2)
    for one, other in zip(before, again, strict=True):
        np.testing.assert_array_equal(one, other)
    noisy, target, counts, led, strips = again
    assert noisy.shape == target.shape == (3, FRAMES, SIDE, SIDE, 3)
    assert counts.shape == led.shape == (3,)
    assert strips.shape == (3, 4)
    assert counts.min() >= 1


def test_noise_of_a_clip_has_one_strength_and_is_new_in_each_frame() -> None:
    clean = np.full((FRAMES, SIDE, SIDE, 3), 120, np.uint8)
    rng = np.random.default_rng(0)
    deviations = []
    for _ in range(10):
        noisy, target = add_noise(clean, noise.parse("gaussian:5-50"), rng)
        np.testing.assert_array_equal(target, clean)
        errors = noisy.astype(float) - clean
        each = errors.std((1, 2, 3))
        assert np.ptp(each) < 0.05 * each.mean()
        deviations.append(each.mean())
        together = np.corrcoef(errors.reshape(FRAMES, -1))
        assert np.abs(together - np.eye(FRAMES)).max() < 0.05
    assert np.ptp(deviations) > 10


def test_held_out_clips_are_always_the_same() -> None:
    photos = [waves(np.random.default_rng(0), 200), waves(np.random.default_rng(0), 150)]
    one, other = (held_out_clips(photos, None, FRAMES, SIDE, 4) for _ in range(2))
    assert [clip.shape for clip in one] == [(FRAMES, SIDE, SIDE, 3)] * 4
    np.testing.assert_array_equal(one, other)
