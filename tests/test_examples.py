"""Each example runs as a program of its own and improves its pictures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise, quality
from edgecae.media.sources import open_source

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def read(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path).convert("RGB"))


def write_noisy(clean: NDArray[np.uint8], path: Path) -> float:
    """Write ``clean`` with noise of σ 25 to ``path``; return its PSNR in dB."""
    noisy = noise.gaussian(25).add(clean, np.random.default_rng(0))
    Image.fromarray(noisy).save(path)
    return quality.psnr(clean, noisy)


def test_every_example_has_a_test() -> None:
    tested = set(re.findall(r'run\("(\w+)"', Path(__file__).read_text(encoding="utf-8")))
    assert tested == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_denoise_array(photo: NDArray[np.uint8], tmp_path: Path) -> None:
    before = write_noisy(photo, tmp_path / "noisy.png")
    done = run("denoise_array", tmp_path / "noisy.png", tmp_path / "clean.png", "--threads", 2)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"144x144: changed by \d+\.\d\d of 255 levels on average\n", done.stdout)
    assert quality.psnr(photo, read(tmp_path / "clean.png")) > before + 5


def test_camera_loop_needs_no_camera(tmp_path: Path) -> None:
    done = run("camera_loop", "--frames", 5, "--save", tmp_path / "last.png")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"frame (\d+): (\d+\.\d) ms, noise (\d+\.\d)\n", done.stdout)
    assert [int(index) for index, _, _ in lines] == [1, 2, 3, 4, 5]
    assert all(20 < float(sigma) < 30 for _, _, sigma in lines)
    with open_source("test:320x240?frames=5") as scene:
        clean = [frame.pixels for frame in scene][-1]
    with open_source("test:320x240?frames=5&noise=gaussian:25") as scene:
        noisy = [frame.pixels for frame in scene][-1]
    assert quality.psnr(clean, read(tmp_path / "last.png")) > quality.psnr(clean, noisy) + 5


@pytest.mark.slow
def test_folder_parallel_names_a_bad_file_and_does_the_rest(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()
    clean = {name: read(photos / name) for name in ("face.png", "flag.png", "hat.png")}
    before = {
        name: write_noisy(pixels, tmp_path / "noisy" / name) for name, pixels in clean.items()
    }
    done = run("folder_parallel", tmp_path / "noisy", tmp_path / "clean")
    assert (done.returncode, done.stdout) == (0, "3 of 3 denoised\n"), done.stderr
    for name, pixels in clean.items():
        assert quality.psnr(pixels, read(tmp_path / "clean" / name)) > before[name] + 3
    (tmp_path / "noisy" / "broken.png").write_bytes(b"no picture")
    done = run("folder_parallel", tmp_path / "noisy", tmp_path / "again", "--workers", 1)
    assert (done.returncode, done.stdout) == (1, "3 of 4 denoised\n")
    assert "broken.png" in done.stderr
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(clean)
    done = run("folder_parallel", tmp_path / "noisy", tmp_path / "noisy")
    assert done.returncode == 2
