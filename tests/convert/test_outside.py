"""Networks that were trained elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA

from edgecae import Denoiser
from edgecae.commands.inspect import render
from edgecae.errors import ModelFileError, QualityError, RecipeError, SettingError
from edgecae.tflite import inspect
from edgecae_convert.conversion import convert
from edgecae_convert.foreign.network import open_model
from edgecae_convert.report.results import ConversionResults
from edgecae_train import shipped, weights
from edgecae_train._tf import keras, tf

pytestmark = pytest.mark.slow

ANY = 100.0
"""A loss that any conversion stays below."""


def network(library=keras, height=None, width=None, last=None):
    """A small image-to-image network, as anybody may write one."""
    library.utils.set_random_seed(0)
    layers = library.layers
    frame = layers.Input((height, width, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(frame)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", bias_initializer="ones")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Conv2D(3, 3, padding="same", name="out")(x)
    x = layers.Add()([x, frame])
    return library.Model(frame, last(x) if last else x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


def converted(path: Path, output: Path, **asked) -> ConversionResults:
    """Convert in this process, which has TensorFlow already; the sandbox would start it anew."""
    settings = {"ptq": True, "calibrate": str(DATA), "max_drop": ANY, "trust": True, **asked}
    return convert(path, output, **settings)


@pytest.mark.parametrize("form", ["model.h5", "model.keras", "saved"])
def test_a_network_trained_elsewhere(
    folder: Path, tmp_path: Path, form: str, photo: np.ndarray
) -> None:
    path, model = folder / form, network()
    model.export(str(path)) if form == "saved" else model.save(path)
    made = converted(path, tmp_path / "made.tflite", trust=False)
    assert made.refused is None
    assert made.model.dtypes == {"int8", "int32"}
    metadata = made.model.metadata
    assert (metadata.stride, metadata.halo, metadata.recipe) == (2, 5, "unknown")
    assert f"held out of {DATA}" in made.measured_on
    with Denoiser(made.model.path) as denoiser:
        got = denoiser.process(photo).astype(int)
    expected = np.clip(model(photo[None] / np.float32(255)).numpy()[0], 0, 1) * 255
    assert np.abs(got - expected).mean() < 3


def test_a_file_of_keras_3(tmp_path: Path) -> None:
    """Written by another process: this one has Keras 2."""
    path = tmp_path / "three.keras"
    code = (
        "import keras\n"
        "i = keras.layers.Input((None, None, 3))\n"
        "x = keras.layers.Conv2D(8, 3, padding='same', activation='relu')(i)\n"
        "x = keras.layers.Conv2D(3, 3, padding='same')(x)\n"
        f"keras.Model(i, keras.layers.Add()([x, i])).save({str(path)!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, capture_output=True)
    made = converted(path, tmp_path / "made.tflite")
    assert made.refused is None
    assert made.model.metadata.halo == 2


def test_a_network_of_one_size(tmp_path: Path) -> None:
    network(height=64, width=96).save(tmp_path / "fixed.h5")
    made = converted(tmp_path / "fixed.h5", tmp_path / "made.tflite")
    assert (made.model.open_size, made.model.frame_size) == (False, (64, 96))
    with pytest.raises(SettingError, match="frames of 96x64 alone"):
        converted(tmp_path / "fixed.h5", tmp_path / "other.tflite", size=(64, 64))


def test_operations_that_edgecae_does_not_stream(tmp_path: Path) -> None:
    layers = keras.layers
    padded = network(last=lambda x: layers.Cropping2D(1)(layers.ZeroPadding2D(1)(x)))
    padded.save(tmp_path / "padded.h5")
    made = converted(tmp_path / "padded.h5", tmp_path / "made.tflite")
    assert made.refused is not None
    assert "is PAD, which edgecae does not run" in made.use
    assert made.model.path.exists()
    assert made.model.dtypes <= {"int8", "int32"}
    found = inspect.inspect(made.model.path)
    assert found.refused in made.use
    assert found.refused in render(found)
    assert "PAD" in [op.op for op in found.file.ops]
    assert found.memory.peak > 0
    with pytest.raises(ModelFileError, match="can't be timed"):
        inspect.profile(found)
    with pytest.raises(SettingError, match="leave --size out"):
        inspect.inspect(made.model.path, (64, 64))


def test_operations_without_an_int8_form(tmp_path: Path) -> None:
    network(last=keras.layers.ELU()).save(tmp_path / "elu.h5")
    with pytest.raises(QualityError, match="not fully int8: it holds float32, made by ELU"):
        converted(tmp_path / "elu.h5", tmp_path / "made.tflite")
    assert not (tmp_path / "made.tflite").exists()


def test_code_is_refused_unless_the_user_insists(tmp_path: Path) -> None:
    proof, where = tmp_path / "it ran", str(tmp_path / "it ran")

    def code(x):
        import pathlib

        pathlib.Path(where).touch()
        return x

    for suffix in ("h5", "keras"):
        path = tmp_path / f"lambda.{suffix}"
        network(last=keras.layers.Lambda(code)).save(path)
        proof.unlink()
        with pytest.raises(RecipeError, match=r"layer .*Lambda.*--trust-code"):
            open_model(path, trust=False)
        assert not proof.exists()
    found = open_model(tmp_path / "lambda.h5", trust=True)
    assert proof.exists()
    assert found.stride == 2


def test_a_saved_model_that_writes_files(tmp_path: Path) -> None:
    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def __call__(self, frame):
            tf.io.write_file(str(tmp_path / "written"), "here")
            return frame

    model = Writes()
    tf.saved_model.save(
        model, str(tmp_path / "saved"), signatures={"serving_default": model.__call__}
    )
    with pytest.raises(RecipeError, match=r"not allowed \(WriteFile"):
        open_model(tmp_path / "saved", trust=False)
    assert not (tmp_path / "written").exists()


def test_weights_with_a_known_architecture(tmp_path: Path) -> None:
    """Those of Keras need to be told; edgecae's own say it themselves."""
    own = shipped.find_weights("nano")
    architecture, _, values = weights.read_weights(own)
    model = architecture.build(training=False)
    weights.load_weights(model, values)
    model.save_weights(tmp_path / "mine.weights.h5")
    ours = converted(own, tmp_path / "ours.tflite")
    theirs = converted(
        tmp_path / "mine.weights.h5", tmp_path / "theirs.tflite", architecture="nano"
    )
    assert theirs.model.metadata.name == "mine"
    assert theirs.converted == pytest.approx(ours.converted)
    assert theirs.quantized == "PTQ"
    with pytest.raises(RecipeError, match="does not hold weights of"):
        converted(tmp_path / "mine.weights.h5", tmp_path / "no.tflite", architecture="classic")


def test_what_can_not_be_converted(tmp_path: Path, some_run: Path) -> None:
    network().save(tmp_path / "model.h5")
    network(last=keras.layers.Conv2D(1, 1)).save(tmp_path / "gray.h5")
    (tmp_path / "text.keras").write_text("no")
    model = tmp_path / "model.h5"
    for path, asked, why in (
        (model, {"ptq": False}, "no QAT phase"),
        (model, {"calibrate": None}, "--calibrate FOLDER"),
        (model, {"architecture": "small"}, "brings its own"),
        (some_run, {"architecture": "small"}, "is a run"),
        (tmp_path / "gray.h5", {}, "does not make"),
        (tmp_path / "text.keras", {}, "is no Keras file"),
        (some_run / "qat.weights.h5", {}, "float phase are needed"),
        (tmp_path / "nothing", {}, "does not exist"),
    ):
        with pytest.raises(RecipeError, match=why):
            converted(path, tmp_path / "made.tflite", **asked)
    assert not (tmp_path / "made.tflite").exists()
