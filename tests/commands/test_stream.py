"""``edgecae stream`` as users start it: what it says, and what it takes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecae import stream

STREAM = [sys.executable, "-m", "edgecae", "stream"]


def streamed(*arguments: str) -> tuple[str, dict[str, Any]]:
    """Standard error of a stream with the smallest model, and its last figures."""
    command = [*STREAM, "--model", "nano", "--sink", "null:", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_threads_are_chosen_and_said_and_no_frame_is_lost() -> None:
    said, figures = streamed(
        *("--source", "test:64x48?frames=40", "--threads", "auto", "--max-latency", "10000")
    )
    (chosen,) = re.findall(r"^chosen: (.*)$", said, re.MULTILINE)
    figure = r"[1-9]\d* threads?( in each of [2-9] interpreters)?: [\d.]+ frames/s, [\d.]+ ms each"
    assert re.fullmatch(rf"{figure} \(others: ({figure}(; )?)*(none)?\)", chosen)
    assert "nothing takes less" not in said
    assert (figures["frames_in"], figures["frames_out"], figures["end"]) == (40, 40, True)


@pytest.mark.slow
def test_a_latency_that_nothing_keeps_is_said_and_no_frame_is_lost() -> None:
    said, figures = streamed(
        *("--source", "test:64x48?frames=40", "--threads", "auto", "--max-latency", "0.001")
    )
    assert "nothing takes less than 0.001 ms" in said
    assert len(re.findall(r"^chosen: ", said, re.MULTILINE)) == 1
    assert (figures["frames_in"], figures["frames_out"]) == (40, 40)


def test_the_summary_has_every_count_and_percentile() -> None:
    source: Any = SimpleNamespace(broken=1, reconnects=4)
    stats = stream.Stats(frames_in=9, frames=6, dropped=3, sink_dropped=2, source=source)
    stats.seconds = 2.0
    stats.process.extend([10.0] * 94 + [20.0] * 3 + [30.0] * 3)
    stats.latency.extend([11.0] * 94 + [21.0] * 3 + [31.0] * 3)
    assert stats.summary() == (
        "9 frames in, 6 out, 3 dropped, 2 dropped by a sink, 1 broken, 4 reconnects, "
        "3.0 frames/s; denoising p50 10.0, p95 20.0, p99 30.0 ms; "
        "source to sink p50 11.0, p95 21.0, p99 31.0 ms"
    )


TAKEN = """
import os, resource, subprocess, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:4])
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""Code that runs a command and prints the most memory that it took, in kB.

It stands between pytest and the command, since getrusage counts what a parent had at the start. On
four cores, as a device has: encoders take memory for each.
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "sink"),
    [
        ("test:640x480?frames=60", "null:"),
        ("test:640x480?frames=60", "view:0"),
        ("test:640x480@15?frames=45&live=yes", "rec.mkv"),
    ],
)
def test_vga_takes_less_than_165_megabytes(source: str, sink: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKEN, *STREAM, "--source", source, "--sink", sink],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "→ small (" in done.stderr
    peak = int(done.stdout) * 1024 / 1e6
    print(f"{sink} of {source}: {peak:.0f} MB")
    assert peak < 165


@pytest.mark.slow
@pytest.mark.parametrize("columns", [200, 60])
def test_a_terminal_shows_a_line_that_fits(columns: int) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    command = [*STREAM, "--model", "nano", "--source", "test:64x48@25?frames=40&live=yes"]
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*command, "--sink", "null:"], stderr=theirs, stdin=theirs, env=environment
    )
    os.close(theirs)
    said = b""
    while chunk := read(ours):
        said += chunk
    os.close(ours)
    assert process.wait(20) == 0
    shown = [line for line in said.decode().split("\r\x1b[K")[1:-1] if line]
    assert len(shown) >= 3
    assert all(len(line) < columns for line in shown)
    pattern = r"\d+ frames in, \d+ out, .*" + (r"; source .* p95 .* ms" if columns > 150 else "")
    assert all(re.fullmatch(pattern, line) for line in shown)


def read(terminal: int) -> bytes:
    """What a terminal shows next; nothing once nobody writes to it any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@pytest.mark.slow
def test_metrics_are_answered_while_it_runs() -> None:
    command = [*STREAM, "--model", "nano", "--source", "test:64x48@25?live=yes"]
    process = subprocess.Popen(
        [*command, "--sink", "null:", "--metrics", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        url = next(line for line in process.stderr if line.startswith("metrics at ")).split()[-1]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url)
        counted: list[float] = []
        while len(counted) < 2 or counted[-1] < counted[0] + 10:
            time.sleep(0.05)  # one client may have so many connections at once, and no more
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
            counted += map(
                float, re.findall(r"^edgecae_frames_out_total (.*)$", text, re.MULTILINE)
            )
        assert counted == sorted(counted)
        assert 'edgecae_latency_seconds{quantile="0.95"}' in text
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
