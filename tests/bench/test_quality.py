"""Quality: the protocol, counted by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edgecae import Denoiser
from edgecae.bench import methods, quality
from edgecae.errors import SourceError
from edgecae.media import images
from edgecae.quality import mse, psnr, ssim


def folder(tmp_path: Path, *pictures: np.ndarray) -> Path:
    for number, picture in enumerate(pictures):
        images.write(tmp_path / "set" / f"{number}.png", images.Picture(picture))
    return tmp_path / "set"


def by_hand(clean: list[np.ndarray], sigma: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(np.rint(c + sigma * rng.standard_normal(c.shape)), 0, 255).astype(np.uint8)
        for c in clean
    ]


@pytest.mark.slow
def test_the_protocol(tmp_path: Path, photo: np.ndarray) -> None:
    clean = [photo, photo[:100, :90].copy()]
    names = ("noisy", "nano", "nano:float")
    found, strip, failed = quality.measure_quality(
        {name: methods.find_method(name) for name in names},
        [quality.read_set(folder(tmp_path, *clean))],
        [5, 25],
    )
    assert not failed
    assert [(q.method, q.sigma) for q in found] == [(n, s) for s in (5, 25) for n in names]
    noisy = by_hand(clean, 25)
    row = found[3]
    assert row.images == 2
    assert row.set == "set"
    pairs = list(zip(clean, noisy, strict=True))
    assert row.psnr == pytest.approx(np.mean([psnr(a, b) for a, b in pairs]), abs=1e-4)
    assert row.ssim == pytest.approx(np.mean([ssim(a, b) for a, b in pairs]), abs=1e-5)
    assert row.mse == pytest.approx(np.mean([mse(a, b) for a, b in pairs]), abs=1e-3)
    with Denoiser("nano") as denoiser:
        int8 = [denoiser.process(frame) for frame in noisy]
    got = found[4]
    assert got.psnr == pytest.approx(np.mean([psnr(*p) for p in zip(clean, int8, strict=True)]),
                                     abs=1e-4)  # fmt: skip
    assert got.float_method == "nano:float"
    assert got.psnr_to_float is not None
    assert 40 < got.psnr_to_float < 70
    assert got.mse_to_float == pytest.approx(255**2 / 10 ** (got.psnr_to_float / 10), rel=0.1)
    assert found[5].float_method is None
    assert strip is not None
    assert strip.sigma == 25
    assert list(strip.crops)[:2] == ["clean", "noisy"]
    assert {crop.shape for crop in strip.crops.values()} == {(128, 128, 3)}


def test_no_error_at_all_has_no_decibels(tmp_path: Path, photo: np.ndarray) -> None:
    clean = quality.read_set(folder(tmp_path, photo))
    (row,), _, _ = quality.measure_quality({"noisy": methods.find_method("noisy")}, [clean], [0])
    assert row.psnr is None
    assert (row.ssim, row.mse) == (1.0, 0.0)


def test_gray_pictures_count_as_colour(tmp_path: Path, photo: np.ndarray) -> None:
    clean = quality.read_set(folder(tmp_path, photo[..., 0].copy()))
    assert clean.groups[0][0].shape == photo.shape


def test_what_looks_at_several_frames_needs_a_clip(tmp_path: Path, photo: np.ndarray) -> None:
    clean = quality.read_set(folder(tmp_path, photo, photo))
    every = {name: methods.find_method(name) for name in ("noisy", "ffmpeg-atadenoise")}
    found, _, failed = quality.measure_quality(every, [clean], [25])
    assert [row.method for row in found] == ["noisy"]
    assert "measure it on a clip" in failed["ffmpeg-atadenoise on set at σ 25"]


def test_on_a_clip_it_has_its_neighbours(photo: np.ndarray) -> None:
    clip = quality.ImageSet("still", ((photo,) * 9,))
    every = {name: methods.find_method(name) for name in ("noisy", "ffmpeg-atadenoise")}
    (noisy, filtered), _, failed = quality.measure_quality(every, [clip], [25])
    assert not failed
    assert noisy.psnr is not None
    assert filtered.psnr is not None
    assert filtered.psnr > noisy.psnr + 2
    assert filtered.images == 9


def test_a_clip_over_time_counted_by_hand(photo: np.ndarray) -> None:
    """A scene that moves by two pixels a frame."""
    gray = photo // 3 + np.uint8(85)  # so that no noise is cut
    moving = tuple(np.roll(gray, 2 * number, axis=1) for number in range(12))
    every = {"noisy": methods.find_method("noisy"), "nano": methods.find_method("nano")}
    noisy, nano = quality.measure_quality(every, [quality.ImageSet("pan", (moving,))], [20])[0]
    given = by_hand(list(moving), 20)
    assert noisy.over_time is not None
    expected = [psnr(a, b) for a, b in zip(moving, given, strict=True)]
    np.testing.assert_allclose(np.array(noisy.over_time.psnr, float), expected, atol=1e-4)
    errors = [b.astype(float) - a for a, b in zip(moving, given, strict=True)]
    changes = [np.sqrt(np.mean(np.square(b - a))) for a, b in itertools.pairwise(errors)]
    assert noisy.over_time.flicker == pytest.approx(np.mean(changes), abs=1e-4)
    assert noisy.over_time.flicker == pytest.approx(20 * np.sqrt(2), rel=0.01)
    assert nano.over_time is not None
    assert nano.over_time.flicker < 0.5 * noisy.over_time.flicker
    assert len(nano.over_time.psnr) == 12


def test_pictures_have_no_time(tmp_path: Path, photo: np.ndarray) -> None:
    clean = quality.read_set(folder(tmp_path, photo, photo))
    (row,), _, _ = quality.measure_quality({"noisy": methods.find_method("noisy")}, [clean], [9])
    assert row.over_time is None


def test_tables_show_the_first_the_tenth_and_the_last_frame() -> None:
    assert quality.shown_frames(40) == [0, 9, 39]
    assert quality.shown_frames(10) == [0, 9]
    assert quality.shown_frames(5) == [0, 4]


def test_a_clip_is_one_group_and_a_folder_is_not() -> None:
    clip = quality.read_set(Path("test:64x48@30?frames=3"))
    assert [len(group) for group in clip.groups] == [3]
    with pytest.raises(SourceError, match="no such file"):
        quality.read_set(Path("nowhere"))


def test_a_set_is_measured_whole_or_not_at_all(tmp_path: Path, photo: np.ndarray) -> None:
    photos = folder(tmp_path, photo)
    (photos / "bad.png").write_bytes(b"none")
    with pytest.raises(SourceError, match="1 of its pictures"):
        quality.read_set(photos)


def test_the_crop_lies_where_the_detail_is() -> None:
    frame = np.full((300, 400, 3), 90, np.uint8)
    frame[130:290, 200:390] = np.random.default_rng(0).integers(0, 256, (160, 190, 3))
    rows, columns = quality._place(frame)
    assert 128 <= rows.start <= 192
    assert 192 <= columns.start <= 272
