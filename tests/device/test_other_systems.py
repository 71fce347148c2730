"""What macOS and Windows lack is taken away: edgecae goes another way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecae.device import doctor, machine

WITHOUT = """
import os, signal, sys
for name in (
    "sched_getaffinity", "memfd_create", "getloadavg", "geteuid", "getuid", "getgroups", "link",
    "fork", "mkfifo", "statvfs", "O_DIRECTORY",
):
    delattr(os, name)
for name in ("SIGKILL", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM"):
    delattr(signal, name)
for name in ("grp", "pwd", "fcntl", "resource", "termios"):
    sys.modules[name] = None  # importing it fails
sys.argv = ["edgecae", *sys.argv[1:]]
from edgecae.commands.cli import main
main()
"""


def edgecae(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_picture_is_denoised(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = edgecae("denoise", photos / "face.png", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "XNNPACK" not in done.stderr
    before, after = (np.array(Image.open(path)) for path in (photos / "face.png", out))
    assert 0 < np.abs(before.astype(int) - after).mean() < 10


def test_a_stream_runs() -> None:
    done = edgecae("stream", "--source", "test:64x48?frames=5", "--sink", "null:", "--json")
    assert done.returncode == 0, done.stderr
    assert '"frames": 5' in done.stdout


@pytest.mark.slow
def test_noise_is_measured_and_written_but_not_over_a_file(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "camera.toml"
    assert edgecae("noise", photos / "face.png", "-o", out).returncode == 0
    before = out.read_text()
    again = edgecae("noise", photos / "face.png", "-o", out)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    assert out.read_text() == before


def test_cores_are_counted_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.available_cores() == os.cpu_count()


def test_a_machine_without_the_files_of_linux_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "grp", None)
    monkeypatch.delattr(os, "sched_getaffinity")
    facts = machine.read_this_machine(tmp_path)
    assert facts.cpu.cores == os.cpu_count()
    assert facts.memory_total is None
    findings = doctor.of_machine(facts)
    assert all(finding.grade == "ok" for finding in findings)
    assert doctor._in_group_video() is False
