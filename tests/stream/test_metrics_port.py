"""The port of the metrics under attack: it answers, and the stream behind it goes on."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT

from edgecae.stream.metrics import serve

UNIT = (ROOT / "deploy" / "edgecae@.service").read_text()
LIVE = "test:160x120@25?live=yes"


def limit_of_unit(name: str) -> int:
    """What the shipped unit allows its process of something."""
    return int(re.findall(rf"^{name}=(\d+)$", UNIT, re.MULTILINE)[0])


@contextlib.contextmanager
def streaming(folder: Path, *arguments: str, descriptors: int) -> Iterator[tuple[str, list[str]]]:
    """A stream with metrics and so many descriptors; its URL, and what it says until its end."""
    command = [sys.executable, "-m", "edgecae", "stream", "--model", "nano", "--metrics", "0"]
    errors = folder / "errors"
    with errors.open("wb") as said:
        process = subprocess.Popen(
            [*command, *arguments], stderr=said, cwd=folder,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors,) * 2),
        )  # fmt: skip
    lines: list[str] = []
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"metrics at (\S+)", errors.read_text())):
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield found[1], lines
        assert process.poll() is None, errors.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, errors.read_text()
    finally:
        process.kill()
        process.wait()
        lines += errors.read_text().splitlines()


def frames(url: str) -> float:
    """How many frames the stream has denoised, by its metrics."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    return float(re.findall(r"^edgecae_frames_out_total (.*)$", text, re.MULTILINE)[0])


@pytest.mark.slow
@pytest.mark.faults
def test_half_open_connections_starve_neither_metrics_nor_recording(tmp_path: Path) -> None:
    """More of them than the unit allows descriptors; each begins a request and never ends it."""
    descriptors = limit_of_unit("LimitNOFILE")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, descriptors + 2000), hard))
    stuck: list[socket.socket] = []
    recording = ("--source", LIVE, "--sink", "rec.mkv", "--sink", "null:", "--segment", "1")
    try:
        with streaming(tmp_path, *recording, descriptors=descriptors) as (url, said):
            where = urlsplit(url)
            begun, before = time.monotonic(), frames(url)
            for index in range(descriptors + 200):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex((where.hostname, where.port))
                stuck.append(one)
                if index % 3 == 0:
                    time.sleep(0.005)
                    with contextlib.suppress(OSError):
                        one.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
            parts = len(list(tmp_path.glob("rec-*.mkv")))
            time.sleep(4)
            assert frames(url) > before + 25
            written = len(list(tmp_path.glob("rec-*.mkv"))) - parts
            taken = time.monotonic() - begun
            print(f"{len(stuck)} connections; {written} files begun in the last 4 s")
            print(f"{frames(url) - before:.0f} frames in {taken:.0f} s")
            assert written >= 3
        assert not [line for line in said if "goes on" in line or "Traceback" in line], said
    finally:
        for one in stuck:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_wrong_accept_header_gets_metrics() -> None:
    """Older versions of prometheus-client read less of it."""
    values = {"source": "a", "model": "b", "noise": None, "offline_seconds": None}
    with serve("127.0.0.1:0", lambda: defaultdict(int, values)) as url:
        for accept in ("application/openmetrics-text; escaping=zz;version=x", ";;=", "\xff"):
            asked = urllib.request.Request(url, headers={"Accept": accept})
            with urllib.request.urlopen(asked, timeout=5) as answer:
                assert answer.status == 200
                kind = answer.headers["Content-Type"]
                assert kind.startswith(("text/plain", "application/openmetrics-text"))
                assert b"edgecae_" in answer.read()
