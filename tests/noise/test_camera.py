"""Noise as a camera leaves it: each part shows its trait, and seeds repeat everything."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import noise
from edgecae.errors import NoiseError
from edgecae.noise.camera import CameraNoise, coding, field

BARE = dict.fromkeys(
    ("raw", "bayer", "denoise", "scale", "sharpen", "jpeg", "video", "chroma"), 0.0
)
GRAY = np.repeat(np.full((8, 96, 96, 1), 128, np.uint8), 3, axis=-1)
GRAY[..., 2] = 127  # a gray that is not that of a single-plane camera

Pixels = NDArray[np.uint8]


def camera(level: str = "10", **shares: float) -> noise.Noise:
    """Noise with the named parts alone."""
    parts = ",".join(f"{name}={share:g}" for name, share in {**BARE, **shares}.items())
    return noise.parse(f"camera:level={level},{parts}")


def error(model: noise.Noise, clean: Pixels = GRAY, seed: int = 0) -> NDArray[np.float64]:
    noisy, target = model.pair(clean, np.random.default_rng(seed))
    return noisy.astype(np.float64) - target


def correlation(errors: NDArray[np.float64]) -> float:
    """Of horizontal neighbours."""
    return float(np.corrcoef(errors[:, :, :-1].ravel(), errors[:, :, 1:].ravel())[0, 1])


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """Edges, colours and a gradient."""
    y, x = np.mgrid[:96, :128]
    waves = 120 + 100 * np.sin(x / 7 + np.array([0, 1, 2])[:, None, None]) * np.cos(y / 11)
    waves[:, 30:50, 40:80] = np.array([30, 200, 90])[:, None, None]
    return np.ascontiguousarray(np.rint(waves).transpose(1, 2, 0).astype(np.uint8))


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize("level", [3, 12])
def test_the_level_is_that_at_a_medium_gray(level: int, raw: int) -> None:
    found = error(camera(str(level), raw=raw))
    # Red and blue are amplified by white balance, and colours by the display's. What colour noise
    # has more, green has less: by a ninth where it is twice as strong.
    sigma = np.sqrt(np.mean(found[..., 1] ** 2)) / np.hypot(level, 12**-0.5)
    assert (0.87 if raw else 0.97) < sigma < 1.03


def test_levels_are_drawn_evenly_in_ratios() -> None:
    flat = np.repeat(GRAY[:1, :24, :24], 400, axis=0)
    sigmas = error(camera("1-64"), flat).std(axis=(1, 2, 3))
    assert np.median(sigmas) == pytest.approx(8, rel=0.25)
    assert sigmas.min() < 2
    assert sigmas.max() > 40


def test_without_noise_a_picture_stays_what_it_is(photo: Pixels) -> None:
    for raw in (0.0, 1.0):
        noisy, target = camera("0", raw=raw).pair(photo, np.random.default_rng(0))
        np.testing.assert_array_equal(target, photo)
        assert np.abs(noisy.astype(int) - photo).max() <= 1


@pytest.mark.parametrize(
    ("part", "low", "high"),
    [("", -0.05, 0.05), ("bayer", 0.2, 0.7), ("denoise", 0.15, 0.9), ("scale", 0.1, 0.8)],
)
def test_parts_make_neighbours_alike(part: str, low: float, high: float) -> None:
    assert low < correlation(error(camera(**({part: 1} if part else {})))) < high


def test_sharpening_makes_neighbours_unlike() -> None:
    assert correlation(error(camera(sharpen=1))) < -0.05


def test_noise_reduction_leaves_less_colour() -> None:
    def share(model: noise.Noise) -> float:
        found = error(model)
        return float(np.mean((found[..., 0] - found[..., 2]) ** 2) / np.mean(found[..., 1] ** 2))

    assert share(camera(denoise=1)) < 0.7 * share(camera())


@pytest.mark.parametrize("width", [192, 193])
def test_colour_noise_is_as_strong_as_its_gain_says_however_wide_its_blur(width: int) -> None:
    blurs = np.array([0, 0.5, 1.5, 4], np.float32)
    same = {name: np.zeros(4, np.float32) for name in ("luma_blur", "luma_rest", "sharpening")}
    gains, scales = np.full(4, 0.5, np.float32), np.ones(4, np.float32)
    filters = field.Filters(**same, chroma_blur=blurs, chroma_gain=gains, scale=scales)
    white = np.random.default_rng(0).standard_normal((4, 256, width, 3)).astype(np.float32)
    to_ycc = coding.colour_matrices(601)[0].T
    before, after = (x @ to_ycc for x in (white, field.filtered(white, filters)))
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-4)
    ratio = after[..., 1:].std(axis=(1, 2)) / before[..., 1:].std(axis=(1, 2))
    np.testing.assert_allclose(ratio, 0.5, rtol=0.12)


def test_cameras_leave_coarse_blotches_of_colour() -> None:
    """Means of 4×4 pixels leave a sixteenth of white noise's power."""

    def left(model: noise.Noise) -> float:
        colour = error(model, np.repeat(GRAY, 8, axis=0))[..., 0]
        colour -= error(model, np.repeat(GRAY, 8, axis=0))[..., 1]
        means = colour.reshape(len(colour), 24, 4, 24, 4).mean(axis=(2, 4))
        return float(np.median(means.var(axis=(1, 2)) / colour.var(axis=(1, 2))))

    assert left(camera()) == pytest.approx(1 / 16, rel=0.1)
    assert left(camera(denoise=1)) > 1 / 4


def test_sensor_noise_grows_towards_the_light() -> None:
    """In linear light the shot noise does, and the tone curve takes some of it back."""
    ramp = np.broadcast_to(np.linspace(20, 230, 96).astype(np.uint8)[:, None], (8, 96, 96, 3))
    ramp = ramp.copy()
    ramp[..., 2] += 1
    by_brightness = error(camera(raw=1), ramp).std(axis=(0, 1, 3))
    assert by_brightness.min() > 2
    assert by_brightness.max() / by_brightness.min() > 1.3


@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_demosaicking_keeps_samples_and_flat_fields(phase: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 10, 12, 3)).astype(np.float32)
    filled = field.demosaicked(values, phase)
    top, left = phase
    np.testing.assert_array_equal(filled[:, top::2, left::2, 0], values[:, top::2, left::2, 0])
    bottom, right = 1 - top, 1 - left
    np.testing.assert_array_equal(
        filled[:, bottom::2, right::2, 2], values[:, bottom::2, right::2, 2]
    )
    np.testing.assert_array_equal(filled[:, top::2, right::2, 1], values[:, top::2, right::2, 1])
    flat = np.ones((1, 10, 12, 3), np.float32)
    np.testing.assert_allclose(field.demosaicked(flat, phase), flat, atol=1e-6)


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("standard", [601, 709])
@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("decimation", ["box", "triangle", "nearest"])
def test_fewer_chroma_samples_leave_luma(
    photo: Pixels, decimation: str, rows: bool, smooth: bool, standard: int, limited: bool
) -> None:
    odd = photo[:95, :127]
    result = coding.subsampled(odd, coding.Subsampling(decimation, rows, smooth, standard, limited))
    luma = {601: [0.299, 0.587, 0.114], 709: [0.2126, 0.7152, 0.0722]}[standard]
    inside = (result > 2).all(axis=-1) & (result < 253).all(axis=-1)
    change = (result.astype(float) - odd) @ np.array(luma)
    assert np.abs(change[inside]).max() < 1.5
    assert np.abs(result.astype(float) - odd).max() > 4
    flat = np.full((5, 7, 3), [200, 60, 90], np.uint8)
    back = coding.subsampled(flat, coding.Subsampling(decimation, rows, smooth, standard, limited))
    assert np.abs(back.astype(int) - flat).max() <= 2


def test_subsampling_is_what_a_decoder_gives(photo: Pixels) -> None:
    av = pytest.importorskip("av")
    frame = av.VideoFrame.from_ndarray(photo, "rgb24").reformat(format="yuv420p")
    theirs = frame.to_ndarray(format="rgb24").astype(float)
    ours = coding.subsampled(photo, coding.Subsampling())
    # FFmpeg's own fast conversion rounds down.
    assert np.abs(ours - theirs - (ours - theirs).mean()).mean() < 1
    assert 0 <= (ours - theirs).mean() < 1.5


@pytest.mark.parametrize(
    ("decimation", "scaler"), [("box", "AREA"), ("triangle", "BILINEAR"), ("nearest", "POINT")]
)
def test_chroma_has_the_noise_that_a_scaler_leaves(decimation: str, scaler: str) -> None:
    from av import VideoFrame
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    gray = np.full((96, 128, 3), 128, np.uint8)
    noisy = noise.gaussian(20).add(gray, np.random.default_rng(0))
    frame = VideoFrame.from_ndarray(noisy, "rgb24").reformat(
        format="yuv420p", interpolation=exact | Interpolation[scaler]
    )
    theirs = frame.to_ndarray()[96:].std() * 255 / 224
    way = coding.Subsampling(decimation, limited=False)  # type: ignore[arg-type]
    forward, _ = coding.colour_matrices(601)
    ours = (coding.subsampled(noisy, way) @ forward.T)[..., 1:].std()
    assert ours == pytest.approx(theirs, rel=0.06)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_video_leaves_blocks_of_its_own(photo: Pixels, encoder: str, size: tuple[int, int]) -> None:
    clean = np.ascontiguousarray(photo[: size[0], : size[1]])
    noisy = noise.gaussian(15).add(clean, np.random.default_rng(0))

    def coded(crf: int) -> Pixels:
        return coding.video(noisy, clean, encoder, crf, np.random.default_rng(1))

    fine, coarse = coded(16), coded(38)
    np.testing.assert_array_equal(fine, coded(16))
    assert fine.shape == clean.shape
    # A coarse quantizer takes noise away, and some of the picture with it.
    assert (coarse.astype(float) - noisy).std() > (fine.astype(float) - noisy).std() + 2


@pytest.mark.parametrize("part", ["jpeg", "video", "chroma"])
def test_the_target_has_what_storing_leaves_of_colour(photo: Pixels, part: str) -> None:
    lost = 0
    for seed in range(6):
        noisy, target = camera("2", **{part: 1}).pair(photo, np.random.default_rng(seed))
        assert (noisy != target).any()
        lost += (target != photo).any()
    assert lost >= 3  # of JPEG, some have all chroma samples


def test_a_single_plane_stays_one() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(60, 190, (40, 50), dtype=np.uint8)
    model = noise.parse("camera:")
    for shape in ((40, 50), (40, 50, 1), (40, 50, 3)):
        clean = np.broadcast_to(gray.reshape(40, 50, *([1] * (len(shape) - 2))), shape).copy()
        noisy, target = model.pair(clean, np.random.default_rng(3))
        assert noisy.shape == target.shape == shape
        np.testing.assert_array_equal(target, clean)
        if shape[-1] == 3:
            assert (noisy == noisy[..., :1]).all()
        assert (noisy != clean).any()


@pytest.mark.parametrize("spec", ["camera:", "0.5*gaussian:10 + 0.5*camera:level=5"])
@pytest.mark.parametrize("normals", [noise.standard_normals, noise.fast_normals])
def test_a_seed_repeats_everything(spec: str, normals: noise.Normals) -> None:
    clean = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    first, again, other = (
        noise.parse(spec).pair(clean, np.random.default_rng(seed), normals) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[0] != other[0]).any()


def test_a_mixture_gives_each_image_one_kind() -> None:
    clean = np.full((400, 8, 8, 3), 100, np.uint8)
    noisy = noise.parse("0.25*gaussian:0 + 0.75*gaussian:20").add(clean, np.random.default_rng(0))
    untouched = (noisy == clean).all(axis=(1, 2, 3)).mean()
    assert untouched == pytest.approx(0.25, abs=0.07)
    kinds = {
        bool((noise.parse("0.5*gaussian:0 + 0.5*gaussian:20").add(clean[0], rng) == 100).all())
        for rng in map(np.random.default_rng, range(20))
    }
    assert kinds == {True, False}


@pytest.mark.parametrize(
    "spec",
    ["camera", "camera:iso=3", "camera:jpeg", "camera:jpeg=2", "camera:jpeg=0.1-0.2",
     "camera:level=5,level=6", "camera:jpeg=0.6,video=0.3,chroma=0.2", "camera:level=9-3",
     "camera:rest=0,rest=1", "camera:seed=-1", "camera:seed=1.5", "camera:seed=9999999999",
     "0.5*gaussian:5", "0.5*gaussian:5 + 0.4*camera:", "0.5*gaussian:5 + camera:",
     "-1*gaussian:5 + 2*camera:", "0*gaussian:5 + 1*camera:", "0.5*salt:1 + 0.5*camera:"],
)  # fmt: skip
def test_nonsense_is_refused(spec: str) -> None:
    with pytest.raises(NoiseError, match="noise "):
        noise.parse(spec)


def test_the_rest_is_every_part_that_is_not_named() -> None:
    some, all_named = (
        noise.parse(f"camera:level=3-40,{rest},chroma=1")
        for rest in ("rest=0", "raw=0,bayer=0,denoise=0,scale=0,sharpen=0,jpeg=0,video=0")
    )
    assert dataclasses.replace(some, spec="") == dataclasses.replace(all_named, spec="")


def test_a_description_says_the_same_again() -> None:
    for spec in ("camera:level=2-9,jpeg=0", "0.4*gaussian:0-55 + 0.6*camera:video=0"):
        assert noise.parse(str(noise.parse(spec))) == noise.parse(spec)
    assert str(noise.parse(" .4 * gaussian:0-55+0.6*camera:")) == "0.4*gaussian:0-55 + 0.6*camera:"


def test_a_seed_is_one_camera_for_all_pictures() -> None:
    flat = np.repeat(GRAY[:1, :64, :64], 12, axis=0)
    one = noise.parse("camera:level=2-30,video=0,jpeg=0,chroma=0,seed=3")
    sigmas = error(one, flat).std(axis=(1, 2, 3))
    assert sigmas.max() < 1.15 * sigmas.min()
    assert error(one, flat, seed=1).std() == pytest.approx(sigmas.mean(), rel=0.05)
    others = [error(noise.parse(f"{one.spec[:-1]}{seed}"), flat[:1]).std() for seed in (4, 5, 6, 7)]
    assert max(others) > 2 * min(others)


@pytest.mark.parametrize("part", ["jpeg", "video", "chroma", ""])
def test_still_frames_are_those_of_one_camera(photo: Pixels, part: str) -> None:
    shares = ",".join(f"{name}={float(name == part):g}" for name in ("jpeg", "video", "chroma"))
    model = noise.parse(f"camera:level=6,{shares},seed=2")
    assert isinstance(model, CameraNoise)
    frames = np.stack(list(model.still_frames(photo, np.random.default_rng(0), 7)))
    assert frames.shape == (7, *photo.shape)
    again = np.stack(list(model.still_frames(photo, np.random.default_rng(0), 7)))
    np.testing.assert_array_equal(frames, again)
    assert all((frames[i] != frames[i + 1]).any() for i in range(6))
    target = model.pair(photo, np.random.default_rng(0))[1]
    assert np.abs(frames.mean(0) - target).mean() < 6


def test_still_frames_of_a_single_plane() -> None:
    gray = np.repeat(np.full((40, 50, 1), 90, np.uint8), 3, axis=-1)
    for part in ("jpeg", "video", "chroma"):
        model = noise.parse(f"camera:level=9,rest=0,{part}=1,seed=1")
        assert isinstance(model, CameraNoise)
        for frame in model.still_frames(gray, np.random.default_rng(0), 2):
            assert (frame == frame[..., :1]).all()


def test_video_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, photo: Pixels
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NoiseError, match=r"edgecae\[video\].*video=0"):
        camera("5", video=1).pair(photo, np.random.default_rng(0))
    camera("5", jpeg=1).pair(photo, np.random.default_rng(0))
