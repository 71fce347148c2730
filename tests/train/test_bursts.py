"""Several shots of a still scene: in line, masked where something moves, and as targets."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.errors import DataError
from edgecae_train.data import alignment
from edgecae_train.data.alignment import align, find_shift
from edgecae_train.data.bursts import Burst, find_bursts, held_out_pair, open_bursts, still_window
from edgecae_train.data.scenes import ScenePatches


def shots_of(
    photo: NDArray[np.uint8], count: int, sigma: float = 12, seed: int = 0, grain: int = 1
) -> NDArray[np.uint8]:
    """Shots with noise that is the mean of ``grain`` × ``grain`` pixels of white noise."""
    rng = np.random.default_rng(seed)
    height, width = photo.shape[:2]
    white = rng.standard_normal((count, height + grain - 1, width + grain - 1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(white, (grain, grain), (1, 2))
    return np.clip(np.rint(photo + sigma * grain * windows.mean((-1, -2))), 0, 255).astype(np.uint8)


def save_scenes(folder: Path, photos: Path, count: int = 4) -> Path:
    for index, path in enumerate(sorted(photos.glob("*.png"))):
        clean = np.array(Image.open(path).convert("RGB"))
        (folder / path.stem).mkdir(parents=True)
        for number, shot in enumerate(shots_of(clean, count, seed=index)):
            Image.fromarray(shot).save(folder / path.stem / f"{number}.png")
    return folder


@pytest.mark.parametrize(("sigma", "grain"), [(5, 1), (40, 1), (8, 3)])
def test_shifts_are_found_and_undone(photo: NDArray[np.uint8], sigma: float, grain: int) -> None:
    places = [(4, 4), (1, 7), (4, 4), (8, 0), (5, 3)]
    shots = np.concatenate(
        [
            shots_of(photo[y : y + 132, x : x + 132], 1, sigma, seed, grain)
            for seed, (y, x) in enumerate(places)
        ]
    )
    for (y, x), shot in zip(places, shots, strict=True):
        rows, columns, rest = find_shift(shots[0], shot)
        assert (rows, columns) == (4 - y, 4 - x)
        assert rest < 0.2
    aligned = align(shots)
    assert aligned.used == (0, 1, 2, 3, 4)
    assert aligned.shots.shape == (5, 125, 125, 3)
    # What all shots show, from the first one: rows 4 to 129 of the photo at (4, 4).
    common = photo[8:133, 7:132]
    first, mean = aligned.shots[0].astype(float), aligned.shots.mean(0)
    assert np.abs(mean - common).mean() < 0.75 * np.abs(first - common).mean()


def test_a_part_of_a_pixel_leaves_a_shot_out(photo: NDArray[np.uint8]) -> None:
    half = ((photo[:, 1:].astype(np.float32) + photo[:, :-1]) / 2).astype(np.uint8)
    shots = np.concatenate([shots_of(photo[:, :-1], 3), shots_of(half, 1, seed=1)])
    aligned = align(shots)
    assert aligned.used == (0, 1, 2)
    assert list(aligned.left_out) == [3]
    assert find_shift(shots[0], shots[3])[2] == pytest.approx(0.5, abs=0.1)


def test_a_flat_scene_is_not_shifted() -> None:
    flat = np.full((96, 96, 3), 120, np.uint8)
    first, second = shots_of(flat, 2)
    assert find_shift(first, second)[:2] == (0, 0)


@pytest.mark.parametrize("grain", [1, 3])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_what_moves_is_masked(photo: NDArray[np.uint8], count: int, grain: int) -> None:
    shots = shots_of(photo, count, grain=grain)
    assert alignment.moving_blocks(shots).mean() < 0.02
    moved = shots.copy()
    moved[1, 40:72, 48:80] = shots_of(photo[100:132, 8:40], 1, seed=5, grain=grain)[0]
    mask = alignment.moving_blocks(moved)
    assert mask[1, 40:72, 48:80].mean() > 0.95
    if count > 2:  # of two shots, nobody knows in which one it moved
        assert mask[1].mean() < 0.2
        assert mask[2:].mean() < 0.1


def test_the_target_is_the_mean_of_the_other_shots_where_they_are_still() -> None:
    shots = np.stack([np.full((16, 16, 3), v, np.uint8) for v in (10, 20, 30, 200)])
    still = np.ones(shots.shape[:3], bool)
    still[3, :8] = False
    noisy, target, counts = Burst(shots, still).pair(0)
    assert (noisy == 10).all()
    assert (target[:8] == 25).all()
    assert (target[8:] == 83).all()
    assert counts.all()
    _, _, counts = Burst(shots, still).pair(3)
    assert not counts[:8].any()
    assert counts[8:].all()


def test_what_black_and_white_cut_is_not_in_the_target() -> None:
    """Noise cut at black has a mean above it; a network would learn this as the picture."""
    rng = np.random.default_rng(0)
    clean = np.repeat(np.array([0, 2, 5, 128, 250, 255], np.uint8), 64)[None, :, None]
    clean = np.broadcast_to(clean, (64, 384, 3))
    shots = np.stack([noise.gaussian(6).add(clean, rng) for _ in range(8)])
    still = np.ones(shots.shape[:3], bool)

    def off(declipped: bool) -> np.ndarray:
        pairs = [Burst(shots, still, declipped).pair(shot) for shot in range(8)]
        change = np.mean([target.astype(float) - clean for _, target, _ in pairs], axis=0)
        return np.abs(change.mean((0, 2)).reshape(6, 64).mean(1))

    assert off(False).max() > 2
    assert off(True).max() < 1.1


def test_no_shot_is_in_its_own_target(photos: Path, tmp_path: Path) -> None:
    """The noise of a patch and that of its target know nothing of each other."""
    flat = np.full((64, 64, 3), 128, np.uint8)
    for scene in "ab":
        (tmp_path / scene).mkdir()
        for number, shot in enumerate(shots_of(flat, 4, seed=ord(scene))):
            Image.fromarray(shot).save(tmp_path / scene / f"{number}.png")
    patches = ScenePatches(open_bursts(str(tmp_path), 32, 0), 16, 32, seed=0)
    noisy, target, counts = patches.at(0)
    assert counts.shape == (16, 32, 32, 1)
    here = counts[..., 0] == 1
    assert abs(np.corrcoef(noisy[here].ravel(), target[here].ravel())[0, 1]) < 0.03
    assert target[here].std() == pytest.approx(12 / np.sqrt(3), rel=0.1)


def test_validation_is_where_nothing_moves(photo: NDArray[np.uint8]) -> None:
    moving = np.zeros((100, 120), bool)
    moving[:, 60:64] = True
    top, left, side = still_window(moving, 512, 32)
    assert side >= 50
    assert not moving[top : top + side, left : left + side].any()
    moving[::20] = True
    assert still_window(moving, 512, 32) is None
    still = ~np.broadcast_to(moving, (2, 100, 120))
    assert held_out_pair(Burst(np.zeros((2, 100, 120, 3), np.uint8), still), 32) is None


def test_scenes_of_a_folder(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_scenes(tmp_path / "bursts", photos, 2)
    (folder / "alone").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "alone" / "0.png")
    with caplog.at_level(logging.WARNING):
        bursts = open_bursts(str(folder), 32, 0)
    assert "alone holds 1 shots" in caplog.text
    names = [[files.name for files in part] for part in (bursts.training, bursts.validation)]
    assert (len(names[0]), len(names[1])) == (5, 1)
    Image.new("RGB", (64, 60)).save(folder / "hat" / "odd.png")
    with pytest.raises(DataError, match=r"odd.png is 64×60 and .*0.png is 160×110"):
        find_bursts(folder)


def test_no_scene(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no scene: each needs a folder of its own"):
        find_bursts(photos)
    with pytest.raises(DataError, match="'nowhere' is no folder"):
        find_bursts(Path("nowhere"))
