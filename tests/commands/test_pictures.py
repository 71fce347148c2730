"""``edgecae denoise`` with pictures: pipes, progress, and options of the encoders."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecae import Denoiser
from edgecae.media import images
from edgecae.stream import batch, batch_progress

FACE = Path(__file__).parent.parent / "data" / "face.png"


def edgecae(
    *arguments: object, content: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", "denoise", "--model", "nano", *map(str, arguments)],
        input=content, capture_output=True, timeout=120, cwd=cwd,
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    with Denoiser("nano") as denoiser:
        return denoiser.process(images.read(FACE).pixels)


@pytest.mark.slow
def test_a_picture_goes_through_a_pipe(expected: np.ndarray, tmp_path: Path) -> None:
    done = edgecae("-", "-o", "-", content=FACE.read_bytes(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.format == "PNG"  # as it came
        np.testing.assert_array_equal(np.array(image), expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_each_end_may_be_a_file(expected: np.ndarray, tmp_path: Path) -> None:
    done = edgecae("-", "-o", "out.tif", content=FACE.read_bytes(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(images.read(tmp_path / "out.tif").pixels, expected)
    assert edgecae("-", "-o", "out.tif", content=FACE.read_bytes(), cwd=tmp_path).returncode == 1

    done = edgecae(FACE, "-o", "-", "--format", "jpeg", "--quality", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=40)
    with Image.open(io.BytesIO(done.stdout)) as image, Image.open(file) as like:
        assert image.format == "JPEG"
        assert image.quantization == like.quantization


def test_a_clean_picture_goes_through_byte_for_byte() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 60)).save(file, "JPEG", quality=50)
    done = edgecae("-", "-o", "-", "--strength", "auto", content=file.getvalue())
    assert done.stdout == file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "content", "status", "message"),
    [
        (["-", "-o", "-"], b"no picture", 1, "standard input can't be read as an image"),
        (["-", "-o", "-"], b"", 1, "its format is unknown; edgecae stream --source - reads video"),
        (["-", FACE, "-o", "-"], b"", 2, "stands for one picture"),
        ([FACE, "-o", "x.png", "--format", "png"], b"", 2, "--format is for -o -"),
        (["-", "-o", "x.tga"], b"", 1, "x.tga: images are written as .avif"),
        ([FACE, "-o", "x.tga"], b"", 1, "x.tga: images are written as .avif"),
        ([FACE, "-o", "x.png", "--quality", "90"], b"", 1, "a quality is for JPEG, WebP and AVIF"),
        ([FACE, "-o", "x.webp", "--subsampling", "4:2:0"], b"", 1, "is for JPEG and AVIF"),
        ([FACE, "-o", "x.jpg", "--quality", "0"], b"", 2, "0 is not in the range"),
        (["clip.mkv", "-o", "-"], b"", 1, "edgecae stream --sink - writes video"),
    ],
)
def test_what_is_refused(
    arguments: list[object], content: bytes, status: int, message: str, tmp_path: Path
) -> None:
    done = edgecae(*arguments, content=content, cwd=tmp_path)
    assert done.returncode == status
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def on_a_terminal(*arguments: object, stdout: bool = False) -> tuple[int, str]:
    """Exit status, and what a terminal shows that is standard error."""
    own, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edgecae", "denoise", "--model", "nano", *map(str, arguments)],
        stderr=other, stdout=other if stdout else subprocess.DEVNULL,
    )  # fmt: skip
    os.close(other)
    shown = b""
    try:
        while part := os.read(own, 4096):
            shown += part
    except OSError:  # the end of a terminal
        pass
    os.close(own)
    return process.wait(), shown.decode()


def test_a_terminal_gets_no_picture() -> None:
    status, shown = on_a_terminal(FACE, "-o", "-", stdout=True)
    assert status == 1
    assert "standard output is a terminal" in shown


@pytest.mark.slow
def test_a_folder_shows_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        Image.effect_noise((700, 700), 20).save(tmp_path / "in" / f"{number}.png")
    status, shown = on_a_terminal(tmp_path / "in", "-o", tmp_path / "out")
    assert status == 0
    assert "[--------------------] 0 of 4 files" in shown
    assert "0:0" in shown.partition(" files, ")[2][:4]
    assert "4 of 4 files, 4 pictures" in shown


def test_progress_counts_all_that_is_finished(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "in" / name).write_bytes(FACE.read_bytes())
    (tmp_path / "in" / "b.png").write_bytes(b"broken")
    told: list[batch_progress.BatchProgress] = []
    with Denoiser("nano") as denoiser:
        jobs = batch.plan_batch([tmp_path / "in"], tmp_path / "out")
        batch.run_batch(jobs, denoiser, progress=told.append)
        assert [(p.finished, p.total) for p in told] == [(0, 3), (1, 3), (2, 3)]
        assert told[0].seconds_left is None
        assert told[1].seconds_left is not None
        assert told[1].share == pytest.approx(0.5, abs=0.01)
        told.clear()
        batch.run_batch(jobs, denoiser, progress=told.append)
        assert [p.finished for p in told] == [0, 1, 2]


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (None, "[##########----------] 3 of 6 files"),
        (7.4, "[##########----------] 3 of 6 files, 0:07 left"),
        (3725.0, "[##########----------] 3 of 6 files, 1:02:05 left"),
    ],
)
def test_the_line(seconds: float | None, line: str) -> None:
    assert batch_progress.BatchProgress(3, 6, 0.5, seconds).summary() == line
