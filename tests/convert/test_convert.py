from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from training import TINY

from edgecae import Denoiser, noise
from edgecae.denoise.float_runner import file_denoiser
from edgecae.errors import ModelFileError, QualityError, RecipeError, SinkError
from edgecae.tflite import graph as graphs
from edgecae_convert import export, verify
from edgecae_convert.conversion import convert
from edgecae_convert.report import results as report
from edgecae_train import evaluate, loop, recipe, weights
from edgecae_train.architectures import ARCHITECTURES
from edgecae_train.quantization import quantize

pytestmark = pytest.mark.slow

ANY = 100.0
"""A loss that any conversion stays below."""


def test_an_int8_file_is_int8_throughout(run: Path, made: report.ConversionResults) -> None:
    assert made.model.dtypes == {"int8", "int32"}
    assert {op.dtype for op in made.model.ops if op.macs} == {"int8"}
    assert not {"QUANTIZE", "DEQUANTIZE"} & {op.op for op in made.model.ops[:-1]}
    metadata = made.model.metadata
    assert metadata.name == run.name
    assert metadata.recipe == recipe.digest(recipe.read(run / "recipe.toml"))
    assert set(metadata.quality["int8"]) == {f"gaussian:{s}" for s in (5, 15, 25, 50)}
    text = report.text(made)
    for expected in ("CONV_2D", "kMAC/pixel", "gaussian:25", "padded channels"):
        assert expected in text


def test_the_file_computes_what_the_qat_network_computes(
    run: Path, made: report.ConversionResults, photo: np.ndarray
) -> None:
    architecture, _, values = weights.read_weights(run / "qat.weights.h5")
    network = quantize.quantize(architecture)
    weights.load_weights(network, values)
    expected = evaluate.keras_denoiser(network)(photo).astype(int)
    with Denoiser(made.model.path) as denoiser:
        got = denoiser.process(photo).astype(int)
    assert np.abs(got - expected).max() <= 5
    assert np.abs(got - expected).mean() < 0.5


def test_the_same_run_gives_the_same_bytes(
    run: Path, made: report.ConversionResults, tmp_path: Path
) -> None:
    again = convert(run, tmp_path / "again.tflite", max_drop=ANY)
    assert again.model.path.read_bytes() == made.model.path.read_bytes()


def test_a_float_file_is_the_float_network(run: Path, tmp_path: Path, photo: np.ndarray) -> None:
    made = convert(run, tmp_path / "model.tflite", precision="float32")
    assert "int8" not in made.model.dtypes
    architecture, _, values = weights.read_weights(run / "float.weights.h5")
    network = architecture.build()
    weights.load_weights(network, values)
    got = file_denoiser(made.model, 2)(photo).astype(int)
    assert np.abs(got - evaluate.keras_denoiser(network)(photo)).max() <= 1
    with pytest.raises(ModelFileError, match="float model"):
        Denoiser(made.model.path)


def test_a_run_for_a_camera_needs_its_noise_file_no_more(photos: Path, tmp_path: Path) -> None:
    """Trained, resumed after the file has gone, moved and converted."""
    camera = tmp_path / "camera.toml"
    camera.write_text("# by night\ngain = [0.1, 0.2, 0.4]\nread = [2.0, 1.0, 4.0]\n")
    settings = recipe.with_changes(
        recipe.Recipe(), {**TINY, "data": str(photos), "noise": str(camera)}
    )

    class KilledError(Exception):
        pass

    def kill(event: loop.Event) -> None:
        if (event.phase, event.step) == ("float", 25):
            raise KilledError

    run, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(KilledError):
        loop.train(settings, run, report=kill)
    camera.unlink()
    loop.train(recipe.read(run / "recipe.toml"), run, resume=True)
    run.rename(moved)
    assert (moved / "noise.toml").read_text().startswith("# by night")
    for name in ("recipe.toml", "history.csv"):
        assert "camera.toml" not in (moved / name).read_text()
    metadata = convert(moved, max_drop=ANY).model.metadata
    assert metadata.noise == "poisson-gaussian:0.1/0.2/0.4,2/1/4"
    assert metadata.noise in metadata.quality["int8"]
    assert str(tmp_path) not in metadata.to_json()
    assert noise.parse(metadata.noise).channel_read == (0.5, 0.25, 1.0)
    # White noise of σ 50, which it never met, is shown and decides nothing.
    assert "gaussian:50" in metadata.quality["int8"]
    with pytest.raises(QualityError, match=re.escape(f"(mean over {metadata.noise})")):
        convert(moved, tmp_path / "refused.tflite", max_drop=-ANY)


@pytest.mark.parametrize(
    ("drops", "complaint"),
    [
        ([0.4, 0.1, 0.1, 0.1], None),
        ([0.0, 0.1, 0.2, 0.1], "0.133 dB worse than the float network"),
        ([0.6, 0.0, 0.0, 0.0], "at gaussian:5 the file is 0.600 dB worse"),
        ([0.0, -5.0, 0.0, 0.0], None),
    ],
)
def test_the_limits(drops: list[float], complaint: str | None) -> None:
    reference = {"gaussian:5": 36.0, "gaussian:15": 32.0, "gaussian:25": 30.0, "gaussian:50": 27.0}
    converted = {k: v - drop for (k, v), drop in zip(reference.items(), drops, strict=True)}
    if complaint is None:
        verify.check_quality(reference, converted, 0.1 + 1e-9)
    else:
        with pytest.raises(QualityError, match=complaint):
            verify.check_quality(reference, converted, 0.1)


def test_an_existing_file_is_left_alone(some_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "precious.tflite"
    file.write_text("precious")
    with pytest.raises(SinkError, match="--overwrite"):
        convert(some_run, file)
    assert file.read_text() == "precious"


def test_what_is_no_finished_run(some_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        convert(tmp_path)
    (tmp_path / "recipe.toml").write_bytes((some_run / "recipe.toml").read_bytes())
    with pytest.raises(RecipeError, match=r"float\.weights\.h5"):
        convert(tmp_path)
    (tmp_path / "float.weights.h5").write_bytes((some_run / "float.weights.h5").read_bytes())
    with pytest.raises(RecipeError, match="QAT phase has not ended"):
        convert(tmp_path)


def test_biases_that_are_zero_stay_in_the_graph(photo: np.ndarray) -> None:
    architecture = ARCHITECTURES["classic"]
    model = architecture.build(training=False)
    assert not model.get_layer("decode1").bias.numpy().any()
    picture = photo[None, :64, :64] / np.float32(255)
    twin = quantize.quantize(architecture, quantize.calibrate(model, [picture]), model)
    assert "float32" not in graphs.decode(export.to_tflite(twin)).dtypes
