"""Encoder and decoder of an autoencoder: made by convert, run by the runtime's own classes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from autoencoder import ANY, edgecae
from autoencoder import split as split_run
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecae import Denoiser
from edgecae.codec.autoencoder import Decoder, Encoder
from edgecae.errors import FrameError, ModelFileError, SettingError, SinkError
from edgecae.tflite import model_file, writer
from edgecae_convert import split
from edgecae_convert.conversion import convert

pytestmark = pytest.mark.slow


def both(folder: Path, picture: np.ndarray, area: int = 1920 * 1200) -> np.ndarray:
    gray, (height, width) = picture.ndim == 2, picture.shape[:2]
    latent = Encoder(folder / "encoder.tflite", largest_area=area).encode(picture)
    decoder = Decoder(folder / "decoder.tflite", largest_area=area)
    return decoder.decode(latent, height, width, gray)


def test_encoder_and_decoder_in_a_row_are_the_whole(codec: Path, photo: np.ndarray) -> None:
    """But where a pixel sees the edge: beyond it is a mirrored picture, or a mirrored latent."""
    flat = np.full((30, 50, 3), (200, 30, 60), np.uint8)
    pictures = photo, photo[:61, :43], photo[:1, :1], photo[:5, :130], photo[:77, :90, 1], flat
    for picture in pictures:
        with Denoiser(codec / "whole.tflite") as whole:
            expected = whole.process(np.ascontiguousarray(picture))
            halo = whole.metadata.halo
        got = both(codec, picture)
        assert got.shape == picture.shape
        inside = np.s_[halo:-halo, halo:-halo]
        np.testing.assert_array_equal(got[inside], expected[inside])
        assert got.size < 100 or got.std() > 1
    np.testing.assert_allclose(got.astype(int), expected.astype(int), atol=3)


def test_tiles_make_no_difference(codec: Path, photo: np.ndarray) -> None:
    np.testing.assert_array_equal(both(codec, photo[:139]), both(codec, photo[:139], 72 * 72))


def test_each_half_says_what_it_is(codec: Path) -> None:
    whole = model_file.read(codec / "whole.tflite")
    assert '"half"' not in whole.metadata.to_json()
    for half in ("encoder", "decoder"):
        file = model_file.read(codec / f"{half}.tflite")
        assert file.metadata.half == half
        assert file.metadata.whole == hashlib.sha256(whole.content).hexdigest()
        assert file.metadata.architecture["latent"] == 4
        assert file.dtypes <= {"int8", "int32"}
        assert file.frame_size == whole.frame_size
        done = edgecae("inspect", file.path)
        assert done.returncode == 0, done.stderr
        assert "-1×-1×4" in done.stdout
    parts = [model_file.read(codec / f"{half}.tflite") for half in ("encoder", "decoder")]
    assert sum(part.macs_per_pixel for part in parts) == whole.macs_per_pixel
    assert sum(part.parameters for part in parts) == whole.parameters


def test_a_half_is_taken_where_it_is_expected_alone(codec: Path) -> None:
    out = codec / "x.png"
    for half in ("encoder", "decoder"):
        done = edgecae("denoise", DATA / "face.png", "-o", out, "--model", codec / f"{half}.tflite")
        assert done.returncode == 1
        assert f"is the {half} half of a model, not a whole model" in done.stderr
    with pytest.raises(ModelFileError, match="the encoder half"):
        Decoder(codec / "encoder.tflite")
    with pytest.raises(ModelFileError, match="a whole model, not the encoder half"):
        Encoder(codec / "whole.tflite")
    with pytest.raises(FrameError, match="no latent"):
        Decoder(codec / "decoder.tflite").decode(np.zeros((2, 2, 4), np.int8), 9, 8)


def test_a_network_with_skips_is_split_nowhere_one_without_at_its_narrowest(
    run: Path, tmp_path: Path, photo: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    """In classic's bottleneck there are more numbers than in a frame, and it is said."""
    whole = tmp_path / "whole.tflite"
    if run.name == "classic":
        convert(run, whole, split=True, max_drop=ANY)
        assert "holds 4 numbers for a pixel" in caplog.text
        with Denoiser(whole) as denoiser:
            halo = denoiser.metadata.halo
            inside = np.s_[halo:-halo, halo:-halo]
            expected = denoiser.process(photo)[inside]
            np.testing.assert_array_equal(both(tmp_path, photo)[inside], expected)
    else:
        with pytest.raises(SettingError, match="no bottleneck"):
            convert(run, whole, split=True, max_drop=ANY)
        assert not list(tmp_path.iterdir())
    with pytest.raises(SettingError, match="only int8"):
        convert(run, tmp_path / "model.tflite", precision="float32", split=True)


def test_the_whole_needs_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="the name of a half"):
        split.paths(tmp_path / "decoder.tflite")


def test_all_three_files_or_none(latent_run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "decoder.tflite"
    precious.write_text("precious")
    with pytest.raises(SinkError, match=r"decoder\.tflite exists"):
        convert(latent_run, tmp_path / "model.tflite", split=True, max_drop=ANY)
    assert precious.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == [precious.name]
    convert(latent_run, tmp_path / "model.tflite", split=True, max_drop=ANY, overwrite=True)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"model.tflite", "encoder.tflite", "decoder.tflite"}


def test_encoder_and_decoder_of_one_fixed_size(
    latent_run: Path, tmp_path: Path, photo: np.ndarray
) -> None:
    split_run(latent_run, tmp_path, size=(64, 48))
    picture = np.ascontiguousarray(photo[:47, :64])
    with Denoiser(tmp_path / "whole.tflite") as whole:
        np.testing.assert_array_equal(both(tmp_path, picture), whole.process(picture))
    with pytest.raises(FrameError, match="64x48 alone"):
        both(tmp_path, photo)


@pytest.mark.parametrize(
    ("half", "old", "new", "why"),
    [
        ("encoder", b'"half": "encoder"', b'"half": "decoder"', "say that it is decoder"),
        ("encoder", b'"half": "encoder"', b'"half": "neither"', "half can't be"),
        ("encoder", b'"half": "encoder"', b'"half":        ""', "say that it is no half"),
        ("encoder", b'"stride": 4', b'"stride": 8', "8 times as high"),
        ("decoder", b'"stride": 4', b'"stride": 2', "2 times as high"),
        ("decoder", b'"whole": "', b'"whole":"?', "whole can't be"),
        ("decoder", b"latent\0", b"frames\0", "not frames"),
    ],
)
def test_a_half_that_lies_is_refused(
    half: str, old: bytes, new: bytes, why: str, codec: Path, tmp_path: Path
) -> None:
    content = (codec / f"{half}.tflite").read_bytes()
    assert old in content
    assert len(old) == len(new)
    (tmp_path / "x.tflite").write_bytes(content.replace(old, new))
    with pytest.raises(ModelFileError, match=why):
        model_file.read(tmp_path / "x.tflite")


def test_a_latent_that_is_stored_in_another_size_is_refused(codec: Path, tmp_path: Path) -> None:
    model = writer.copy_model(model_file.read(codec / "decoder.tflite").graph.model)
    latent = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    latent.shape = latent.shape + np.int32([0, 0, 4, 0])
    (tmp_path / "x.tflite").write_bytes(writer.encode(model))
    with pytest.raises(ModelFileError, match="its input is stored as"):
        model_file.read(tmp_path / "x.tflite")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_half_is_read_or_refused(codec: Path, tmp_path_factory, data) -> None:
    content = bytearray((codec / "decoder.tflite").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "x.tflite"
    file.write_bytes(content)
    try:
        assert model_file.read(file).metadata.stride > 0
    except ModelFileError as error:
        assert "x.tflite" in str(error)  # noqa: PT017 - either outcome is fine
