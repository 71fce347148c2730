"""Trainings whose noise is photographed: pairs and bursts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import DATA
from PIL import Image
from training import convert, tiny

from edgecae import noise
from edgecae.errors import DataError, RecipeError
from edgecae_train import command, loop, recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["pairs", "bursts"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures as pairs, or as three scenes of three shots each."""
    made = tmp_path_factory.mktemp(kind) / "data"
    for index, name in enumerate(("face", "hat", "badge")):
        clean = np.array(Image.open(DATA / f"{name}.png").convert("RGB"))[:96, :96]
        rng = np.random.default_rng(index)
        scene = made / name
        scene.mkdir(parents=True)
        if kind == "pairs":
            Image.fromarray(clean).save(scene / "clean.png")
            Image.fromarray(noise.gaussian(20).add(clean, rng)).save(scene / "noisy.png")
            continue
        for number in range(3):
            Image.fromarray(noise.gaussian(20).add(clean, rng)).save(scene / f"{number}.png")
    return made


@pytest.fixture(scope="module")
def finished(kind: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    return loop.train(settings(kind, folder), path)


def settings(kind: str, folder: Path, **changes: Any) -> recipe.Recipe:
    return recipe.with_changes(tiny(folder), {"data": "builtin", kind: str(folder), **changes})


FIGURE = {"pairs": "clean pictures", "bursts": "mean of other shots"}


def test_a_run_needs_nothing_but_its_directory(kind: str, finished: Path, tmp_path: Path) -> None:
    kept = sorted(path.name for path in (finished / "held_out").glob("*"))
    assert kept == ["00_clean.png", "00_noisy.png"]
    history = (finished / "history.csv").read_text().splitlines()
    assert f"psnr {FIGURE[kind]}" in history[0]
    results = convert(finished, tmp_path / "model.tflite")
    assert FIGURE[kind] in results.converted
    assert results.model.metadata.noise == kind
    assert {"gaussian:5", "gaussian:25"} <= results.converted.keys()


def test_post_training_quantization_takes_the_same_pictures(
    kind: str, finished: Path, folder: Path, tmp_path: Path
) -> None:
    results = convert(finished, tmp_path / "model.tflite", ptq=True)
    assert results.ranges == f"post-training, from noisy patches of the {kind} in {folder}"


def test_a_killed_run_goes_on(kind: str, folder: Path, tmp_path: Path) -> None:
    class KilledError(Exception): ...

    def kill(event: loop.Event) -> None:
        if event.step == 15:
            raise KilledError

    whole = loop.train(settings(kind, folder, deterministic=True), tmp_path / "whole")
    with pytest.raises(KilledError):
        loop.train(settings(kind, folder, deterministic=True), tmp_path / "run", report=kill)
    loop.train(recipe.read(tmp_path / "run" / "recipe.toml"), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "history.csv").read_text() == (whole / "history.csv").read_text()


def test_moving_places_teach_nothing() -> None:
    """A step on a batch whose target counts nowhere changes no weight."""
    from edgecae_train._tf import tf
    from edgecae_train.architectures import get
    from edgecae_train.phase import Phase, picture_loss

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        networks = [get("nano").build(training=False) for _ in range(2)]
        loss = picture_loss(networks[0], "mse")
        phase = Phase(*networks, strategy, loss, "adam", 0.0, 0.0)
    noisy, target = np.zeros((2, 2, 32, 32, 3), np.uint8) + np.uint8([[[[[9]]]], [[[[99]]]]])
    before = [weight.numpy() for weight in networks[0].trainable_weights]
    nowhere = np.zeros((2, 32, 32, 1), np.uint8)
    assert float(phase.step(phase.place((noisy, target, nowhere)), 1e-2, 0)) == 0
    same = [
        np.array_equal(a, b) for a, b in zip(before, networks[0].trainable_weights, strict=True)
    ]
    assert all(same)
    assert float(phase.step(phase.place((noisy, target, 1 - nowhere)), 1e-2, 1)) > 0


def test_on_the_command_line(kind: str, folder: Path, tmp_path: Path) -> None:
    steps = ["--steps", "2", "--qat-steps", "0", "--batch", "2", "--patch", "32"]
    given = [f"--{kind}", str(folder), "--out", str(tmp_path / "run"), "--init", "nano", *steps]
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 0, done.output
    assert (
        f"validated on 1 noisy pictures that are held out, against the {FIGURE[kind]}"
        in done.output
    )
    assert recipe.read(tmp_path / "run" / "recipe.toml").photographed == (kind, str(folder))
    for others in (["--noise", "gaussian:5"], ["--data", "builtin"]):
        done = CliRunner().invoke(command.command, [*given, *others])
        assert done.exit_code == 2
        assert "three ways to learn" in done.output


def test_what_does_not_go_together(kind: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="pairs and bursts are two trainings"):
        settings(kind, folder, pairs="a", bursts="b")
    with pytest.raises(RecipeError, match="is one number"):
        settings(kind, folder, detail=(1, 2))
    with pytest.raises(RecipeError, match="it would be trained on"):
        loop.train(settings(kind, folder), folder / "run")
    with pytest.raises(DataError, match="a patch of 2048 is too large"):
        loop.train(settings(kind, folder, **{"float.patch": 2048}), tmp_path / "run")
