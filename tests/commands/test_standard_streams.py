"""Commands whose standard input, output or error is closed, full or read by nobody; and signals."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.faults

EDGECAE = shlex.join([sys.executable, "-m", "edgecae"])
FRAMES = "--model nano --source 'test:64x48?frames=5'"
STREAM = f"stream {FRAMES} --sink null:"


def shell(line: str, folder: Path, buffered: bool = True) -> tuple[int, str]:
    """Exit status and standard error of ``edgecae LINE`` in a shell."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    if not buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    done = subprocess.run(
        ["bash", "-c", f"{EDGECAE} {line}"],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("closed", ["2>&- 0<&-", "2>/dev/full", "2> >(true)"])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (STREAM, 0),
        (f"--log-format json {STREAM}", 0),
        (f"stream {FRAMES} --sink out.mkv", 0),
        ("none", 2),
        ("denoise none.png -o x.png", 1),
    ],
)
def test_work_goes_on_when_nobody_hears_of_it(
    line: str, status: int, closed: str, tmp_path: Path
) -> None:
    assert shell(f"{line} {closed}", tmp_path) == (status, "")
    if "out.mkv" in line:  # what nothing was written into that is not its own
        assert (tmp_path / "out.mkv").read_bytes()[:4] == b"\x1aE\xdf\xa3"


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (">&-", "Bad file descriptor"),
        (">/dev/full", "No space left on device"),
        ("| true; exit ${PIPESTATUS[0]}", "Broken pipe"),
    ],
)
@pytest.mark.parametrize("line", [f"{STREAM} --json", "--help", "inspect nano"])
def test_output_that_can_not_be_written_is_one_line(
    line: str, lost: str, reason: str, buffered: bool, tmp_path: Path
) -> None:
    status, said = shell(f"{line} {lost}", tmp_path, buffered)
    assert status == 1
    assert said.splitlines()[-1] == f"edgecae: standard output can't be written: {reason}"
    assert len([each for each in said.splitlines() if each.startswith("edgecae: ")]) == 1
    assert "Traceback" not in said
    assert "Exception" not in said


@pytest.mark.parametrize("lost", [">&-", ">/dev/full", "| true; exit ${PIPESTATUS[0]}"])
def test_a_pipe_that_nobody_reads_is_one_line(lost: str, tmp_path: Path) -> None:
    status, said = shell(f"stream {FRAMES} --sink - {lost}", tmp_path)
    assert status == 1
    assert said.splitlines()[-1].startswith("edgecae: standard output can't be written: ")
    assert "Traceback" not in said


def test_output_that_is_not_needed_may_be_closed(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "in.png")
    status, said = shell("denoise in.png -o out.png --model nano >&- 0<&-", tmp_path)
    assert status == 0, said
    assert (tmp_path / "out.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", range(60, 241, 30))
def test_a_lack_of_memory_is_one_line(megabytes: int, tmp_path: Path) -> None:
    """From less than Python's imports take to what a stream takes."""
    done = subprocess.run(
        shlex.split(f"{EDGECAE} {STREAM}"), capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1_000_000,) * 2),
    )  # fmt: skip
    print(done.returncode, done.stderr.splitlines()[-1:])
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert done.stderr.splitlines()[-1:] != []
    if done.returncode:
        assert len(done.stderr.splitlines()) <= 3


def started(
    arguments: list[str], folder: Path, before: Callable[[], object] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*shlex.split(EDGECAE), *arguments], cwd=folder, stderr=subprocess.PIPE, text=True,
        preexec_fn=before,
    )  # fmt: skip


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


LIVE = ["stream", "--model", "nano", "--source", "test:64x48@25?live=yes", "--sink", "out.mkv"]


def test_a_stream_whose_terminal_closes_finishes_its_file(tmp_path: Path) -> None:
    process = started(LIVE, tmp_path)
    out = tmp_path / "out.mkv"
    wait_until(lambda: out.exists() and out.stat().st_size > 2000, process)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "frames in" in said


def test_nohup_is_heeded(tmp_path: Path) -> None:
    process = started(LIVE, tmp_path, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    out = tmp_path / "out.mkv"
    wait_until(lambda: out.exists() and out.stat().st_size > 2000, process)
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


SLOW_WRITE = """
import sys, time
from pathlib import Path
from edgecae import atomic
from edgecae.commands import cli
import click

@click.command()
def command():
    with atomic.writing(Path("result")) as temporary:
        temporary.write_text("half")
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)

cli.cli.add_command(command, "models")
cli.LazyGroup.get_command = lambda self, context, name: command
sys.argv = ["edgecae", "models"]
cli.main()
"""
"""Code of a command that is in the middle of a write."""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITE], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    assert list(tmp_path.iterdir())
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    interrupted = number == signal.SIGINT
    assert process.returncode == (130 if interrupted else 1)
    # click ends the line that a terminal shows ^C on
    assert said.lstrip() == (
        f"edgecae: {'interrupted' if interrupted else f'ended by {number.name}'}\n"
    )
    assert not list(tmp_path.iterdir())
