"""One fixed size, post-training quantization, and formats for comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import training

from edgecae import Denoiser
from edgecae.denoise.float_runner import file_denoiser
from edgecae.errors import DataError, FrameError, ModelFileError, SettingError
from edgecae.tflite import inspect
from edgecae_convert.conversion import convert
from edgecae_convert.picture_size import fit
from edgecae_convert.report import results as report
from edgecae_train import evaluate, weights

pytestmark = pytest.mark.slow

ANY = 100.0
"""A loss that any conversion stays below."""

SHAPES = {"SHAPE", "STRIDED_SLICE", "SLICE", "PACK", "MUL"}


@pytest.fixture(scope="module")
def fixed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> report.ConversionResults:
    """A file of each architecture for frames of 96×64 alone."""
    path = tmp_path_factory.mktemp("fixed") / f"{run.name}.tflite"
    return training.convert(run, path, size=(96, 64))


def test_a_fixed_size_leaves_no_arithmetic_on_shapes(fixed: report.ConversionResults) -> None:
    assert not SHAPES & {op.op for op in fixed.model.ops}
    assert not fixed.model.open_size
    assert fixed.model.frame_size == (64, 96)
    found = inspect.problems(inspect.inspect(fixed.model.path).graph, "micro")
    assert not found
    assert "frames of 96x64 alone" in report.text(fixed)


def test_a_fixed_size_gives_what_the_open_file_gives(
    fixed: report.ConversionResults,
    made: report.ConversionResults,
    run: Path,
    photo: np.ndarray,
) -> None:
    """Behind a computed shape other kernels may run, which differ by a rounding.

    Frames that leave room for the mirrored border: both files get the same.
    """
    frame = np.ascontiguousarray(photo[:48, :80])
    with Denoiser(fixed.model.path) as one, Denoiser(made.model.path) as other:
        for each in (frame, frame[:45, :77, 0]):
            difference = one.process(each).astype(int) - other.process(each)
            assert np.abs(difference).max() <= (0 if run.name == "nano" else 2)


def test_a_fixed_size_takes_no_other(fixed: report.ConversionResults, photo: np.ndarray) -> None:
    with Denoiser(fixed.model.path, largest_area=1) as denoiser:
        for shape in ((64, 104, 3), (48, 96, 3), (128, 192, 3)):
            with pytest.raises(FrameError, match="frames of 96x64 alone"):
                denoiser.process(np.zeros(shape, np.uint8))
        denoiser.process(np.ascontiguousarray(photo[:64, :96]))


def test_a_fixed_size_streams(fixed: report.ConversionResults) -> None:
    import subprocess
    import sys

    source = ["--source", "test:96x64@30?frames=3", "--sink", "null:"]
    command = [sys.executable, "-m", "edgecae", "stream", *source, "--model", fixed.model.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("size", [(97, 64), (96, 0), (96, 16384)])
def test_a_size_that_does_not_fit(some_run: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match="multiples of"):
        convert(some_run, tmp_path / "model.tflite", size=size)
    assert not list(tmp_path.iterdir())


def test_post_training_quantization(run: Path, tmp_path: Path, photos: Path) -> None:
    made = convert(run, tmp_path / "ptq.tflite", ptq=True, max_drop=ANY)
    assert made.model.dtypes == {"int8", "int32"}
    assert made.model.metadata.made_with["quantization"] == "post-training"
    assert str(photos) in made.ranges
    assert "post-training" in report.text(made)
    generated = convert(
        run, tmp_path / "builtin.tflite", ptq=True, calibrate="builtin", max_drop=ANY
    )
    assert "built-in generator" in generated.ranges
    assert generated.model.content != made.model.content


def test_post_training_needs_pictures(some_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 usable images"):
        convert(some_run, tmp_path / "a.tflite", ptq=True, calibrate=str(tmp_path))
    for asked in ({"precision": "float32", "ptq": True}, {"calibrate": "builtin"}):
        with pytest.raises(SettingError):
            convert(some_run, tmp_path / "a.tflite", **asked)


@pytest.mark.parametrize(
    ("precision", "tensors", "largest"),
    [
        ("float16", {"float16", "float32"}, 1),
        ("int16x8", {"int16", "int8", "int32", "int64"}, 12),
    ],
)
def test_formats_for_comparison(
    run: Path,
    tmp_path: Path,
    photo: np.ndarray,
    precision: str,
    tensors: set[str],
    largest: int,
) -> None:
    made = convert(run, tmp_path / "model.tflite", precision=precision, max_drop=ANY)
    assert made.model.dtypes - {"int32"} == tensors - {"int32"}
    assert set(made.model.metadata.quality) == {"float", precision}
    assert "for comparison" in report.text(made)
    architecture, _, values = weights.read_weights(run / "float.weights.h5")
    network = architecture.build(training=False)
    weights.load_weights(network, values)
    expected = evaluate.keras_denoiser(network)(photo).astype(int)
    assert np.abs(file_denoiser(made.model, 2)(photo) - expected).max() <= largest
    with pytest.raises(ModelFileError, match=r"for comparison only|which nothing streamed has"):
        Denoiser(made.model.path)


def test_pictures_are_mirrored_or_cropped() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert fit(picture, 3, 2)[..., 0].tolist() == [[0, 1], [3, 4], [3, 4]]
    assert fit(picture, 1, 7)[..., 0].tolist() == [[0, 1, 2, 2, 1, 0, 0]]
