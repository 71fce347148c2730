"""Clips that are cut from videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import make_clip
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.errors import DataError
from edgecae_train.data import videos
from edgecae_train.data.clip_batches import RECORDED, ClipBatches
from edgecae_train.data.images import open_images
from edgecae_train.data.videos import VideoFrames, followed, open_videos

Pixels = NDArray[np.uint8]
SIDE, FRAMES = 64, 6


@pytest.fixture(scope="module")
def scene() -> Pixels:
    """Something to look at everywhere, larger than the frames, 260×360×3."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (26, 36, 3), dtype=np.uint8))
    return np.asarray(small.resize((360, 260), Image.Resampling.BICUBIC))


def panned(scene: Pixels, step: tuple[int, int], count: int = FRAMES) -> Pixels:
    """Frames of 200×280 of a scene that a camera pans over."""
    places = 20 + np.outer(np.arange(count), step)
    return np.stack([scene[top : top + 200, left : left + 280] for top, left in places])


def numbered(path: Path, count: int, codec: str = "ffv1", pix_fmt: str = "bgr0") -> Path:
    """A video whose frames tell their number by their brightness, 2 levels each."""
    frames = [np.full((80, 96, 3), 10 + 2 * index, np.uint8) for index in range(count)]
    return make_clip(path, frames, codec=codec, pix_fmt=pix_fmt)


def folder_of(path: Path, *names: str) -> Path:
    """A folder of numbered videos of 20 frames."""
    path.mkdir(exist_ok=True)
    for name in names:
        numbered(path / name, 20)
    return path


@pytest.mark.parametrize("step", [(0, 0), (2, 3), (-1, 4), (3, 0)])
@pytest.mark.parametrize("most", [160, 384])
def test_what_follows_the_camera_stands_still(
    scene: Pixels, step: tuple[int, int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "MAX_SIDE", most)
    frames = panned(scene, step)
    seen = [200 - 5 * abs(step[0]), 280 - 5 * abs(step[1])]  # by all frames
    for rng in (None, np.random.default_rng(0)):
        shot = followed(frames, SIDE, rng)
        assert shot.shape == (FRAMES, min(most, seen[0]), min(most, seen[1]), 3)
        assert (shot == shot[0]).all()


def test_what_moves_by_itself_moves_in_the_shot(
    scene: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "MAX_SIDE", 160)
    frames = panned(scene, (0, 3))
    for time, frame in enumerate(frames):
        frame[90:110, 120 + 5 * time : 140 + 5 * time] = 255
    changes = np.abs(np.diff(followed(frames, SIDE, None).astype(int), axis=0)).max(-1) > 0
    assert 0 < changes.mean() < 0.1


def test_a_window_stays_inside_where_the_camera_goes_far(scene: Pixels) -> None:
    frames = panned(scene, (3, 6), 9)  # all of them show 24 rows and 48 columns less
    assert followed(frames, 190, None).shape == (9, 190, 232, 3)


@pytest.mark.parametrize(
    ("name", "codec"), [("x.mkv", "libx264"), ("x.mp4", "libx264"), ("x.ts", "mpeg2video")]
)
def test_shots_begin_anywhere_between_key_frames(tmp_path: Path, name: str, codec: str) -> None:
    """All frames of these videos but the first, or every twelfth, hang on those before them."""
    path = numbered(tmp_path / name, 100, codec, "yuv420p")
    begins = set()
    for seed in range(12):
        shot = videos._read(path, FRAMES, np.random.default_rng(seed)).mean((1, 2, 3))
        assert np.diff(shot) == pytest.approx(2, abs=2.2)
        begins.add(round((shot[0] - 10) / 2))
    assert len(begins) > 4  # of a transport stream, at key frames alone
    assert max(begins) - min(begins) > 40
    middle = videos._read(path, FRAMES, None).mean((1, 2, 3))
    assert (middle[0] - 10) / 2 == pytest.approx(47, abs=12 if codec == "mpeg2video" else 2)


def test_a_video_that_cannot_be_searched_is_read_from_its_first_frame(tmp_path: Path) -> None:
    raw = numbered(tmp_path / "x.h264", 30, "libx264", "yuv420p")
    shot = videos._read(raw, FRAMES, np.random.default_rng(0)).mean((1, 2, 3))
    assert np.diff(shot) == pytest.approx(2, abs=1.2)


def test_a_place_without_a_key_frame_after_it_is_given_up(tmp_path: Path) -> None:
    path = numbered(tmp_path / "x.ts", 60, "libx264", "yuv420p")  # the first alone is one
    shot = videos._read(path, FRAMES, None).mean((1, 2, 3))
    assert shot == pytest.approx(10 + 2 * np.arange(FRAMES), abs=1.2)


def test_large_frames_are_averaged_down(tmp_path: Path) -> None:
    checks = np.zeros((802, 1200, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 200
    make_clip(tmp_path / "x.mkv", [checks] * 2)
    shot = videos._read(tmp_path / "x.mkv", 2, None)
    assert shot.shape == (2, 400, 600, 3)
    assert (shot == 100).all()


def test_half_of_the_clips_are_cut_from_videos(tmp_path: Path, photos: Path) -> None:
    found = open_videos(folder_of(tmp_path, "a.mkv", "b.mkv"), FRAMES, FRAMES, SIDE, 0)
    images = open_images(str(photos), SIDE, 0)

    def source() -> ClipBatches:
        return ClipBatches(images, found, noise.parse("gaussian:25"), 2, SIDE, FRAMES, seed=1)

    clips = [source()._clip(index)[1] for index in range(30)]
    recorded = [clip for clip in clips if (np.ptp(clip, (1, 2)) == 0).all()]
    assert len(recorded) / len(clips) == pytest.approx(RECORDED, abs=0.3)
    for clip in recorded:
        assert clip.shape == (FRAMES, SIDE, SIDE, 3)
        assert (np.diff(clip[:, 0, 0, 0].astype(int)) == 2).all()
    for one, other in zip(source().at(3), source().at(3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_of_videos_alone_single_frames_are_the_photos(tmp_path: Path) -> None:
    found = open_videos(folder_of(tmp_path, "a.mkv", "b.mkv"), FRAMES, 12, SIDE, 0)
    assert found
    assert len(found.training) == len(found.validation) == 1
    frames = VideoFrames(found)
    seen = {frames.load(index)[0, 0, 0] for index in range(8)}
    assert seen <= set(range(10, 50, 2))
    assert len(seen) > 3
    assert [frame.shape for frame in frames.held_out()] == [(80, 96, 3)]
    (clip,) = found.held_out(12, SIDE)
    assert clip.shape == (12, SIDE, SIDE, 3)


def test_what_is_no_use_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder_of(tmp_path, "a.mkv", "b.mkv")
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    numbered(tmp_path / "short.mkv", 4)
    make_clip(tmp_path / "small.mkv", [np.zeros((40, 50, 3), np.uint8)] * 20)
    (tmp_path / "notes.txt").write_text("not looked at")
    found = open_videos(tmp_path, FRAMES, 12, SIDE, 0)
    assert found
    assert {path.name for path in (*found.training, *found.validation)} == {"a.mkv", "b.mkv"}
    for said in ("broken.mp4 is neither", "short.mkv has 4 frames", "small.mkv has 40 pixels"):
        assert said in caplog.text
    assert "notes.txt" not in caplog.text


def test_one_video_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 usable videos; training needs at least two"):
        open_videos(folder_of(tmp_path, "a.mkv"), FRAMES, 12, SIDE, 0)
    assert open_videos(folder_of(tmp_path / "none"), FRAMES, 12, SIDE, 0) is None


def test_a_folder_to_validate_on(tmp_path: Path) -> None:
    data, other = folder_of(tmp_path / "a", "a.mkv"), folder_of(tmp_path / "b", "b.mkv")
    found = open_videos(data, FRAMES, 12, SIDE, 0, str(other))
    assert found
    assert [path.name for path in found.training] == ["a.mkv"]
    assert [path.name for path in found.validation] == ["b.mkv"]
