"""What a device runs: ``edgecae`` alone, without training, conversion and the peers' tables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA, ROOT
from PIL import Image

from edgecae import models

REFUSES = """
import sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("edgecae_train", "edgecae_convert"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Finder())
"""
"""A ``sitecustomize`` that hides the other two packages, wherever they are installed."""


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package and nothing beside it."""
    folder = tmp_path_factory.mktemp("device")
    ignored = shutil.ignore_patterns("__pycache__", "tuned.json")
    shutil.copytree(ROOT / "runtime" / "edgecae", folder / "edgecae", ignore=ignored)
    (folder / "sitecustomize.py").write_text(REFUSES)
    return folder


def edgecae(device: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "edgecae", *map(str, arguments)],
        capture_output=True, text=True, timeout=600, cwd=device,
        env={**os.environ, "PYTHONPATH": str(device)},
    )  # fmt: skip


def output(device: Path, *arguments: str | Path) -> str:
    done = edgecae(device, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_copy_is_what_runs_and_it_is_alone(device: Path) -> None:
    code = "import edgecae; print(edgecae.__file__); import edgecae_train"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(device)},
    )  # fmt: skip
    assert done.stdout.strip() == str(device / "edgecae" / "__init__.py")
    assert "No module named 'edgecae_train'" in done.stderr


def test_it_denoises_pictures_and_streams(device: Path, tmp_path: Path) -> None:
    output(device, "denoise", DATA / "face.png", "-o", tmp_path / "face.png", "--model", "nano")
    noisy, made = (np.array(Image.open(folder / "face.png")) for folder in (DATA, tmp_path))
    assert made.shape == noisy.shape
    assert not np.array_equal(made, noisy)
    said = output(
        device, "stream", "--model", "nano", "--source", "test:64x48?frames=3", "--sink", "null:",
        "--json",
    )  # fmt: skip
    assert json.loads(said.splitlines()[-1])["frames"] == 3


def test_it_lists_models_and_inspects_them(device: Path) -> None:
    listed = json.loads(output(device, "models", "--json"))
    assert [each["name"] for each in listed] == models.names()
    stills = [each for each in listed if each["name"] in models.still_names()]
    assert stills
    assert all(each["psnr"] and each["psnr_float"] for each in stills)
    assert "# nano" in output(device, "models", "nano")
    assert json.loads(output(device, "inspect", "nano", "--json"))["macs_per_pixel"] > 0


def test_the_doctor_looks_at_it(device: Path) -> None:
    done = edgecae(device, "doctor", "--json")
    assert "Traceback" not in done.stderr
    assert {speed["model"] for speed in json.loads(done.stdout)["speeds"]} <= set(models.names())


def test_latencies_are_measured(device: Path) -> None:
    said = output(
        device, "bench", "--model", "nano", "--size", "64x48", "--threads", "1", "--rounds", "1",
        "--seconds", "0.05", "--roofline", "--json",
    )  # fmt: skip
    found = json.loads(said)
    assert [row["method"] for row in found["latency"]] == ["nano"]
    assert found["roofline"][0]["model"] == "nano"
    assert found["failed"] == {}


def test_quality_names_the_float_network_as_missing(device: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    shutil.copy(DATA / "face.png", tmp_path / "faces")
    found = json.loads(output(
        device, "bench", "--model", "nano", "--rounds", "0", "--quality", tmp_path / "faces",
        "--sigma", "25", "--json",
    ))  # fmt: skip
    assert {row["method"] for row in found["quality"]} == {"noisy", "nano"}
    assert "edgecae[train]" in found["failed"]["nano:float"]
    assert found["quality"][0]["psnr"] < found["quality"][1]["psnr"]


@pytest.mark.parametrize("command", ["train", "convert", "fit"])
def test_what_is_not_there_is_said_in_one_line(device: Path, command: str) -> None:
    done = edgecae(device, command, "--help")
    assert done.returncode != 0
    assert "edgecae[train]" in done.stderr
    assert done.stderr.count("\n") == 1
