from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecae import noise
from edgecae.errors import DataError, RecipeError
from edgecae_train.data import batches as data
from edgecae_train.data import flat, patterns, photo_window, synthetic, textures
from edgecae_train.data.batches import Batches, prefetch
from edgecae_train.data.images import Folder, open_images

NOISE = noise.parse("gaussian:0-55")


@pytest.fixture
def folder(photos: Path, tmp_path: Path) -> Path:
    """Pictures at two depths, among files that are none."""
    deep = tmp_path / "deep" / "er"
    deep.mkdir(parents=True)
    for index, file in enumerate(sorted(photos.glob("*.png"))):
        shutil.copy(file, (deep if index % 2 else tmp_path) / file.name)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no JPEG")
    whole = (photos / "hat.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (16, 16)).save(tmp_path / "tiny.png")
    (tmp_path / "notes.txt").write_text("not for training")
    return tmp_path


def test_unusable_files_are_named_and_skipped(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "edgecae"):
        logging.getLogger("edgecae").propagate = True
        images = open_images(str(folder), 32, 0)
    assert isinstance(images, Folder)
    assert len(images.training) + len(images.validation) == 6
    for name in ("broken.jpg", "cut.png", "tiny.png"):
        assert name in caplog.text
    assert "notes.txt" not in caplog.text


def test_a_name_that_is_no_utf8(folder: Path, photos: Path) -> None:
    """As old archives and cameras leave them: bytes that are no text."""
    name = os.fsdecode(b"gr\xfcn.png")
    shutil.copy(photos / "hat.png", folder / name)
    images = open_images(str(folder), 32, 0)
    assert isinstance(images, Folder)
    assert name in [path.name for path in (*images.training, *images.validation)]
    assert len(images.fingerprint) == 64


def test_held_out_images_are_never_trained_on(folder: Path) -> None:
    images = open_images(str(folder), 32, 0)
    assert isinstance(images, Folder)
    assert not set(images.training) & set(images.validation)
    assert images.validation == open_images(str(folder), 32, 99).validation  # type: ignore[attr-defined]
    seen = {images.load(index).tobytes() for index in range(20)}
    assert not seen & {image.tobytes() for image in images.held_out()}


def test_photos_of_another_folder_are_validated_on(tmp_path: Path, photos: Path) -> None:
    held_out = tmp_path / "held-out"
    held_out.mkdir()
    names = sorted(p.name for p in photos.glob("*.png"))[:2]
    for name in names:
        (held_out / name).symlink_to(photos / name)
    images = open_images(str(photos), 32, 0, str(held_out))
    assert [path.name for path in images.validation] == names  # type: ignore[attr-defined]
    # What is in both folders is not trained on.
    assert not {path.name for path in images.training} & set(names)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="neither a folder"):
        open_images(str(photos), 32, 0, str(tmp_path / "missing"))


@pytest.mark.parametrize("what", ["missing", "empty", "one image"])
def test_too_little_data_is_an_error(photos: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "data"
    if what != "missing":
        path.mkdir()
    if what == "one image":
        shutil.copy(photos / "hat.png", path)
    with pytest.raises(DataError):
        open_images(str(path), 32, 0)


def test_a_batch_is_a_function_of_seed_and_step(photos: Path) -> None:
    first, second = (
        Batches(open_images(str(photos), 32, 3), NOISE, 4, 32, seed=3) for _ in range(2)
    )
    in_order = [first.at(step) for step in range(6)]
    for step in (5, 2, 0):  # in another order, from a fresh start
        for a, b in zip(in_order[step], second.at(step), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(in_order[0][0], in_order[1][0])
    other = Batches(open_images(str(photos), 32, 3), NOISE, 4, 32, seed=3, shard=1).at(0)
    assert not np.array_equal(in_order[0][1], other[1])


def test_noise_is_fresh_and_patches_are_turned(photos: Path) -> None:
    whole = np.array(Image.open(photos / "face.png").convert("RGB"))
    corner = whole[:32, :32]

    class One:
        window = 1

        def load(self, index: int) -> np.ndarray:
            return corner

        def held_out(self) -> list[np.ndarray]:
            return []

    noisy, clean = Batches(One(), NOISE, 64, 32, seed=0).at(0)
    turned = {
        np.ascontiguousarray(v).tobytes()
        for t in (corner, corner.transpose(1, 0, 2))
        for v in (t, t[::-1], t[:, ::-1], t[::-1, ::-1])
    }
    assert {patch.tobytes() for patch in clean} == turned
    errors = noisy.astype(int) - clean
    assert len({e.tobytes() for e in errors}) == 64


def test_the_window_moves_and_stays_small() -> None:
    class Endless:
        window = 2

        def load(self, index: int) -> np.ndarray:
            return np.full((40, 40, 3), index, np.uint8)

        def held_out(self) -> list[np.ndarray]:
            return []

    batches = Batches(Endless(), NOISE, 1, 32, seed=0)
    for step in range(0, 5 * data.TURNOVER, data.TURNOVER // 2):
        batches.at(step)
    assert len(batches._photos._held) <= 4
    assert max(batches._photos._held) >= 4


def test_prefetch_gives_the_same_in_order(photos: Path) -> None:
    batches = Batches(open_images(str(photos), 32, 0), NOISE, 2, 32, seed=0)
    with prefetch(batches, 3, 8) as items:
        got = [noisy for noisy, _ in items]
    again = Batches(open_images(str(photos), 32, 0), NOISE, 2, 32, seed=0)
    assert len(got) == 5
    for step, noisy in zip(range(3, 8), got, strict=True):
        np.testing.assert_array_equal(noisy, again.at(step)[0])


def test_an_error_while_loading_reaches_the_training() -> None:
    class Broken:
        window = 1

        def load(self, index: int) -> np.ndarray:
            raise DataError("gone")

        def held_out(self) -> list[np.ndarray]:
            return []

    with (
        pytest.raises(DataError, match="gone"),
        prefetch(Batches(Broken(), NOISE, 1, 32, seed=0), 0, 3) as items,
    ):
        next(items)


@pytest.mark.slow
def test_generated_images_are_repeatable_and_differ() -> None:
    a, b, c = synthetic.generate(1, 5), synthetic.generate(1, 5), synthetic.generate(1, 6)
    np.testing.assert_array_equal(a, b)
    assert a.shape == (synthetic.SIZE, synthetic.SIZE, 3)
    assert not np.array_equal(a, c)


@pytest.mark.slow
def test_generated_images_have_edges_and_a_natural_spectrum() -> None:
    """The power spectrum of natural images falls about as f⁻² (Field, 1987)."""
    slopes = []
    for index in range(6):
        gray = synthetic.generate(0, index).mean(2)
        power = np.abs(np.fft.fft2(gray - gray.mean())) ** 2
        f = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None])
        band = (f > 0.01) & (f < 0.08)
        slopes.append(np.polyfit(np.log(f[band]), np.log(power[band] + 1e-9), 1)[0])
    assert -3.5 < np.mean(slopes) < -1.2


def test_textures_are_fields_of_zero_mean_and_unit_deviation() -> None:
    rng = np.random.default_rng(0)
    fields = np.stack([textures.texture(rng, 64) for _ in range(40)])
    np.testing.assert_allclose(fields.mean((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(fields.std((1, 2)), 1, rtol=1e-3)
    neighbours = (fields[:, :, 1:] * fields[:, :, :-1]).mean((1, 2))
    assert np.mean(neighbours > 0.2) > 0.7, "most hang together, as noise does not"


def test_grain_is_more_of_brightness_than_of_colour() -> None:
    grain = textures.grain(np.random.default_rng(0), 64)
    assert grain.shape == (64, 64, 3)
    np.testing.assert_allclose([grain.mean(), grain.std()], [0, 1], atol=1e-3)
    brightness = grain.mean(2, keepdims=True)
    assert brightness.std() > (grain - brightness).std()


def test_patches_have_one_colour_or_a_few() -> None:
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(100):
        patch = flat.patch(rng, 32)
        assert (patch.shape, patch.dtype) == ((32, 32, 3), np.uint8)
        counts.append(len(np.unique(patch.reshape(-1, 3), axis=0)))
    assert 30 < counts.count(1) < 80
    assert max(counts) <= 1 + flat.MAX_AREAS
    again = flat.patch(np.random.default_rng(0), 32)
    np.testing.assert_array_equal(again, flat.patch(np.random.default_rng(0), 32))


def test_flat_colours_are_often_where_networks_err_most() -> None:
    """Nearly white or another corner, and saturated ones with a channel between."""
    rng = np.random.default_rng(0)
    colours = np.array([flat.colour(rng) for _ in range(2000)])
    corner = ((colours <= flat.NEAR) | (colours >= 255 - flat.NEAR)).all(1)
    near_white = ((colours >= 255 - flat.NEAR) & (colours < 255)).all(1)
    saturated = (colours.min(1) <= flat.NEAR) & (colours.max(1) >= 255 - flat.NEAR)
    assert flat.CORNER < corner.mean() < 0.6
    assert 0.02 < near_white.mean() < 0.06
    assert (saturated & ~corner).mean() > 0.3


def test_a_pattern_is_regular_and_lies_over_the_photo() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((96, 96, 3), 120, np.uint8)
    shares, ends = [], 0
    for _ in range(40):
        patch = patterns.over(rng, photo)
        assert (patch.shape, patch.dtype) == ((96, 96, 3), np.uint8)
        green = patch[..., 1].astype(float) - 120
        assert 1 < np.abs(green).max() < 60
        power = np.sort(np.abs(np.fft.rfft2(green)).ravel() ** 2)
        shares.append(power[-power.size // 20 :].sum() / power.sum())
        ends += bool((green == 0).mean() > 0.2)
    assert min(shares) > 0.8, "lines are few in the spectrum; of noise it would be 0.2"
    assert 12 < ends < 28
    np.testing.assert_array_equal(
        patterns.over(np.random.default_rng(1), photo),
        patterns.over(np.random.default_rng(1), photo),
    )


def test_the_photo_is_seen_through_a_pattern() -> None:
    rng = np.random.default_rng(0)
    photo = np.linspace(80, 160, 96)[:, None, None].repeat(96, 1).repeat(3, 2).astype(np.uint8)
    slopes = []
    for _ in range(40):
        patch = patterns.over(rng, photo).astype(float)
        slopes.append(np.polyfit(photo[:, 0, 0].astype(float), patch.mean(axis=(1, 2)), 1)[0])
    # Its contrast is lowered by a number between 0 and 1.
    assert 0.35 < np.mean(slopes) < 0.65
    assert min(slopes) > -0.3
    assert max(slopes) < 1.3


def test_flat_patches_and_patterns_are_under_the_noise_of_cameras(photos: Path) -> None:
    camera, images = noise.parse("camera:level=4-20"), open_images(str(photos), 16, 0)
    noisy, clean = Batches(images, camera, 16, 64, seed=0, flat=1.0).at(0)
    np.testing.assert_array_equal(noisy, clean)
    noisy, clean = Batches(images, camera, 16, 64, seed=0, patterns=1.0).at(0)
    _, plain = Batches(images, camera, 16, 64, seed=0).at(0)
    assert (noisy != clean).any(axis=(1, 2, 3)).all()
    assert (clean != plain).any(axis=(1, 2, 3)).mean() > 0.6


def test_the_share_of_patches_with_patterns(photos: Path) -> None:
    weak, images = noise.parse("gaussian:0-5"), open_images(str(photos), 16, 0)
    without, some = (
        Batches(images, weak, 64, 32, seed=0, flat=0.2, patterns=share).at(0)[1]
        for share in (0, 0.3)
    )
    changed = (without != some).any(axis=(1, 2, 3))
    assert 0.1 < changed.mean() < 0.4
    assert not any(len(np.unique(c.reshape(-1, 3), axis=0)) == 1 for c in without[changed])


def test_the_share_of_flat_patches_which_have_no_noise(photos: Path) -> None:
    strong, images = noise.parse("gaussian:20-55"), open_images(str(photos), 16, 0)
    noisy, clean = Batches(images, strong, 64, 16, seed=0, flat=1.0).at(0)
    assert all(len(np.unique(c.reshape(-1, 3), axis=0)) <= 1 + flat.MAX_AREAS for c in clean)
    np.testing.assert_array_equal(noisy, clean)
    photos, drawn = (Batches(images, strong, 64, 16, seed=0, flat=f) for f in (0, 0.3))
    same = (photos.at(0)[1] == drawn.at(0)[1]).all(axis=(1, 2, 3)).mean()
    assert 0.5 < same < 0.9


CAMERA = noise.parse("0.5*gaussian:3 + 0.5*camera:level=20-25,raw=0,denoise=0,jpeg=0,video=0")


def test_costly_noise_is_made_for_larger_pictures_and_repeatable(photos: Path) -> None:
    def batches() -> Batches:
        return Batches(open_images(str(photos), 32, 0), CAMERA, 16, 32, seed=0, detail=2)

    first, second = batches(), batches()
    steps = [first.at(step) for step in range(4)]
    assert len(first._noisy) <= data.NOISY_WINDOW + 4
    sides = {side for noisy, _ in first._noisy.values() for side in noisy.shape[:2]}
    assert 100 < min(sides) <= max(sides) <= data.NOISY_SIDE
    for a, b in zip(steps[3], second.at(3), strict=True):  # a run that resumes there
        np.testing.assert_array_equal(a, b)
    far = first.at(2000)
    np.testing.assert_array_equal(far[0], second.at(2000)[0])
    assert max(index for _, index in second._noisy) > data.NOISY_WINDOW, "pictures were replaced"


def test_shares_of_costly_noise_hold_and_the_rest_is_fresh(photos: Path) -> None:
    batches = Batches(open_images(str(photos), 16, 0), CAMERA, 64, 16, seed=0)
    noisy, target = (np.concatenate(x) for x in zip(*map(batches.at, range(8)), strict=True))
    errors = noisy.astype(float) - target
    weak = errors.std(axis=(1, 2, 3)) < 5  # white noise of σ 3; a camera's is stronger
    assert 0.4 < weak.mean() < 0.6
    white = errors[weak]
    assert len({e.tobytes() for e in white}) == len(white)


def test_patches_with_more_detail_are_preferred(photos: Path) -> None:
    images = open_images(str(photos), 32, 0)
    plain, chosen = (
        Batches(images, NOISE, 64, 32, seed=0, detail=tries).at(0)[1] for tries in (1, 4)
    )

    assert typical_detail(chosen) > 1.3 * typical_detail(plain)


def typical_detail(patches: np.ndarray) -> float:
    return float(np.median([photo_window.patch_detail(patch) for patch in patches]))


def test_each_part_of_a_mixture_has_its_own_detail(photos: Path) -> None:
    two = noise.parse("0.5*gaussian:2 + 0.5*gaussian:40")
    batches = Batches(open_images(str(photos), 32, 0), two, 128, 32, seed=0, detail=(1, 4))
    noisy, target = batches.at(0)
    strong = (noisy.astype(float) - target).std(axis=(1, 2, 3)) > 20
    assert 0.3 < strong.mean() < 0.7
    assert typical_detail(target[strong]) > 1.3 * typical_detail(target[~strong])


def test_as_many_details_as_the_noise_has_parts(photos: Path) -> None:
    images = open_images(str(photos), 32, 0)
    with pytest.raises(RecipeError, match="2 numbers, but the noise gaussian:0-55 has 1"):
        Batches(images, NOISE, 4, 32, seed=0, detail=(1, 4))


def test_photos_of_16_bits_are_trained_on(photos: Path, tmp_path: Path) -> None:
    for name in ("hat.png", "face.png"):
        eight = np.asarray(Image.open(photos / name).convert("L"))
        Image.fromarray(eight.astype(np.uint16) * 257).save(tmp_path / name)
    images = open_images(str(tmp_path), 32, 0)
    assert isinstance(images, Folder)
    (path,) = images.training
    eight = np.asarray(Image.open(photos / path.name).convert("L"))
    np.testing.assert_array_equal(images.load(0), np.repeat(eight[..., None], 3, axis=2))


def finest(pixels: np.ndarray) -> float:
    """Power that means of 2×2 take away, over that which means of 4×4 take away after them."""
    y = pixels.astype(float).mean(axis=-1)
    powers = []
    for _ in range(2):
        means = y.reshape(y.shape[0] // 2, 2, y.shape[1] // 2, 2).mean(axis=(1, 3))
        powers.append(np.mean((y - means.repeat(2, 0).repeat(2, 1)) ** 2))
        y = means
    return float(powers[0] / powers[1])


def test_an_enlarged_photo_is_soft(photos: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("hat.png", "face.png"):
        photo = np.array(Image.open(photos / name).convert("RGB"))[:96, :128]
        larger = photo_window.enlarged(rng, photo)
        assert larger.shape == photo.shape
        assert larger.dtype == np.uint8
        assert finest(larger) < 0.75 * finest(photo)
        assert abs(larger.mean() - photo.mean()) < 40


def test_each_part_of_a_mixture_has_its_own_share_of_enlarged_photos(photos: Path) -> None:
    two = noise.parse("0.5*gaussian:0-1 + 0.5*gaussian:50-55")
    images = open_images(str(photos), 32, 0)
    noisy, target = Batches(images, two, 128, 32, seed=0, enlarged=(0, 1)).at(0)
    strong = np.abs(noisy.astype(int) - target).mean((1, 2, 3)) > 10
    assert typical_detail(target[strong]) < 0.75 * typical_detail(target[~strong])
    with pytest.raises(RecipeError, match="enlarged has 3 numbers"):
        Batches(images, two, 4, 32, seed=0, enlarged=(0, 1, 1))
