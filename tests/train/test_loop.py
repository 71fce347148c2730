from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training import SHAPES
from training import tiny as settings

from edgecae.errors import RecipeError
from edgecae.media import images
from edgecae_train import architectures, channels, loop, phase, recipe, shipped, weights
from edgecae_train._tf import tf
from edgecae_train.architectures.layers import Dropout, UnitInterval
from edgecae_train.architectures.unet import UNet
from edgecae_train.quantization.quantize import quantize

pytestmark = pytest.mark.slow


def test_a_run_holds_everything(run: Path) -> None:
    there = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert there >= {
        "recipe.toml", "history.csv", "curves.png", "samples.png", "checkpoints/last.npz",
        "checkpoints/best.weights.h5", "float.weights.h5", "qat.weights.h5",
    }  # fmt: skip
    assert not [name for name in there if ".tmp" in name]
    for name in ("curves.png", "samples.png"):
        assert np.array(Image.open(run / name)).std() > 5
    assert recipe.read(run / "recipe.toml").made_with["tensorflow"].startswith("2.")


def test_the_history_tells_the_whole_story(run: Path) -> None:
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert [(r["phase"], r["step"]) for r in rows] == [
        ("float", "10"), ("float", "20"), ("float", "30"), ("qat", "0"), ("qat", "10"),
    ]  # fmt: skip
    for row in rows:
        low, high = (0, 1) if row["phase"] == "float" else (1, 14)  # charbonnier, psnr
        assert row["step"] == "0" or low < float(row["loss"]) < high
        assert 3 < float(row["psnr gaussian:25"]) < 50


def test_training_learns(photos: Path, tmp_path: Path) -> None:
    changes = {"float.steps": 120, "float.learning_rate": 4e-3, "qat.steps": 0}
    loop.train(settings(photos, validate_every=10, **changes), tmp_path / "run")
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert float(rows[-1]["psnr"]) > float(rows[0]["psnr"]) + 2
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", (0 + 0.1**2) / 2),
        ("l1", (0 + 0.1) / 2),
        ("charbonnier", (1e-3 + 0.1) / 2),
        ("rmse", (1e-3 + 0.1) / 2),
        ("psnr", (0 + np.log(1 + 0.1**2 / 1e-6)) / 2),
    ],
)
def test_losses_of_a_perfect_patch_and_one_that_is_off_by_a_tenth(
    loss: str, expected: float
) -> None:
    error = tf.constant(np.stack([np.zeros((4, 4, 3)), np.full((4, 4, 3), -0.1)]), tf.float32)
    assert float(phase.loss_of(loss)(error)) == pytest.approx(expected, rel=1e-3)


def test_a_phase_begins_with_many_small_patches(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, place = [], phase.Phase.place

    def watched(self: phase.Phase, batch: Any) -> Any:
        shapes.append(batch[0].shape)
        return place(self, batch)

    monkeypatch.setattr(phase.Phase, "place", watched)
    early = {"float.early.steps": 3, "float.early.batch": 8, "float.early.patch": 16}
    changes = {"float.steps": 5, "qat.steps": 0, **early}
    loop.train(settings(photos, **changes), tmp_path / "run")
    assert shapes == [(8, 16, 16, 3)] * 3 + [(4, 32, 32, 3)] * 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains(precision: str, photos: Path, tmp_path: Path) -> None:
    said: list[str] = []
    changes = {"precision": precision, "float.steps": 10, "qat.steps": 0}
    loop.train(settings(photos, **changes), tmp_path / "run", announce=said.append)
    assert f"mixed_{precision}" in said[0]
    values = weights.read_weights(tmp_path / "run" / "float.weights.h5")[2]
    assert all(np.isfinite(v).all() for v in values.values())


def test_early_stopping(photos: Path, tmp_path: Path) -> None:
    """A rate of next to nothing brings nothing better, so patience runs out."""
    changes = {"float.learning_rate": 1e-30, "float.steps": 400, "qat.steps": 0, "patience": 2}
    loop.train(settings(photos, validate_every=2, **changes), tmp_path / "run")
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 1 + 3


def test_a_run_that_was_killed_after_early_stopping_stays_stopped(
    photos: Path, tmp_path: Path
) -> None:
    changes = {"float.learning_rate": 1e-30, "float.steps": 400, "qat.steps": 0, "patience": 2}
    chosen, out = settings(photos, validate_every=2, **changes), tmp_path / "run"
    loop.train(chosen, out)
    before = (out / "history.csv").read_text()
    for name in ("float.weights.h5", "history.csv"):
        (out / name).unlink()
    loop.train(chosen, out, resume=True)
    assert (out / "history.csv").read_text() == before
    assert (out / "float.weights.h5").exists()


def test_images_must_be_those_that_the_run_began_with(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    chosen = settings(folder, **{"float.steps": 2, "qat.steps": 0})
    loop.train(chosen, tmp_path / "run")
    shutil.copy(photos / "hat.png", folder / "another.png")
    with pytest.raises(RecipeError, match="not those that the run began with"):
        loop.train(chosen, tmp_path / "run", resume=True)
    with pytest.raises(RecipeError, match="would be trained on"):
        loop.train(chosen, folder / "run")


def test_the_loss_scale_of_float16_is_part_of_a_checkpoint() -> None:
    from edgecae_train import architectures, devices
    from edgecae_train._tf import keras

    strategy = devices.choose("one").strategy
    with strategy.scope():
        networks = [architectures.get("small").build(p) for p in ("mixed_float16", "float32")]
        loss = phase.picture_loss(networks[0], "mse")
        built = phase.Phase(*networks, strategy, loss, "muon", 0.0, 0.0)
    assert isinstance(built.optimizer, keras.mixed_precision.LossScaleOptimizer)
    scale, counter = built.variables[-2:]
    assert counter is built.optimizer.dynamic_counter
    assert scale.numpy() == built.optimizer.loss_scale.numpy() == 2.0**15
    scale.assign(2.0**7)  # as a checkpoint does
    assert built.optimizer.loss_scale.numpy() == 2.0**7


def test_a_run_starts_from_other_weights(run: Path, photos: Path, tmp_path: Path) -> None:
    architecture, _, values = weights.read_weights(run / "float.weights.h5")
    start = channels.Start(architecture, values)
    changes = {"model": run.name, "float.steps": 0, "qat.steps": 2, "qat.learning_rate": 1e-12}
    loop.train(settings(photos, **changes), tmp_path / "new", start=start)
    again = weights.read_weights(tmp_path / "new" / "float.weights.h5")[2]
    assert all((values[name] == again[name]).all() for name in again)
    architecture, _, qat = weights.read_weights(tmp_path / "new" / "qat.weights.h5")
    assert any(name.endswith("_max") for name in qat)
    # Channels were rescaled and kernels rounded, and the result is nearly what it was.
    networks = architecture.build(training=False), quantize(architecture)
    picture = images.read(photos / "face.png").pixels[None, :96, :96] / np.float32(255)
    results = []
    for network, values in zip(networks, (again, qat), strict=True):
        weights.load_weights(network, values)
        results.append(np.asarray(network(picture, training=False)))
    assert 0 < np.abs(results[0] - results[1]).mean() < 2 / 255


def test_a_run_starts_from_a_network_of_other_widths(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped nano, made wider, computes what it did."""
    wider = UNet((20, 30, 40), (0, 0, 1), (1, 0), features=18)
    monkeypatch.setitem(architectures.ARCHITECTURES, "wider", wider)
    changes = {"model": "wider", "float.steps": 0, "qat.steps": 1}
    nano = weights.read_weights(shipped.find_weights("nano"))
    start = channels.Start(nano[0], nano[2])
    loop.train(settings(photos, **changes), tmp_path / "run", start=start)
    fitted, _, values = weights.read_weights(tmp_path / "run" / "float.weights.h5")
    picture = images.read(photos / "face.png").pixels[None, :96, :96] / np.float32(255)
    results = []
    for architecture, given in ((nano[0], nano[2]), (fitted, values)):
        network = architecture.build(training=False)
        weights.load_weights(network, given)
        results.append(np.asarray(network(picture, training=False)))
    np.testing.assert_allclose(results[1], results[0], atol=1e-5)


def test_a_part_of_the_layers_is_trained(photos: Path, tmp_path: Path) -> None:
    numbers = {"channels": [8, 12], "down": [0, 1], "up": [1], "coarse": [8, 12]}
    changes = {"model": "nano", "architecture": numbers, "float.steps": 3, "qat.steps": 0}
    loop.train(settings(photos, **changes), tmp_path / "start")
    architecture, _, before = weights.read_weights(tmp_path / "start" / "float.weights.h5")
    start = channels.Start(architecture, before)
    part = settings(photos, **changes, **{"float.trained": "coarse_"})
    loop.train(part, tmp_path / "run", start=start)
    after = weights.read_weights(tmp_path / "run" / "float.weights.h5")[2]
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert "coarse_to_image/kernel" in moved
    assert all(name.startswith("coarse_") for name in moved)
    none = settings(photos, **changes, **{"float.trained": "fine_"})
    with pytest.raises(RecipeError, match="trained begins with 'fine_'"):
        loop.train(none, tmp_path / "none", start=start)


def test_only_what_starts_from_random_weights_leaks(photos: Path, tmp_path: Path) -> None:
    smallest = replace(architectures.get("nano"), **SHAPES["nano"])
    values = {name: v.numpy() for name, v in weights.named_weights(smallest.build()).items()}
    given = channels.Start(smallest, values)

    def history(leak: float, start: channels.Start | None) -> str:
        changes = {"model": "nano", "float.steps": 2, "qat.steps": 0, "validate_every": 2}
        out = tmp_path / f"{leak}-{start is None}"
        loop.train(settings(photos, **changes, **{"float.leak": leak}), out, start=start)
        return (out / "history.csv").read_text()

    assert history(0.0, given) == history(0.9, given)
    assert history(0.0, None) != history(0.9, None)


def test_what_does_not_fit_is_refused(run: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds a run already"):
        loop.train(settings(photos), run)
    with pytest.raises(RecipeError, match="another recipe"):
        loop.train(settings(photos, seed=77), run, resume=True)
    with pytest.raises(RecipeError, match="no run to resume"):
        loop.train(settings(photos), tmp_path / "none", resume=True)
    with pytest.raises(RecipeError, match="no multiple"):
        loop.train(settings(photos, **{"float.patch": 33}), tmp_path / "odd")
    with pytest.raises(RecipeError, match="weights to start from"):
        loop.train(settings(photos, **{"float.steps": 0}), tmp_path / "qat")
    with pytest.raises(RecipeError, match="no multiple"):
        loop.train(
            settings(photos, **{"float.early.steps": 1, "float.early.patch": 33}),
            tmp_path / "early",
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="can't be made"):
        loop.train(settings(photos), tmp_path / "file" / "run")
    architecture, _, values = weights.read_weights(run / "float.weights.h5")
    wrong = {"nano": "classic", "classic": "nano"}[run.name]
    start = channels.Start(architecture, values)
    with pytest.raises(RecipeError, match="another architecture"):
        loop.train(settings(photos, model=wrong), tmp_path / "wrong", start=start)


def test_a_loss_that_blows_up_ends_the_run(photos: Path, tmp_path: Path) -> None:
    changes = {"float.learning_rate": 1e38, "float.warmup": 0, "clip_norm": 0.0}
    with pytest.raises(RecipeError, match="not finite"):
        loop.train(settings(photos, **changes), tmp_path / "run")


def test_weights_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_text("no HDF5")
    for name in ("x.h5", "missing.h5"):
        with pytest.raises(RecipeError, match=name):
            weights.read_weights(tmp_path / name)


def test_dropout_is_keyed_by_its_counter() -> None:
    ones = tf.ones((1, 64, 64, 4))
    layers = [Dropout(0.25) for _ in range(2)]
    first, second = ([layer(ones, training=True).numpy() for _ in range(2)] for layer in layers)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert (first[0] == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert first[0].max() == pytest.approx(1 / 0.75)
    np.testing.assert_array_equal(layers[0](ones, training=False), ones)


def test_the_result_learns_beyond_its_bounds() -> None:
    x = tf.Variable([-0.5, 0.5, 1.5])
    for through, expected in ((True, [1, 1, 1]), (False, [0, 1, 0])):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(UnitInterval(straight_through=through)(x, training=True))
        assert tape.gradient(y, x).numpy().tolist() == expected
    assert UnitInterval(straight_through=True)(x).numpy().tolist() == [0, 0.5, 1]
