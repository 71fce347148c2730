"""Noisy and clean pictures that belong together, and trainings on them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.errors import DataError
from edgecae.media import images
from edgecae_train.data.names import find_pairs, held_out_scenes
from edgecae_train.data.pairs import open_pairs
from edgecae_train.data.scenes import MAX_SIDE, ScenePatches


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture
def six(photos: Path, tmp_path: Path) -> Path:
    """Six pairs of three scenes."""
    for index, path in enumerate(sorted(photos.glob("*.png"))):
        clean = np.array(Image.open(path).convert("RGB"))
        noisy = noise.gaussian(20).add(clean, np.random.default_rng(index))
        name = f"{'abc'[index // 2]}_{index}"
        save(tmp_path / "pairs" / f"{name}_clean.png", clean)
        save(tmp_path / "pairs" / f"{name}_noisy.png", noisy)
    return tmp_path / "pairs"


@pytest.mark.parametrize(
    ("noisy", "clean", "scene"),
    [
        ("x_noisy.png", "x_clean.png", "/x"),
        ("room_7_real.JPG", "room_7_mean.JPG", "/room"),
        ("noisy/x.png", "clean/x.jpg", "/x"),
        ("a/Noisy/x-2.png", "a/GT/x-2.png", "a/x"),
        ("NOISY_SRGB_010.PNG", "GT_SRGB_010.PNG", "/SRGB"),
        ("0001_NOISY_SRGB_010.PNG", "0001_GT_SRGB_010.PNG", "/0001_SRGB"),
        ("real_madrid_noisy.png", "real_madrid_clean.png", "/real_madrid"),
        ("noisy.png", "clean.png", "/"),
        ("scene 1/input.png", "scene 1/target.png", "scene 1/"),
    ],
)
def test_accepted_spellings(noisy: str, clean: str, scene: str, tmp_path: Path) -> None:
    flat = np.zeros((8, 8, 3), np.uint8)
    for name in (noisy, clean, "other_noisy.png", "other_clean.png"):
        save(tmp_path / name, flat)
    found = find_pairs(tmp_path)
    assert (tmp_path / noisy, tmp_path / clean, scene) in [
        (pair.noisy, pair.clean, pair.scene) for pair in found
    ]
    assert len(found) == 2


def test_what_did_not_pair_is_named(six: Path) -> None:
    (six / "a_0_clean.png").unlink()
    shutil.copy(six / "a_1_clean.png", six / "holiday.png")
    with pytest.raises(DataError, match=r"2 pictures in .* have no partner") as caught:
        find_pairs(six)
    assert "a_0_noisy.png (no clean one)" in str(caught.value)
    assert "holiday.png (no word says which it is)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_pictures_for_one_place_are_refused(six: Path) -> None:
    shutil.copy(six / "a_0_clean.png", six / "a_0_gt.png")
    with pytest.raises(DataError, match=r"a_0_clean.png and .*a_0_gt.png are both the clean"):
        find_pairs(six)


def test_pairs_of_different_size_are_refused_by_name(six: Path) -> None:
    save(six / "b_2_clean.png", np.zeros((100, 90, 3), np.uint8))
    with pytest.raises(DataError, match=r"b_2_noisy.png is 144×144 and .*b_2_clean.png is 90×100"):
        find_pairs(six)


def test_a_damaged_picture_is_skipped_and_named(
    six: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (six / "a_0_noisy.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert len(find_pairs(six)) == 5
    assert "a_0_noisy.png" in caplog.text


def test_whole_scenes_are_held_out(six: Path) -> None:
    pairs = open_pairs(str(six), 32, 0)
    scenes = [{pair.scene for pair in part} for part in (pairs.training, pairs.validation)]
    assert len(scenes[1]) == 1
    assert len(pairs.validation) == 2
    assert scenes[0].isdisjoint(scenes[1])
    assert held_out_scenes(["one"] * 5) == frozenset()
    assert held_out_scenes(["large"] * 30 + ["small"] * 2) == {"small"}


def test_names_that_all_say_one_scene(six: Path) -> None:
    for path in six.glob("*"):
        path.rename(six / path.name[2:])
    pairs = open_pairs(str(six), 32, 0)
    assert (len(pairs.training), len(pairs.validation)) == (5, 1)


def test_patches_show_the_same_place_of_both_pictures(tmp_path: Path) -> None:
    """The clean picture is the noisy one, inverted, so that every pixel tells."""
    rng = np.random.default_rng(0)
    for name in "ab":
        noisy = rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)
        save(tmp_path / f"{name}_noisy.png", noisy)
        save(tmp_path / f"{name}_clean.png", 255 - noisy)
    patches = ScenePatches(open_pairs(str(tmp_path), 32, 0), 8, 32, seed=1)
    noisy, clean = patches.at(5)
    assert noisy.shape == clean.shape == (8, 32, 32, 3)
    assert np.array_equal(noisy, 255 - clean)
    assert len({patch.tobytes() for patch in noisy}) == 8
    again = ScenePatches(open_pairs(str(tmp_path), 32, 0), 8, 32, seed=1)
    assert np.array_equal(noisy, again.at(5)[0])


def test_large_pictures_are_used_through_windows(tmp_path: Path) -> None:
    ramp = np.arange(3000, dtype=np.uint16)[None, :, None] % 251
    wide = np.broadcast_to(ramp, (64, 3000, 3)).astype(np.uint8)
    for name in "ab":
        save(tmp_path / f"{name}_noisy.png", wide)
        save(tmp_path / f"{name}_clean.png", wide)
    pairs = open_pairs(str(tmp_path), 32, 0)
    loaded = [pairs.load(index) for index in range(4)]
    assert {pair.noisy.shape for pair in loaded} == {(64, MAX_SIDE, 3)}
    assert all(np.array_equal(pair.noisy, pair.clean) for pair in loaded)
    assert len({int(pair.noisy[0, 0, 0]) for pair in loaded}) > 1
    # What is kept is the window alone, not the picture that it was cut from.
    assert all(pair.noisy.base is None or pair.noisy.base.shape[1] <= 1024 for pair in loaded)


def test_pairs_without_a_place_to_validate_on(six: Path) -> None:
    for path in six.glob("[bc]*"):
        path.unlink()
    (six / "a_1_noisy.png").unlink()
    (six / "a_1_clean.png").unlink()
    with pytest.raises(DataError, match="holds 1 pairs of pictures; training needs at least two"):
        open_pairs(str(six), 32, 0)
    with pytest.raises(DataError, match="'nowhere' is no folder"):
        open_pairs("nowhere", 32, 0)


def test_sizes_come_from_headers(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "hat.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert images.read_size(photos / "hat.png") == (110, 160)
    assert images.read_size(tmp_path / "cut.png") == (110, 160)
