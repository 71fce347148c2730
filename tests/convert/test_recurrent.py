"""A trained gate becomes a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgecae import Denoiser, models
from edgecae.errors import ModelFileError, QualityError, RecipeError
from edgecae.tflite import model_file
from edgecae_convert import command, conversion, recurrent
from edgecae_train import architectures, evaluate, loop, recipe, training_set, weights

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of twelve."""
    all_of = recurrent._clips

    def few(path: Path, name: str, noise: str | None) -> Any:
        settings, clips, where = all_of(path, name, noise)
        return settings, clips[:2], where

    monkeypatch.setattr(recurrent, "_clips", few)


@pytest.mark.parametrize("name", models.video_names())
def test_a_shipped_model_is_what_its_weights_make(name: str, tmp_path: Path) -> None:
    # Of two clips alone, the mean over all noises says little.
    results = recurrent.convert(Path(name), tmp_path / "made.tflite", max_drop=0.2)
    shipped, made = (
        model_file.read(path) for path in (models.find_model(name), tmp_path / "made.tflite")
    )
    assert [t.name for t in made.graph.tensors] == [t.name for t in shipped.graph.tensors]
    for one, other in zip(made.graph.tensors, shipped.graph.tensors, strict=True):
        assert (one.data is None) == (other.data is None)
        if one.data is not None:
            np.testing.assert_array_equal(one.data, other.data)
    assert made.metadata.architecture == shipped.metadata.architecture
    assert made.metadata.noise == shipped.metadata.noise
    assert "camera:" in made.metadata.noise, "as recipes/nano-video-3.toml"
    for sigma, reference in results.reference.items():
        assert results.converted[sigma] > results.noisy[sigma]
        assert abs(reference - results.converted[sigma]) < 0.3


def test_a_gate_goes_before_another_model(tmp_path: Path) -> None:
    """And the first frame is that model's own, of a size that both strides pad alike."""
    made = tmp_path / "mine-video.tflite"
    still = models.find_model("small")
    given = ["nano-video", "--int8", "--still", str(still), "-o", str(made)]
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 0, done.output
    assert "clips of generated pictures" in done.output
    frame = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    with Denoiser(made) as video, Denoiser(still) as single:
        np.testing.assert_array_equal(video.process(frame), single.process(frame))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["nano-video"], "give --int8"),
        (["nano-video", "--float32"], "goes with --int8, --still, --noise and -o"),
        (["nano-video", "--int8", "--ptq"], "goes with --int8, --still, --noise and -o"),
        (["nano-video", "--int8", "--size", "64x64"], "goes with --int8, --still, --noise and -o"),
    ],
)
def test_what_a_gate_does_not_go_with_is_refused(given: list[str], why: str) -> None:
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 2
    assert why in done.output


def test_a_still_model_goes_with_a_gate_alone(tmp_path: Path) -> None:
    given = [str(tmp_path), "--int8", "--still", "nano.tflite"]
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 2
    assert "--still goes with a gate" in done.output


def test_models_that_a_gate_does_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="takes no fusion front"):
        recurrent.convert(
            Path("nano-video"), tmp_path / "x.tflite", still=models.find_model("classic")
        )
    assert not (tmp_path / "x.tflite").exists()


def test_a_gate_that_loses_too_much_is_not_written(tmp_path: Path) -> None:
    """Here any loss is too much, and a gain too small."""
    with pytest.raises(QualityError, match="worse than the float network"):
        recurrent.convert(Path("nano-video"), tmp_path / "x.tflite", max_drop=-1.0)
    assert not (tmp_path / "x.tflite").exists()


def test_a_run_counts_before_a_shipped_model_of_its_name(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_set, "HELD_OUT_FRAMES", 2)
    changes = {
        **recipe.OF_CLIPS,
        **{"model": "nano-video", "data": str(photos), "validate_every": 1, "frames": 2},
        **{"float.steps": 1, "float.batch": 1, "float.patch": 64},
    }
    run = loop.train(recipe.with_changes(recipe.Recipe(), changes), Path("nano-video"))
    made = recurrent.convert(run, max_drop=99, max_low_drop=99).model
    assert made.path == Path("nano-video/nano-video-int8.tflite")
    shipped = model_file.read(models.find_model("nano-video"))
    assert any(
        not np.array_equal(one.data, other.data)
        for one, other in zip(made.graph.tensors, shipped.graph.tensors, strict=True)
    )


def test_other_ways_refuse_a_gate(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recurrent\.convert takes it"):
        conversion.convert(Path("nano-video"), tmp_path / "x.tflite")
    with pytest.raises(RecipeError, match="no network for single frames"):
        evaluate.float_denoiser("nano-video")


def test_noise_is_told_of_weights_and_not_of_a_run(tmp_path: Path) -> None:
    made = recurrent.convert(
        Path("nano-video"), tmp_path / "x.tflite", noise="gaussian:25", max_low_drop=99
    ).model
    assert made.metadata.noise == "gaussian:25"
    assert list(made.metadata.quality["int8"]) == ["gaussian:25"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text('model = "nano-video"\nframes = 8\n')
    network = architectures.get("nano-video").build(training=False)
    weights.save_weights(
        tmp_path / "run" / "float.weights.h5", network, architectures.get("nano-video"), "float"
    )
    with pytest.raises(RecipeError, match="is a run, whose recipe says its noise"):
        recurrent.convert(tmp_path / "run", noise="gaussian:25")


def test_what_is_no_gate(tmp_path: Path) -> None:
    (tmp_path / "x.weights.h5").write_bytes(b"nothing")
    for path in (tmp_path, tmp_path / "x.weights.h5", tmp_path / "none", Path("nano")):
        assert not recurrent.is_gate(path)
    assert recurrent.is_gate(Path("nano-video"))
