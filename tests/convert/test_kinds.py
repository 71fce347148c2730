"""Networks as tutorials and other tools leave them: gray ones, other ranges, signatures, faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import DATA

from edgecae import Denoiser
from edgecae.errors import QualityError, RecipeError, SettingError
from edgecae_convert import c_header, conversion, verify
from edgecae_convert.command import command
from edgecae_convert.conversion import convert
from edgecae_convert.foreign import reading
from edgecae_convert.foreign.layers import checked
from edgecae_convert.foreign.network import open_model
from edgecae_convert.frames import FrameNetwork
from edgecae_convert.report import drawings
from edgecae_convert.report.results import ConversionResults
from edgecae_convert.trained_model import open_trained
from edgecae_train._tf import keras, tf

pytestmark = pytest.mark.slow

ANY = 100.0
"""A loss that any conversion stays below."""

FITTED = """
import sys
import numpy as np
import keras

def loss(a, b):
    return keras.ops.mean((a - b) ** 2)

frame = keras.layers.Input((None, None, 3))
x = keras.layers.Conv2D(4, 3, padding="same")(frame)
x = keras.layers.LeakyReLU(0.1)(x)
x = keras.layers.MaxPooling2D(2, padding="same")(x)
x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
x = keras.layers.MaxPooling2D(2, padding="same")(x)
x = keras.layers.UpSampling2D(2)(x)
x = keras.layers.Conv2D(3, 3, padding="same")(x)
model = keras.Model(frame, keras.layers.Add()([x, frame]))
model.compile("adam", loss=loss, metrics=["mae"])
some = np.random.default_rng(0).random((4, 16, 16, 3)).astype("float32")
model.fit(some, some, epochs=1, verbose=0)
model.save(sys.argv[1])
frame = np.random.default_rng(1).random((1, 32, 48, 3)).astype("float32")
np.save(sys.argv[2], [frame, model.predict(frame, verbose=0)])
"""
"""Compiled with a loss of its own, trained and saved by Keras 3."""


def converted(path: Path, output: Path, **asked: Any) -> ConversionResults:
    """Convert in this process, which has TensorFlow already; the sandbox would start it anew."""
    settings = {"ptq": True, "calibrate": str(DATA), "max_drop": ANY, "max_low_drop": ANY}
    return convert(path, output, **{"trust": True, **settings, **asked})


def loaded(path: Path, folder: Path, signature: str = "") -> FrameNetwork:
    """A network as its worker loads it: a copy that was checked."""
    scratch = folder / "scratch"
    scratch.mkdir()
    return reading.load(path, scratch, signature)[0]


def mean_error(file: Path, frame: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference of a file's result, uint8, and what is expected in [0, 1]."""
    with Denoiser(file) as denoiser:
        made = denoiser.process(frame).astype(float)
    return float(np.abs(made - np.clip(expected, 0, 1) * 255).mean())


def autoencoder(height: int | None = 28, width: int | None = 28) -> Any:
    """The denoising autoencoder that tutorials train on handwritten digits, with few channels."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    frame = layers.Input((height, width, 1))
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(frame)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, activation="relu", padding="same")(x)
    return keras.Model(frame, layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_of_gray_frames_saved_after_fit(tmp_path: Path, suffix: str) -> None:
    model = autoencoder()
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["mae"])
    some = np.random.default_rng(0).random((8, 28, 28, 1)).astype(np.float32)
    model.fit(some, some, epochs=1, verbose=0)
    path = tmp_path / f"digits{suffix}"
    model.save(path)
    made = converted(path, tmp_path / "made.tflite", trust=False)
    assert made.refused is None
    assert "a network of gray frames: colour ones go through it channel by channel" in made.use
    assert (made.model.frame_size, made.model.metadata.colour) == ((28, 28), "gray")
    header = c_header.header(made.model, "digits")
    assert "frames of 28x28, gray" in header
    assert "#define DIGITS_CHANNELS 1\n" in header
    frame = np.random.default_rng(1).integers(0, 256, (28, 28, 3), np.uint8)
    planes = frame.transpose(2, 0, 1)[..., None] / np.float32(255)
    expected = model.predict(planes, verbose=0)[..., 0].transpose(1, 2, 0)
    assert mean_error(made.model.path, frame[..., 0], expected[..., 0]) < 2
    assert mean_error(made.model.path, frame, expected) < 2
    with pytest.raises(SettingError, match="not split"):
        converted(path, tmp_path / "whole.tflite", split=True)


def test_a_network_of_gray_frames_of_any_size(tmp_path: Path) -> None:
    model = autoencoder(None, None)
    model.save(tmp_path / "open.keras")
    made = converted(tmp_path / "open.keras", tmp_path / "made.tflite", details=True)
    assert made.model.open_size
    assert made.details is not None
    assert made.details.analysis.frame.shape[2] == 1
    assert drawings.results(made.details.analysis)
    frame = np.random.default_rng(1).integers(0, 256, (40, 60), np.uint8)
    around = np.pad(frame, 8, mode="symmetric")[None, ..., None] / np.float32(255)
    expected = model.predict(around, verbose=0)[0, 8:-8, 8:-8, 0]
    assert mean_error(made.model.path, frame, expected) < 2


def test_a_network_of_keras_3_saved_after_fit(tmp_path: Path) -> None:
    """With a loss of its own, and layers whose sizes are open."""
    path, pair = tmp_path / "three.keras", tmp_path / "pair.npy"
    command = [sys.executable, "-c", FITTED, str(path), str(pair)]
    subprocess.run(command, check=True, timeout=500, capture_output=True)
    made = converted(path, tmp_path / "made.tflite")
    assert made.refused is None
    assert {"LEAKY_RELU", "RESIZE_BILINEAR"} <= {op.op for op in made.model.ops}
    frame, expected = np.load(pair)
    with open_model(path, trust=False) as found:
        np.testing.assert_allclose(found.network(frame), expected, atol=1e-4)


def test_half_precision_is_how_it_was_trained() -> None:
    """Weights are float32; the file computes in int8 or float32."""
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    for given in (policy, "mixed_bfloat16", "float16"):
        config = {"name": "c", "filters": 3, "kernel_size": [1, 1], "dtype": given}
        layer = {"class_name": "Conv2D", "config": config}
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
        assert checked(model, 3)["config"]["layers"][0]["config"]["dtype"] == "float32"


def shifting(path: Path, by: float) -> Path:
    """A network that makes every value larger by a constant."""
    frame = keras.layers.Input((None, None, 3))
    convolution = keras.layers.Conv2D(3, 1, name="out")
    model = keras.Model(frame, convolution(frame))
    convolution.set_weights([np.eye(3)[None, None], np.full(3, by)])
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("value_range", "by"), [((0, 255), 10.0), ((-1, 1), 20 / 255)], ids=["0:255", "-1:1"]
)
def test_a_network_of_another_range(
    tmp_path: Path, value_range: tuple[float, float], by: float
) -> None:
    """Brighter by 10 of 255 levels, in its own range."""
    path = shifting(tmp_path / "model.h5", by)
    made = converted(path, tmp_path / "made.tflite", value_range=value_range)
    assert made.refused is None
    frame = np.random.default_rng(0).integers(20, 230, (32, 48, 3), np.uint8)
    assert mean_error(made.model.path, frame, (frame + 10.0) / 255) < 1.5
    assert made.warnings
    assert "the float network does not make pictures better" in made.warnings[0]
    assert "--range" in made.warnings[0]


def test_what_is_suspicious_is_said() -> None:
    noisy, fine = {"gaussian:25": 20.0}, {"gaussian:25": 30.0}
    assert not verify.warnings(noisy, fine, {"gaussian:25": 29.8}, ["gaussian:25"])
    (line,) = verify.warnings(noisy, noisy, noisy, ["gaussian:25"])
    assert "does not make pictures better" in line
    for other in (29.0, 31.0):
        (line,) = verify.warnings(noisy, fine, {"gaussian:25": other}, ["gaussian:25"])
        assert "differ by 1.00 dB at gaussian:25" in line
    (line,) = verify.warnings(noisy, {"gaussian:25": 19.0}, {"gaussian:25": 19.0}, ["gaussian:25"])
    assert "20.00 dB noisy, 19.00 denoised" in line


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    shifting(tmp_path / "model.h5", float("nan"))
    with pytest.raises(RecipeError, match=r"model\.h5 has weights that are no numbers .*out"):
        loaded(tmp_path / "model.h5", tmp_path)


@pytest.mark.parametrize("trust", [False, True], ids=["sandbox", "trust"])
def test_a_dead_network_is_called_so(tmp_path: Path, trust: bool) -> None:
    """It makes black of everything."""
    frame = keras.layers.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros")(frame)
    x = keras.layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(x)
    keras.Model(frame, x).save(tmp_path / "dead.h5")
    made = converted(tmp_path / "dead.h5", tmp_path / "made.tflite", trust=trust)
    assert "the float network does not make pictures better" in made.warnings[0]


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of two signatures; one has two outputs, as of a network of several scales."""

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def brighter(self, frame: Any) -> Any:
            return {"half": frame * 0.5, "full": frame + 0.1}

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def plain(self, frame: Any) -> Any:
            return {"result": frame + 0.2}

    path, model = tmp_path_factory.mktemp("signatures") / "saved", Two()
    named = {"serving_default": model.brighter, "plain": model.plain}
    tf.saved_model.save(model, str(path), signatures=named)
    return path


@pytest.mark.parametrize(
    ("signature", "by"), [("plain", 0.2), ("serving_default:full", 0.1), (":full", 0.1)]
)
def test_a_signature_is_chosen(signatures: Path, tmp_path: Path, signature: str, by: float) -> None:
    frame = np.full((1, 8, 8, 3), 0.5, np.float32)
    network = loaded(signatures, tmp_path, signature)
    np.testing.assert_allclose(network(tf.constant(frame)), frame + by, atol=1e-6)


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        ("", "has the outputs full, half; choose with --signature serving_default:OUTPUT"),
        ("serving_default:none", "has the outputs full, half"),
        ("other", "no signature 'other'; there are plain, serving_default"),
    ],
)
def test_a_signature_that_has_to_be_chosen(
    signatures: Path, tmp_path: Path, signature: str, why: str
) -> None:
    with pytest.raises(RecipeError, match=why):
        loaded(signatures, tmp_path, signature)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model.onnx", "onnx2tf"),
        ("model.pth", r"torch\.onnx\.export.*onnx2tf"),
        ("model.safetensors", "onnx2tf"),
        ("model.tflite", "a TFLite file already"),
        ("saved_model.pb", "the folder of the SavedModel"),
        ("modle.onnx", "does not exist; there is .*model.onnx"),
        ("nothing", "does not exist$"),
        ("empty", "neither recipe.toml nor saved_model.pb"),
    ],
)
def test_the_way_of_what_comes_from_elsewhere(tmp_path: Path, name: str, why: str) -> None:
    for there in ("model.onnx", "model.pth", "model.safetensors", "model.tflite", "saved_model.pb"):
        (tmp_path / there).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=why):
        open_trained(tmp_path / name, qat=False, calibrate=str(DATA))


def test_a_refusal_comes_after_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both limits are options, and the advice is that of post-training quantization."""

    def worse(*_: Any) -> dict[str, float]:
        return dict.fromkeys(("gaussian:5", "gaussian:15", "gaussian:25", "gaussian:50"), 5.0)

    monkeypatch.setattr(conversion, "_measure", worse)
    path, output = shifting(tmp_path / "model.h5", 0.0), tmp_path / "made.tflite"
    given = [str(path), "--int8", "--ptq", "--calibrate", str(DATA), "-o", str(output)]
    given.append("--trust-code")  # three times as quick as in the sandbox
    for more, limit in ([], "--max-drop"), (["--max-drop", "100"], "--max-low-drop"):
        done = CliRunner().invoke(command, [*given, *more])
        assert isinstance(done.exception, QualityError)
        assert "PSNR (dB), held-out images" in done.stdout
        assert f"or raise {limit}" in str(done.exception)
        assert "calibrate on pictures like those" in str(done.exception)
        assert "QAT" not in str(done.exception)
        assert not output.exists()
    done = CliRunner().invoke(command, [*given, "--max-drop", "100", "--max-low-drop", "100"])
    assert done.exception is None
    assert output.exists()
    assert "Warning: the file and the float network differ" in done.stderr
