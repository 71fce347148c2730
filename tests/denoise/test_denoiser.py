from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecae import Denoiser, models, noise
from edgecae.denoise.blend import (
    MAX_SAMPLED_ROWS,
    SIGN_BIT,
    blend_weight,
    expected_error,
    mean_square_change,
)
from edgecae.denoise.denoiser import ESTIMATED_EVERY
from edgecae.denoise.tiling import BORDER, border, pad_edges, padded_size
from edgecae.errors import BackendError, FrameError, ModelFileError, SettingError
from edgecae.quality import psnr
from edgecae.tflite import model_file
from edgecae_train.data import synthetic

SIDES = st.integers(1, 70)


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.integers(0, 60),
)
def test_padding_is_the_least_that_fits(height: int, width: int, stride: int, halo: int) -> None:
    around = border(stride, halo)
    assert around % stride == 0
    assert min(halo, BORDER) <= around < min(halo, BORDER) + stride
    padded = padded_size(height, width, stride, around)
    for side, full in zip((height, width), padded, strict=True):
        assert full % stride == 0
        assert side + 2 * around <= full < side + 2 * around + stride


@given(SIDES, SIDES, *[st.integers(0, 20)] * 4)
def test_padding_mirrors_and_leaves_the_frame(
    h: int, w: int, above: int, below: int, left: int, right: int
) -> None:
    frame = np.random.default_rng(h * 100 + w).integers(0, 256, (h, w, 3), dtype=np.uint8)
    plane = np.zeros((above + h + below, left + w + right, 3), np.uint8)
    plane[above : above + h, left : left + w] = frame
    pad_edges(plane, h, w, above, left)
    np.testing.assert_array_equal(
        plane, np.pad(frame, ((above, below), (left, right), (0, 0)), mode="symmetric")
    )


def test_int8_is_uint8_with_the_sign_bit_turned() -> None:
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal((every ^ SIGN_BIT).view(np.int8), every.astype(int) - 128)
    np.testing.assert_array_equal(every ^ SIGN_BIT ^ SIGN_BIT, every)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.sampled_from([(), (1,), (3,)]))
def test_any_size_comes_back_in_its_shape(h: int, w: int, tail: tuple[int, ...]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (h, w, *tail), dtype=np.uint8)
    before = frame.copy()
    with Denoiser() as denoiser:
        clean = denoiser.process(frame)
    assert clean.shape == frame.shape
    assert clean.dtype == np.uint8
    np.testing.assert_array_equal(frame, before)


def bare(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the interpreter alone makes of a frame whose sides are multiples of the stride."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(models.find_model("small")), num_threads=1)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert source["quantization"] == (np.float32(1 / 255), -128)
    assert target["quantization"] == (np.float32(1 / 255), -128)
    interpreter.resize_tensor_input(source["index"], [1, *frame.shape])
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], (frame[None].astype(int) - 128).astype(np.int8))
    interpreter.invoke()
    return (interpreter.get_tensor(target["index"])[0].astype(int) + 128).astype(np.uint8)


@pytest.mark.parametrize("size", [(101, 77), (96, 96), (5, 3), (1, 1)])
def test_it_computes_what_the_bare_interpreter_computes(
    photo: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    """Of the frame, mirrored at each side and padded to the stride."""
    height, width = size
    frame = np.ascontiguousarray(photo[:height, :width])
    more = ((16, 16 + -height % 16), (16, 16 + -width % 16), (0, 0))
    expected = bare(np.pad(frame, more, mode="symmetric"))[16 : 16 + height, 16 : 16 + width]
    with Denoiser("small", threads=1) as denoiser:
        np.testing.assert_array_equal(denoiser.process(frame), expected)


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_it_denoises(shipped: str, photo: NDArray[np.uint8], sigma: float) -> None:
    noisy = noise.gaussian(sigma).add(photo, np.random.default_rng(0))
    with Denoiser(shipped) as denoiser:
        gained = psnr(photo, denoiser.process(noisy)) - psnr(photo, noisy)
    assert gained > (0.5 if shipped == "classic" and sigma == 15 else 3)


def test_several_denoisers_share_a_file_that_was_read(photo: NDArray[np.uint8]) -> None:
    file = model_file.read(models.find_model("nano"))
    with Denoiser(file) as first, Denoiser(file) as second, Denoiser("nano") as other:
        assert first.model is second.model is file
        expected = other.process(photo)
        assert np.array_equal(first.process(photo), expected)
        assert np.array_equal(second.process(photo), expected)


def test_gray_is_the_mean_of_three_estimates(denoiser: Denoiser, photo: NDArray[np.uint8]) -> None:
    gray = noise.gaussian(25).add(photo[..., 1].copy(), np.random.default_rng(0))
    colour = denoiser.process(np.repeat(gray[..., None], 3, axis=2))
    expected = np.floor(colour.mean(axis=2) + 0.5)
    np.testing.assert_array_equal(denoiser.process(gray), expected)
    np.testing.assert_array_equal(denoiser.process(gray[..., None])[..., 0], expected)


def test_out_takes_the_result_and_may_be_the_frame(
    denoiser: Denoiser, photo: NDArray[np.uint8]
) -> None:
    expected = denoiser.process(photo)
    out = np.empty_like(photo)
    assert denoiser.process(photo, out=out) is out
    np.testing.assert_array_equal(out, expected)
    own = photo.copy()
    denoiser.process(own, out=own)
    np.testing.assert_array_equal(own, expected)


def test_views_that_are_not_contiguous(denoiser: Denoiser, photo: NDArray[np.uint8]) -> None:
    flipped = photo[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(
        denoiser.process(flipped), denoiser.process(np.ascontiguousarray(flipped))
    )


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3, 1), np.uint8),
        np.zeros((8,), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        [[1, 2], [3, 4]],
    ],
    ids=["float", "alpha", "rank 4", "rank 1", "empty", "list"],
)
def test_what_is_no_frame_is_refused(denoiser: Denoiser, frame) -> None:
    with pytest.raises(FrameError):
        denoiser.process(frame)


def test_out_must_fit(denoiser: Denoiser, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(FrameError, match="out is"):
        denoiser.process(photo, out=np.empty((8, 8, 3), np.uint8))


def test_a_result_that_cannot_be_written_leaves_the_denoiser_usable(photo: np.ndarray) -> None:
    frame = photo[:32, :32].copy()
    out = np.empty_like(frame)
    out.flags.writeable = False
    with Denoiser("nano") as denoiser:
        with pytest.raises(FrameError, match="read-only"):
            denoiser.process(frame, out=out)
        assert denoiser.process(frame).shape == frame.shape


def test_closed_is_closed(photo: NDArray[np.uint8]) -> None:
    with Denoiser() as denoiser:
        denoiser.process(photo)
    with pytest.raises(BackendError, match="closed"):
        denoiser.process(photo)


def test_unknown_models_and_backends() -> None:
    with pytest.raises(ModelFileError, match="neither a file nor shipped"):
        Denoiser("none such")
    with pytest.raises(BackendError, match="unknown"):
        Denoiser(backend="none such")
    with pytest.raises(BackendError, match="0 threads"):
        Denoiser(threads=0)


@pytest.mark.parametrize("gray", [False, True])
def test_strength_goes_from_the_frame_to_the_result(photo: NDArray[np.uint8], gray: bool) -> None:
    clean = photo[..., 0] if gray else photo
    frame = noise.gaussian(25).add(clean, np.random.default_rng(0))
    with Denoiser() as denoiser:
        result = denoiser.process(frame)
        steps = []
        for strength in (0, 0.25, 0.5, 0.75, 1):
            denoiser.strength = strength
            steps.append(denoiser.process(frame).astype(int))
            inside = frame.copy()
            np.testing.assert_array_equal(denoiser.process(inside, out=inside), steps[-1])
    np.testing.assert_array_equal(steps[0], frame)
    np.testing.assert_array_equal(steps[-1], result)
    np.testing.assert_allclose(steps[2], (steps[0] + steps[-1]) / 2, atol=0.51)
    way = np.sign(steps[-1] - steps[0])
    assert all((way * (b - a) >= 0).all() for a, b in pairwise(steps))


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(denoiser: Denoiser, strength: float) -> None:
    with pytest.raises(SettingError):
        denoiser.strength = strength
    with pytest.raises(SettingError):
        Denoiser(strength=strength)


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("strength", [1, 0.5])
def test_no_pixel_buffer_is_allocated_per_frame(
    photo: NDArray[np.uint8], gray: bool, strength: float
) -> None:
    frame = np.ascontiguousarray(photo[..., 0]) if gray else photo
    out = np.empty_like(frame)
    with Denoiser(strength=strength) as denoiser:
        denoiser.process(frame, out=out)
        tracemalloc.start()
        denoiser.process(frame, out=out)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        denoiser.process(frame, out=out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # numpy casts through a fixed buffer of 8192 elements.
    assert peak - before < min(frame.nbytes, 32_000)


def test_gray_of_either_rank_is_one_thing(denoiser: Denoiser, photo: NDArray[np.uint8]) -> None:
    gray = np.ascontiguousarray(photo[..., 0])
    np.testing.assert_array_equal(denoiser.process(gray[..., None])[..., 0], denoiser.process(gray))


def test_strength_nothing_is_the_frame(photo: NDArray[np.uint8]) -> None:
    with Denoiser(strength=0) as denoiser:
        result = denoiser.process(photo)
    assert result is not photo
    np.testing.assert_array_equal(result, photo)


@given(st.floats(0, 255), st.floats(0, 255), st.floats(1, 100), st.floats(0, 65025))
def test_more_noise_never_gets_a_smaller_share(
    a: float, b: float, error: float, away: float
) -> None:
    low, high = (blend_weight(sigma, error, away) for sigma in sorted((a, b)))
    assert 0 <= low <= high <= 1


def test_what_the_share_depends_on() -> None:
    with Denoiser("small") as small, Denoiser("classic") as classic:
        own = expected_error(small.metadata.quality)
        assert blend_weight(0, own, 3.0) == blend_weight(1.0, own, 3.0) == 0
        assert blend_weight(11, own, 120.0) > 0.97
        assert blend_weight(14, own, 195.0) == 1
        # What goes farther from the frame than noise explains has the larger error.
        assert blend_weight(3, own, 10.0) > blend_weight(3, own, 24.0) + 0.05
        # What leaves most of a camera's noise has lost little.
        assert blend_weight(4, own, 4.0) == pytest.approx(blend_weight(4, own, 16.0))
        assert blend_weight(4, own, 0.0) == 0
        # The classic network is 14 dB farther from a clean frame.
        assert blend_weight(5, own, 30.0) > 2.5 * blend_weight(
            5, expected_error(classic.metadata.quality), 90.0
        )
    assert expected_error({}) == pytest.approx(own, rel=0.1)


def test_the_distance_is_that_of_the_rows_looked_at(photo: NDArray[np.uint8]) -> None:
    noisy = np.clip(photo.astype(int) + 7, 0, 255).astype(np.uint8)
    result = (photo ^ SIGN_BIT).view(np.int8)
    expected = np.mean((noisy.astype(float) - photo)[:: len(photo) // MAX_SAMPLED_ROWS] ** 2)
    assert mean_square_change(result, noisy) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """Pictures without noise, with some texture and grain."""
    return [synthetic.generate(5, index, size=320) for index in range(8)]


@pytest.mark.parametrize(
    ("spec", "least"),
    [
        ("gaussian:1", -2.5),
        ("gaussian:2", 0.3),
        ("gaussian:3", 0.5),
        ("gaussian:5", 0.1),
        ("gaussian:25", -0.005),
        ("camera:level=6", -0.4),
        ("camera:level=12", -0.4),
        ("camera:level=6,rest=0,chroma=1", 0.0),
    ],
)
def test_auto_is_as_good_as_the_better_of_frame_and_result(
    pictures: list[NDArray[np.uint8]], spec: str, least: float
) -> None:
    """On average, and a little worse where texture is taken for the weakest noise."""
    rng = np.random.default_rng(0)
    gains: list[float] = []
    with Denoiser() as denoiser:
        for picture in pictures:
            noisy = noise.parse(spec).add(picture, rng)
            denoiser.strength = 1
            full = psnr(picture, denoiser.process(noisy))
            denoiser.reset()
            denoiser.strength = None
            auto = psnr(picture, denoiser.process(noisy))
            gains.append(auto - max(full, psnr(picture, noisy)))
            if spec == "gaussian:25":
                assert denoiser.share == 1
            denoiser.reset()
    assert np.mean(gains) > least


def test_auto_leaves_most_clean_pictures_alone(pictures: list[NDArray[np.uint8]]) -> None:
    with Denoiser(strength=None) as denoiser:
        seen = []
        for picture in pictures:
            seen.append(psnr(picture, denoiser.process(picture)))
            denoiser.reset()
    assert np.isinf(seen).sum() >= len(seen) / 2
    assert min(seen) > 42


def test_auto_in_tiles_and_in_place_has_one_share(photo: NDArray[np.uint8]) -> None:
    noisy = noise.gaussian(4).add(photo, np.random.default_rng(0))
    with (
        Denoiser(strength=None) as whole,
        Denoiser(strength=None, largest_area=64 * 64) as tiled,
        Denoiser() as fixed,
    ):
        expected = whole.process(noisy.copy())
        assert 0.5 < whole.share < 1
        got = tiled.process(noisy, out=noisy.copy())
        assert tiled.share == pytest.approx(whole.share, abs=0.15)
        fixed.strength = tiled.share
        np.testing.assert_array_equal(got, fixed.process(noisy))
        in_place = noisy.copy()
        whole.reset()
        np.testing.assert_array_equal(whole.process(in_place, out=in_place), expected)


def test_auto_leaves_a_clean_frame_alone() -> None:
    smooth = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    frame = np.repeat((smooth // 2)[..., None], 3, axis=2)
    with Denoiser(strength=None) as denoiser:
        np.testing.assert_array_equal(denoiser.process(frame), frame)
        assert denoiser.share == 0


def test_the_estimate_follows_the_noise_and_reset_forgets_it(photo: NDArray[np.uint8]) -> None:
    noisy = noise.gaussian(25).add(photo, np.random.default_rng(0))
    with Denoiser() as denoiser:
        denoiser.process(noisy)
        assert denoiser.noise is None, "nobody asked"
        denoiser.measure_noise = True
        denoiser.process(noisy)
        assert denoiser.noise == noise.estimate(noisy)
        assert denoiser.share == 1
        denoiser.strength = None
        seen = []
        for _ in range(30):
            denoiser.process(photo)
            seen.append(denoiser.noise)
        assert all(later <= sooner for sooner, later in pairwise(seen))
        assert seen[0] > 15
        assert len(set(seen)) == -(-len(seen) // ESTIMATED_EVERY), "not for each frame"
        assert seen[-1] == pytest.approx(noise.estimate(photo), abs=0.1)
        denoiser.reset()
        assert denoiser.noise is None


@pytest.mark.parametrize("strength", [None, 0, 1])
def test_frames_of_another_size_begin_another_estimate(
    photo: NDArray[np.uint8], strength: float | None
) -> None:
    noisy = noise.gaussian(25).add(photo, np.random.default_rng(0))
    smaller = np.ascontiguousarray(photo[:100])
    with Denoiser(strength=strength) as denoiser, Denoiser(strength=strength) as fresh:
        denoiser.measure_noise = fresh.measure_noise = True
        for _ in range(3):
            denoiser.process(noisy)
        for _ in range(2):  # the second follows the first
            np.testing.assert_array_equal(denoiser.process(smaller), fresh.process(smaller))
            assert denoiser.noise == fresh.noise
            assert denoiser.share == fresh.share
        denoiser.process(noisy)
        assert denoiser.noise == noise.estimate(noisy)
