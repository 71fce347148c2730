"""The shipped models, their cards and figures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgecae import Denoiser, models
from edgecae.commands.cli import cli
from edgecae.commands.models import describe
from edgecae.errors import ModelFileError
from edgecae.media import images
from edgecae.noise import gaussian
from edgecae.quality import psnr
from edgecae.tflite import model_file

LIMITS = {"nano": 2.5, "small": 8, "base": 25}
"""kMAC per pixel of the weight classes, also of what is for video."""


def test_these_are_shipped() -> None:
    assert set(models.still_names()) == {*LIMITS, "classic"}
    assert set(models.video_names()) == {"nano-video", "small-video"}
    assert sorted(models.names()) == sorted(models.still_names() + models.video_names())
    assert models.DEFAULT in models.names()


@pytest.mark.parametrize("name", models.names())
def test_a_name_says_whether_a_model_is_recurrent(name: str) -> None:
    file = model_file.read(models.find_model(name))
    assert bool(file.graph.states) == (name in models.video_names())


@pytest.mark.parametrize("name", models.names())
def test_a_shipped_model_has_a_card_and_figures(name: str) -> None:
    file = model_file.read(models.find_model(name))
    assert file.metadata.name == name
    assert file.dtypes <= {"int8", "int32", "bool"}
    assert file.macs_per_pixel <= 1000 * LIMITS.get(name.removesuffix(models.VIDEO), 8)
    assert models.card(name).startswith(f"# {name}\n")
    assert describe(name)["milliseconds"]
    if name in models.video_names():
        return
    assert set(describe(name)["psnr_float"]) >= {"kodak24", "cbsd68"}
    psnr_by_set = describe(name)["psnr"]
    assert set(psnr_by_set) >= {"kodak24", "cbsd68"}
    for quality in psnr_by_set.values():
        assert set(quality) == {"0", "5", "15", "25", "50"}


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_the_float_weights_of_a_shipped_model_are_of_its_architecture(name: str) -> None:
    from edgecae_train import architectures, shipped, weights

    file = model_file.read(models.find_model(name))
    architecture, phase, _ = weights.read_weights(shipped.find_weights(name))
    assert phase == "float"
    assert architectures.restore(dict(file.metadata.architecture)) == architecture
    assert architecture == architectures.get(name)


@pytest.mark.parametrize("name", [n for n in models.still_names() if n != "classic"])
@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_a_shipped_model_improves_real_pictures(name: str, sigma: int, photos: Path) -> None:
    rng = np.random.default_rng(0)
    with Denoiser(name) as denoiser:
        for path in sorted(photos.glob("*.png")):
            photo = images.read(path).pixels
            noisy = gaussian(sigma).add(photo, rng)
            assert psnr(photo, denoiser.process(noisy)) > psnr(photo, noisy)


@pytest.mark.parametrize("name", [*LIMITS])
def test_gray_frames_work_through_the_colour_models(name: str, photo) -> None:
    gray = photo.mean(axis=2).astype(np.uint8)
    noisy = gaussian(25).add(gray, np.random.default_rng(0))
    with Denoiser(name) as denoiser:
        clean = denoiser.process(noisy)
    assert clean.shape == gray.shape
    assert psnr(gray, clean) > psnr(gray, noisy) + 4


def test_the_list_and_a_card() -> None:
    listed = CliRunner().invoke(cli, ["models"])
    assert listed.exit_code == 0
    _, *rows = listed.stdout.splitlines()[: len(models.names()) + 1]  # click 8.1 adds stderr
    assert [row.split()[0] for row in rows] == models.names()
    shown = CliRunner().invoke(cli, ["models", "nano"])
    assert models.card("nano").splitlines()[0] in shown.stdout
    assert "kMAC per pixel" in shown.stdout
    assert shown.stdout.count("cbsd68") == shown.stdout.count("kodak24") == 2, "two protocols"
    video = CliRunner().invoke(cli, ["models", "nano-video"]).stdout
    assert "kMAC per pixel" in video
    assert "PSNR in dB of" not in video, "a heading without figures"
    data = json.loads(CliRunner().invoke(cli, ["models", "--json"]).stdout)
    assert [each["name"] for each in data] == models.names()
    assert {"macs_per_pixel", "macs_per_pixel_padded", "parameters", "bytes", "psnr"} <= set(
        data[0]
    )
    assert "card" in json.loads(CliRunner().invoke(cli, ["models", "base", "--json"]).stdout)


def test_an_unknown_name() -> None:
    result = CliRunner().invoke(cli, ["models", "huge"])
    assert isinstance(result.exception, ModelFileError)
    assert "small" in str(result.exception)


def test_the_hashes_are_those_of_the_files() -> None:
    """Who replaces a model runs ``python -m edgecae.models``."""
    assert models.hashes() == {
        name: hashlib.sha256(models.find_model(name).read_bytes()).hexdigest()
        for name in models.names()
    }
    listed = json.loads(CliRunner().invoke(cli, ["models", "--json"]).stdout)
    assert {each["name"]: each["sha256"] for each in listed} == models.hashes()


def test_a_file_that_was_swapped_is_noticed(tmp_path: Path, monkeypatch) -> None:
    for name in ("nano", "small"):
        shutil.copy(models.find_model(name), tmp_path)
    monkeypatch.setattr(models, "_FOLDER", tmp_path)
    models.write_hashes()
    assert models.sha256("nano") == models.hashes()["nano"]
    shutil.copy(tmp_path / "small.tflite", tmp_path / "nano.tflite")
    with pytest.raises(ModelFileError, match="not the one that was shipped"):
        models.sha256("nano")
    with pytest.raises(ModelFileError, match="no shipped model"):
        models.sha256("huge")
    models.write_hashes()
    assert models.sha256("nano") == models.sha256("small")
