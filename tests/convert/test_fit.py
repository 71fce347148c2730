"""``edgecae fit``: from a stand-in for a camera to a model file."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import DATA, ROOT
from numpy.typing import NDArray
from PIL import Image

from edgecae import models, noise
from edgecae.errors import SettingError, SinkError
from edgecae.noise import encoded
from edgecae.noise.camera import CameraNoise
from edgecae.noise.mixture import Mixture
from edgecae_convert.fit import command, fitting, frames, judging, plan
from edgecae_convert.fit.plan import Fit
from edgecae_train import recipe, run
from edgecae_train.data import images as data_images
from edgecae_train.data import synthetic

pytestmark = pytest.mark.slow

TRAINING = dict(plan.TRAINING)
generated = functools.cache(synthetic.generate)
CAMERA = "test:160x128?frames=8&noise=camera:level=9"
QUICK = {
    "float.batch": 2,
    "float.patch": 32,
    "float.warmup": 0,
    "qat.patch": 32,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, quick_calibration: None) -> None:
    """Few small patches, few pictures, each generated once for all tests."""
    monkeypatch.setattr(plan, "TRAINING", {**plan.TRAINING, **QUICK})
    monkeypatch.setattr(plan, "MAX_STEPS", 20)
    monkeypatch.setattr(data_images.Builtin, "window", 2)
    monkeypatch.setattr(synthetic, "generate", generated)


def test_the_recipe_is_the_one_of_the_command() -> None:
    made = recipe.with_changes(recipe.Recipe(), {**TRAINING, "float.steps": 1000})
    assert made == recipe.read(ROOT / "recipes" / "fit.toml")


def test_a_camera_becomes_a_model_and_never_a_worse_one(tmp_path: Path) -> None:
    output = tmp_path / "mine.tflite"
    given = [CAMERA, "-o", str(output), "--model", "nano", "--json"]
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert [each["on"] for each in result["gains"]] == [
        "frames of the source, against the mean of the others",
        "held-out photos with the measured noise",
    ]
    fitted = tmp_path / "mine.fit" / "fitted.tflite"
    kept = {"shipped": models.find_model("nano"), "fitted": fitted}[result["kept"]]
    assert output.read_bytes() == kept.read_bytes()
    worst = min(each["gain"] for each in result["gains"])
    assert result["kept"] == "shipped" or worst >= -0.02
    assert list(result["seconds"]) == ["record", "measure", "train", "convert", "judge"]
    with Image.open(result["picture"]) as picture:
        assert picture.width > 4 * 64
    assert len(list((tmp_path / "mine.fit" / "frames").glob("*.png"))) == 8
    noise.parse(str(tmp_path / "mine.fit" / "noise.toml"))
    # It is done: the same command says that the file is there, and with another name is quick.
    assert CliRunner().invoke(command.command, given).exit_code == 1
    again = CliRunner().invoke(command.command, [*given, "--overwrite"])
    assert json.loads(again.stdout)["kept"] == result["kept"]
    assert json.loads(again.stdout)["warnings"] == result["warnings"]
    assert json.loads(again.stdout)["seconds"]["record"] < 1


def test_steps_that_are_asked_for_need_no_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []

    class EnoughError(Exception): ...

    def enough(event: run.Event) -> None:
        seen.append((event.step, event.steps))
        raise EnoughError

    @contextlib.contextmanager
    def progress(console: object) -> Iterator[Callable[[run.Event], None]]:
        yield enough

    monkeypatch.setattr(command, "progress", progress)
    given = [CAMERA, "-o", str(tmp_path / "mine.tflite"), "--model", "nano", "--steps", "70"]
    done = CliRunner().invoke(command.command, given)
    assert isinstance(done.exception, EnoughError), done.output
    assert seen == [(1, 70)]
    assert "steps of" not in done.stderr


@pytest.mark.parametrize("kind", ["pairs", "bursts"])
def test_pairs_and_bursts(kind: str, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for scene in range(2):
        clean = photo[:, 20 * scene : 20 * scene + 96]
        folder = tmp_path / kind / f"scene{'ab'[scene]}"
        folder.mkdir(parents=True)
        names = ["noisy", "clean"] if kind == "pairs" else ["0", "1", "2"]
        for name in names:
            pixels = clean if name == "clean" else noise.gaussian(25).add(clean, rng)
            Image.fromarray(pixels).save(folder / f"{name}.png")
    asked = Fit(model="nano", steps=20, **{kind: str(tmp_path / kind)})
    result = fitting.fit(asked, tmp_path / "mine.tflite")
    assert len(result.gains) == 1
    against = {"pairs": "clean pictures", "bursts": "mean of other shots"}[kind]
    assert result.gains[0].on == f"held-out {kind}, against the {against}"
    assert (tmp_path / "mine.tflite").exists()


def test_the_verdict() -> None:
    def gain(*gains: float) -> list[judging.Gain]:
        return [judging.Gain(f"set {i}", 1, 20, 30, 30 + each) for i, each in enumerate(gains)]

    assert judging.verdict(gain(0.5, -0.01))[0]
    kept, why = judging.verdict(gain(0.5, -0.03))
    assert not kept
    assert "0.03 dB worse on set 1" in why
    kept, why = judging.verdict(gain(0.03, 0.01))
    assert not kept
    assert "the shipped model is as good" in why


def test_what_is_worse_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Noise of another kind than the source has: learning rates beyond reason ruin the rest."""
    monkeypatch.setattr(plan, "TRAINING", {**plan.TRAINING, "float.learning_rate": 0.3})
    asked = Fit(CAMERA, data=str(DATA), model="nano", steps=20)
    result = fitting.fit(asked, tmp_path / "mine.tflite")
    assert result.kept == "shipped"
    assert result.why
    assert (tmp_path / "mine.tflite").read_bytes() == models.find_model("nano").read_bytes()


def test_frames_of_a_still_scene_are_judged_on_and_others_are_not(
    photo: NDArray[np.uint8], photos: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    still, mixed = tmp_path / "still", tmp_path / "mixed"
    still.mkdir()
    mixed.mkdir()
    for index in range(6):
        noisy = noise.gaussian(15).add(photo, rng)
        Image.fromarray(noisy).save(still / f"{index}.png")
        turned = np.rot90(np.roll(photo, 40 * index, (0, 1)), index)
        Image.fromarray(noise.gaussian(15).add(turned, rng)).save(mixed / f"{index}.png")
    pairs = frames.judging_pairs(still)
    assert len(pairs) == frames.JUDGED
    noisy, target = pairs[0]
    # The noise of a frame and of the mean of five others; less where it is clipped.
    assert 15 < np.std(noisy - target.astype(float)) < 15 * np.sqrt(1 + 1 / 5)
    assert frames.judging_pairs(mixed) == []


def test_frames_of_video_get_cameras_before_an_encoder(
    monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    spec = "camera:level=40-40,raw=1,jpeg=0,video=1,chroma=0,seed=205"
    camera = noise.parse(spec)
    assert isinstance(camera, CameraNoise)
    shot = list(camera.still_frames(photo, np.random.default_rng(0), 24))
    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(shot):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{index:04}.png")
    asked: list[int] = []

    def find(kept: list[NDArray[np.uint8]], **_: object) -> tuple[encoded.LikeCamera, ...]:
        asked.append(len(kept))
        return (encoded.LikeCamera(spec, 0.1),)

    monkeypatch.setattr(encoded, "find_cameras", find)
    warnings = fitting._measured(Fit(source="video"), tmp_path, lambda line: None)
    assert asked == [24]
    assert not any("lasts" in each for each in warnings)
    found = noise.parse(str(tmp_path / "noise.toml"))
    assert isinstance(found, Mixture)
    assert spec in found.spec
    # It is judged against what the camera saw, which the mean of frames is not.
    mean = np.rint(np.mean(shot, axis=0)).astype(np.uint8)
    before, after = (
        abs(float((each - photo.astype(float)).mean()))
        for each in (mean, fitting._scene(found, mean))
    )
    assert before > 2
    assert after < 0.6 * before

    (tmp_path / "noise.toml").unlink()
    monkeypatch.setattr(encoded, "find_cameras", lambda *_, **__: ())
    said: list[str] = []
    warnings = fitting._measured(Fit(source="video"), tmp_path, said.append)
    assert said[-1] == "no such camera is found: what still frames show is used"
    assert any("lasts" in each for each in warnings)
    assert not isinstance(noise.parse(str(tmp_path / "noise.toml")), Mixture)


def test_another_question_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    fitting._claim(work, Fit("test:64x64", minutes=5))
    fitting._claim(work, Fit("test:64x64", minutes=5))
    with pytest.raises(SettingError, match=r"holds a fit with minutes 5, not 6: name another"):
        fitting._claim(work, Fit("test:64x64", minutes=6))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with pytest.raises(SettingError, match="is no folder of a fit"):
        fitting._claim(tmp_path / "photos", Fit("test:64x64"))
    (tmp_path / "there.tflite").touch()
    with pytest.raises(SinkError, match="exists"):
        fitting.fit(Fit("test:64x64"), tmp_path / "there.tflite")


@pytest.mark.parametrize("given", [[], ["0", "--pairs", "p"], ["--bursts", "b", "--data", "d"]])
def test_what_does_not_go_together(given: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(command.command, [*given, "-o", str(tmp_path / "mine.tflite")])
    assert done.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_interrupted_and_asked_again(tmp_path: Path) -> None:
    """SIGINT in the middle of training ends the process with 130; the same command goes on."""
    code = (
        "from edgecae.commands import cli; from edgecae_convert.fit import fitting, plan\n"
        f"plan.TRAINING |= {QUICK!r}; plan.MAX_STEPS = fitting.VALIDATIONS = 1000\n"
        "cli.main()"
    )
    given = ["fit", CAMERA, "--data", str(DATA), "-o", "mine.tflite", "--model", "nano"]
    process = subprocess.Popen([sys.executable, "-c", code, *given], cwd=tmp_path)
    checkpoint = tmp_path / "mine.fit" / "run" / "checkpoints" / "last.npz"
    try:
        deadline = time.monotonic() + 900
        while not checkpoint.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "mine.tflite").exists()
    run = checkpoint.parent.parent
    # The rest would take minutes: the first step that follows says where it goes on.
    from edgecae_train import loop

    class EnoughError(Exception): ...

    def enough(event: loop.Event) -> None:
        steps.append(event.step)
        raise EnoughError

    steps: list[int] = []
    asked = Fit(CAMERA, data=str(DATA), model="nano")
    with pytest.raises(EnoughError):
        fitting.fit(asked, tmp_path / "mine.tflite", report=enough)
    assert steps[0] > 1
    assert recipe.read(run / "recipe.toml").float_phase.steps == 1000
