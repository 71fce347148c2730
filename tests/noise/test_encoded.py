"""Cameras whose video looks like given frames: what the encoder got is found again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.commands.noise import command
from edgecae.errors import NoiseError
from edgecae.noise import encoded, likeness, measure, noise_file
from edgecae.noise.camera import CameraNoise, drawn
from edgecae.noise.mixture import Mixture
from edgecae.noise.parse import short_name

Pixels = NDArray[np.uint8]

SPEC = "camera:level=25-25,jpeg=0,video=1,chroma=0,seed=201"
NUMBERS = 255 - np.arange(drawn.COUNT, dtype=np.uint8) * 9


def camera(spec: str = SPEC) -> CameraNoise:
    made = noise.parse(spec)
    assert isinstance(made, CameraNoise)
    return made


def with_numbers(numbers: NDArray[np.uint8] = NUMBERS) -> CameraNoise:
    return camera(f"camera:jpeg=0,video=1,chroma=0,drawn={drawn.encode(numbers)}")


def scene() -> Pixels:
    """Plain fields of many brightnesses, and fine texture in a corner."""
    rng = np.random.default_rng(3)
    fields = rng.permutation(np.linspace(20, 235, 20)).reshape(4, 5, 1) + rng.uniform(-12, 12, 3)
    picture = fields.repeat(40, 0).repeat(48, 1)
    picture[:40, :48] += rng.normal(0, 20, (40, 48, 1))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def shot(made: CameraNoise, seed: int, count: int = 24) -> list[Pixels]:
    frames = made.still_frames(scene(), np.random.default_rng(seed), 10 + count)
    return list(itertools.islice(frames, 10, None))


def moving_luma(made: CameraNoise) -> tuple[float, float]:
    """Mean and σ of the noise of a plain gray where something moves, 0–255 scale."""
    plain = np.broadcast_to(np.array([136, 128, 120], np.uint8), (192, 192, 3))
    off = (made.add(plain, np.random.default_rng(0)) - plain.astype(float)) @ [0.299, 0.587, 0.114]
    return float(off.mean()), float(off.std())


def test_numbers_are_given_out_as_a_generator_draws_them() -> None:
    numbers = drawn.Drawn([0.0, 0.25, 0.5, 0.75, 0.999, 0.1, 0.7])
    assert numbers.random() == 0
    assert numbers.random((1, 2)).tolist() == [[0.25, 0.5]]
    assert numbers.uniform(2, 4) == 3.5
    assert numbers.integers(7) == 6
    assert numbers.integers(10, 20) == 11
    assert numbers.choice(("a", "b", "c"), p=(0.5, 0.15, 0.35)) == "c"
    assert numbers.random() == 0.5  # the last one is gone


@pytest.mark.slow
def test_numbers_are_one_camera_for_all_pictures() -> None:
    made = with_numbers()
    first, second = (made.storage(np.random.default_rng(n)) for n in (0, 1))
    assert first == second
    assert first.encoder
    frames = [next(iter(shot(made, n, 1))) for n in (0, 1)]
    assert not np.array_equal(*frames)  # other noise …
    looks = [likeness.look(shot(made, n)) for n in (0, 1)]
    assert likeness.distance(*looks) < 0.1  # … of the same kind
    assert noise.parse(made.spec) == made
    assert drawn.decode(drawn.encode(NUMBERS)).tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("text", ["", "AAAA", "?" * 38, drawn.encode(NUMBERS)[:-2]])
def test_numbers_that_were_cut_off_are_refused(text: str) -> None:
    with pytest.raises(NoiseError, match="drawn"):
        noise.parse(f"camera:video=0,drawn={text}")


@pytest.mark.slow
def test_the_more_a_camera_differs_the_less_alike_it_looks() -> None:
    seen = likeness.look(shot(camera(), 0))
    levels = [camera(SPEC.replace("25-25", f"{level}-{level}")) for level in (25, 30, 45)]
    near, other, far = (likeness.distance(seen, likeness.look(shot(each, 1))) for each in levels)
    assert near < 0.1 < other < far
    white = [noise.gaussian(5).add(scene(), np.random.default_rng(n)) for n in range(24)]
    assert likeness.distance(seen, likeness.look(white)) > encoded.MAX_DISTANCE


def test_a_scene_without_enough_pixels_looks_like_nothing() -> None:
    small = [each[:16, :24] for each in shot(camera(), 0)]
    assert likeness.distance(likeness.look(small), likeness.look(small)) == np.inf


@pytest.mark.slow
def test_the_scene_is_found_behind_what_noise_shifts() -> None:
    made = camera(SPEC.replace("25-25", "40-40") + ",raw=1")
    mean = np.mean(shot(made, 0, 60), axis=0)
    before = mean - scene()
    after = encoded.scene_of(np.rint(mean).astype(np.uint8), made) - scene().astype(float)
    fields = [each.reshape(4, 40, 5, 48, 3).mean((1, 3)) for each in (before, after)]
    off, left = (np.sqrt(np.mean(np.square(each))) for each in fields)
    assert off > 4
    assert left < 0.5 * off


@pytest.mark.parametrize("kind", ["gray", "small", "few"])
def test_an_excerpt_keeps_what_the_search_needs(kind: str) -> None:
    size = {"gray": (600, 800), "small": (20, 20, 3), "few": (600, 800, 3)}[kind]
    frames = [np.zeros(size, np.uint8)] * (3 if kind == "few" else 50)
    excerpt = encoded.Excerpt(frames)
    assert sum(1 for _ in excerpt) == len(frames)  # all go on
    assert len(excerpt.kept) == min(len(frames), excerpt.MAX_FRAMES)
    most = (encoded.HEIGHT, encoded.WIDTH)
    assert excerpt.kept[0].shape == (*(min(a, b) for a, b in zip(size, most, strict=False)), 3)
    if kind != "gray":
        assert encoded.find_cameras(excerpt.kept) == ()


def test_frames_of_several_sizes_have_no_camera() -> None:
    frames = [np.zeros((64 + index % 2, 64, 3), np.uint8) for index in range(24)]
    assert encoded.find_cameras(frames) == ()


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few cameras on small frames: what is found is only near."""
    numbers = {"FIRST": 24, "KEPT": 6, "GENERATIONS": 0, "CHILDREN": 10, "HEIGHT": 96, "WIDTH": 128}
    for name, value in {**numbers, "MAX_DISTANCE": 4.0}.items():
        monkeypatch.setattr(encoded, name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_what_the_encoder_got_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "GENERATIONS", 4)
    true = camera()
    excerpt = encoded.Excerpt(shot(true, 0))
    frames = [excerpt.kept[index] for index, _ in enumerate(excerpt)]
    told: list[str] = []
    found = encoded.find_cameras(frames, announce=told.append)
    assert len(told) == 4
    assert found
    assert list(found) == sorted(found, key=lambda each: each.distance)
    shift, sigma = moving_luma(true)
    found_shift, found_sigma = moving_luma(camera(found[0].spec))
    assert found_sigma == pytest.approx(sigma, rel=0.4)
    assert found_shift == pytest.approx(shift, abs=4)


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_threads_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST", 6), ("KEPT", 2), ("MAX_DISTANCE", 1000)):
        monkeypatch.setattr(encoded, name, value)
    kept = [each[:96, :128] for each in shot(camera(), 0, 12)]
    one, two = (encoded.find_cameras(kept, threads=threads) for threads in (1, 2))
    assert len(one) == 2
    assert one == two


@pytest.mark.slow
@pytest.mark.usefixtures("short_search")
def test_what_no_encoder_made_has_no_camera() -> None:
    part = scene()[:96, :128]
    frames = [noise.gaussian(6).add(part, np.random.default_rng(n)) for n in range(12)]
    assert encoded.find_cameras(frames) == ()


@pytest.mark.slow
def test_a_file_with_cameras(tmp_path: Path) -> None:
    measured = measure.measure_noise(shot(camera(), 0))
    cameras = [encoded.LikeCamera(with_numbers(NUMBERS + n).spec, 0.1 * n) for n in (1, 2)]
    file = tmp_path / "camera.toml"
    noise_file.write_noise_file(file, measured, "a camera", cameras=cameras)
    found = noise.parse(str(file))
    assert isinstance(found, Mixture)
    assert found.shares == (0.2, 0.4, 0.4)
    assert [kind.spec for kind in found.kinds[1:]] == [each.spec for each in cameras]
    noise_file.write_noise_file(tmp_path / "alone.toml", measured, "a camera")
    assert found.kinds[0] == noise.parse(str(tmp_path / "alone.toml"))
    assert noise.parse(found.spec) == found  # as a recipe keeps it
    three = [*cameras, encoded.LikeCamera(SPEC, 0.3)]
    noise_file.write_noise_file(file, measured, "a camera", overwrite=True, cameras=three)
    found = noise.parse(str(file))
    again = noise.parse(found.spec)
    assert isinstance(again, Mixture)
    assert again.shares == pytest.approx((0.2, *[0.8 / 3] * 3))
    assert len(short_name(found.spec)) < 250
    text = file.read_text()
    for value in ('"none"', '["gaussian:5"]', "[]", '["camera:drawn=AAAA"]'):
        start, end = text.index("cameras = ["), text.index("distance =")
        file.write_text(f"{text[:start]}cameras = {value}\n{text[end:]}")
        with pytest.raises(NoiseError, match="camera"):
            noise.parse(str(file))


@pytest.mark.slow
def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    def find(kept: list[Pixels], **_: object) -> tuple[encoded.LikeCamera, ...]:
        asked.append(len(kept))
        return (encoded.LikeCamera(SPEC, 0.25),)

    monkeypatch.setattr("edgecae.commands.noise.find_cameras", find)
    for index, frame in enumerate(shot(camera(), 0)):
        Image.fromarray(frame).save(tmp_path / f"{index:02}.png")
    file = tmp_path / "camera.toml"
    given = [str(tmp_path), "--encoded", "-o", str(file)]
    done = CliRunner().invoke(command, [*given, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert asked == [24]
    assert result["encoded"] == [{"spec": SPEC, "distance": 0.25}]
    assert not any("lasts" in each for each in result["warnings"])
    assert isinstance(noise.parse(str(file)), Mixture)
