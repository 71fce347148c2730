from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecae import Denoiser, models
from edgecae.errors import ModelFileError
from edgecae.tflite import model_file
from edgecae.tflite.metadata import Metadata


def test_shipped_models_keep_the_contract(shipped: str) -> None:
    model = model_file.read(models.find_model(shipped))
    assert model.dtypes == {"int8", "int32"}
    assert model.metadata.precision == "int8"
    assert model.metadata.delay_frames == 0
    assert model.metadata.halo > 0
    assert all(side % model.metadata.stride == 0 for side in model.frame_size)
    assert set(model.metadata.quality) == {"float", "int8"}
    assert 0 < model.macs_per_pixel <= model.macs_per_pixel_padded


def test_the_cost_of_small_adds_up() -> None:
    """By hand: 48, 32, 48 channels at half, quarter and eighth of the resolution, 26 features.

    And 16, 24, 30 from a quarter on, 16 features, with means and an enlarged change at half.
    """
    half = 9 * (12 * 48 + 48 * 26 + 38 * 12) / 4
    quarter = (9 * 48 * 32 + 32 * 192) / 16
    eighth = (9 * (32 * 48 + 48 * 48) + 48 * 128) / 64
    around = (2 * 12 * 3 + 9 * 3 * 12) / 4
    second = 9 * (24 * 16 + 16 * 16 + 40 * 12) / 16 + (9 * 16 * 24 + 24 * 64) / 64
    second += (9 * (24 * 30 + 30 * 30) + 30 * 96) / 256
    model = model_file.read(models.find_model("small"))
    assert model.macs_per_pixel == pytest.approx(half + quarter + eighth + around + second)


def test_noise_that_was_measured_fits_into_a_file() -> None:
    """Its curve and its spectrum are longer than any other line of the metadata."""
    known = model_file.read(models.find_model("small")).metadata
    for length, fits in ((1300, True), (20_000, False)):
        text = replace(known, noise="measured:" + "A" * length).to_json()
        if fits:
            assert Metadata.from_json(text).to_json() == text
        else:
            with pytest.raises(ModelFileError, match="noise can't be"):
                Metadata.from_json(text)


def test_height_and_width_are_open(still: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(models.find_model(still)))
    interpreter.allocate_tensors()  # as it is stored, without a resize
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["frame"], "outputs": ["denoised"]}
    }
    for tensor, name in ((source, "frame"), (target, "denoised")):
        assert tensor["name"] == name
        assert tensor["shape_signature"].tolist() == [1, -1, -1, 3]
        assert tensor["quantization"] == (np.float32(1 / 255), -128)


def test_metadata_survive_json() -> None:
    metadata = model_file.read(models.find_model("small")).metadata
    assert Metadata.from_json(metadata.to_json()) == metadata


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 99}', "\xff"])
def test_metadata_that_are_none(text: str) -> None:
    with pytest.raises(ModelFileError):
        Metadata.from_json(text)


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a text", b"\0\0\0\0TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 64]
)
def test_no_model_at_all(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.tflite"):
        Denoiser(file)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_model_is_refused(tmp_path_factory, data) -> None:
    whole = models.find_model("small").read_bytes()
    file = tmp_path_factory.mktemp("cut") / "cut.tflite"
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) // 2))])
    with pytest.raises(ModelFileError):
        model_file.read(file)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_model_is_read_or_refused(tmp_path_factory, data) -> None:
    content = bytearray(models.find_model("classic").read_bytes())
    # Most of a file is weights; what can mislead lies at both ends.
    edge = data.draw(st.integers(0, 4000))
    place = edge if data.draw(st.booleans()) else len(content) - 1 - edge
    content[place] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "x.tflite"
    file.write_bytes(content)
    try:
        assert model_file.read(file).metadata.stride > 0
    except ModelFileError as error:
        assert "x.tflite" in str(error)  # noqa: PT017 - either outcome is fine


def test_a_model_of_somebody_else_has_no_metadata(tmp_path: Path) -> None:
    content = models.find_model("small").read_bytes().replace(b"edgecae\0", b"another\0")
    file = tmp_path / "other.tflite"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match="no edgecae metadata"):
        model_file.read(file)
