"""What several cameras in one process cost, and that trouble with one costs the others nothing."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from live import Network
from PIL import Image

pytestmark = [pytest.mark.timing, pytest.mark.slow]

FRAMES = 90
CAMERA = f"test:320x240@10?live=yes&frames={FRAMES}&noise=gaussian:20"
DEFAULTS = "[defaults]\nmodel = 'nano'\nsink = 'null:'\n"
STREAM = [sys.executable, "-m", "edgecae", "stream"]

TAKEN = """
import json, resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime]))
sys.exit(status)
"""
"""Code that runs a command and prints its peak in MB and its seconds of CPU time.

It stands between pytest and the command, since getrusage counts what a parent had at the start.
"""


def taken(*arguments: str) -> tuple[float, float]:
    """Peak in MB and seconds of CPU time of a stream."""
    done = subprocess.run(
        [sys.executable, "-c", TAKEN, *STREAM, *arguments],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    peak, seconds = json.loads(done.stdout.splitlines()[-1])
    return peak, seconds


def test_four_cameras_take_less_memory_than_two_processes_and_less_time_than_four(
    tmp_path: Path,
) -> None:
    one, each = taken("--source", CAMERA, "--sink", "null:", "--model", "nano", "--threads", "1")
    cameras = "".join(f"[cameras.c{n}]\nsource = '{CAMERA}'\n" for n in range(4))
    (tmp_path / "cameras.toml").write_text(DEFAULTS + cameras)
    all_, seconds = taken("--config", str(tmp_path / "cameras.toml"))
    print(f"one camera: {one:.0f} MB, {each:.1f} s of CPU time in {FRAMES / 10:.0f} s")
    print(f"four cameras in one process: {all_:.0f} MB, {seconds:.1f} s")
    assert all_ < 2 * one
    assert seconds < 4 * each


HANGS = """
import sys, time
from edgecae import Denoiser
from edgecae.commands.cli import main
process = Denoiser.process
def hang(self, frame, out=None):
    if frame.shape[0] == 48:
        time.sleep(600)
    return process(self, frame, out)
Denoiser.process = hang
sys.argv = ["edgecae", *sys.argv[1:]]
main()
"""


def counts(
    folder: Path,
    source: str | None,
    trouble: Callable[[], None] = lambda: None,
    code: str = "",
    more: str = "",
) -> dict[str, int]:
    """Frames that each of three cameras gave while a fourth one was in trouble."""
    cameras = "".join(f"[cameras.c{n}]\nsource = '{CAMERA}'\n" for n in range(3))
    if source is not None:
        cameras += f"[cameras.bad]\nsource = '{source}'\nstall = 1\nhang = 4\n{more}"
    (folder / "cameras.toml").write_text(DEFAULTS + cameras)
    python = [sys.executable, "-c", textwrap.dedent(code)] if code else STREAM[:-1]
    process = subprocess.Popen(
        [*python, "stream", "--config", str(folder / "cameras.toml"), "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        time.sleep(3)
        trouble()
        found: dict[str, int] = {}
        states: set[str] = set()
        assert process.stdout is not None
        for line in process.stdout:
            now = json.loads(line)
            if now["camera"] == "bad":
                continue
            found[now["camera"]] = now["frames_out"]
            assert now["restarts"] == 0
            states = {*states, now["camera"]} if now["state"] == "ended" else states
            if len(states) == 3 and source is not None:
                process.terminate()
                source = None
        assert process.wait(30) == 0
        return found
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Frames of the three without a fourth."""
    return counts(tmp_path_factory.mktemp("alone"), None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Network]:
    (tmp_path / "camera").mkdir()
    made = Network(monkeypatch, tmp_path / "camera")
    made.start()
    yield made
    made.close()


def lie(server: Network) -> None:
    """Serve what is called a JPEG, of 65 000 × 65 000 pixels, and ends at once."""
    server.die()
    picture = server.folder / "picture.jpg"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(picture)
    content = bytearray(picture.read_bytes())
    start = content.index(b"\xff\xc0") + 5  # height and width of the frame's header
    content[start : start + 4] = (65000).to_bytes(2, "big") * 2
    picture.write_bytes(content[: len(content) // 2])
    server.start()


def change(server: Network) -> None:
    for height, width in ((96, 128), (48, 64), (480, 640)):
        server.die()
        server.show(height, width)
        server.start()
        time.sleep(1.5)


def check_that_nothing_is_taken(found: dict[str, int], alone: dict[str, int]) -> None:
    """The three together give as many frames as without the fourth, and none much less.

    A computer that is busy for a fifth of a second takes two frames of one camera, with or without
    trouble. That is more than 2 % of one camera, and less of three.
    """
    assert min(alone.values()) >= 0.9 * FRAMES
    assert sum(found.values()) >= 0.98 * sum(alone.values())
    assert all(found[name] >= 0.95 * frames for name, frames in alone.items())


@pytest.mark.parametrize(
    "trouble", ["hangs", "dies", "changes its size", "lies", "inference hangs"]
)
def test_a_camera_in_trouble_takes_nothing_from_the_others(
    trouble: str, server: Network, alone: dict[str, int], tmp_path: Path
) -> None:
    code = HANGS if trouble == "inference hangs" else ""
    troubles: dict[str, Callable[[], None]] = {
        "hangs": server.hang,
        "dies": server.die,
        "changes its size": lambda: change(server),
        "lies": lambda: lie(server),
    }
    found = counts(tmp_path, server.spec, troubles.get(trouble, lambda: None), code)
    with contextlib.suppress(Exception):
        server.wake()
    print(f"{trouble}: {found}; without: {alone}")
    check_that_nothing_is_taken(found, alone)


def test_a_camera_that_never_has_enough_takes_nothing_from_the_others(
    alone: dict[str, int], tmp_path: Path
) -> None:
    found = counts(tmp_path, "test:640x480@25?live=yes", more="model = 'base'\n")
    print(f"beside a camera that takes all that it gets: {found}; without: {alone}")
    check_that_nothing_is_taken(found, alone)
