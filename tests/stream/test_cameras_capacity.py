"""Whether a machine holds the cameras of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgecae.commands.doctor import render
from edgecae.device import doctor
from edgecae.stream.cameras import capacity, settings

FILE = """
threads = 2
[defaults]
model = "small"
sink = "null:"
[cameras.door]
source = "test:320x240@10?live=yes"
[cameras.yard]
source = "test:640x480@15?live=yes"
[cameras.gate]
source = "http://user:swordfish@127.0.0.1:9/live"
"""
DOOR, YARD = (320, 240), (640, 480)


def cameras(folder: Path, text: str = FILE) -> settings.Cameras:
    (folder / "cameras.toml").write_text(text)
    return settings.read(folder / "cameras.toml")


AWAY = capacity.Seen(trouble="nobody answers")


def report(
    folder: Path, nano: float, small: float, base: float, gate: capacity.Seen = AWAY
) -> capacity.CapacityReport:
    """A report on seconds of a small frame; a large one takes four times as long."""
    seconds = {
        (name, size): took * factor
        for name, took in (("small", small), ("nano", nano), ("base", base))
        for size, factor in ((DOOR, 1), (YARD, 4))
    }
    seen = [capacity.Seen(*DOOR, 10.0), capacity.Seen(*YARD, 15.0), gate]
    return capacity.loads(list(cameras(folder).cameras.values()), seen, seconds, 2, 1)


def test_what_each_takes_and_all_together(tmp_path: Path) -> None:
    found = report(tmp_path, nano=0.002, small=0.01, base=0.1)
    door, yard, gate = found.cameras
    assert (door.name, door.model, door.width, door.height, door.rate) == (
        "door",
        "small",
        320,
        240,
        10,
    )
    assert door.cores == {"small": 0.12, "nano": 0.024, "base": 1.2}  # 1.2 for what is beside it
    assert yard.cores == {"small": 0.72, "nano": 0.144, "base": 7.2}
    assert gate.trouble == "nobody answers"
    assert found.cores == 0.84
    assert found.alike == {"base": 8.4, "small": 0.84, "nano": 0.168}
    assert found.holds
    assert door.late == yard.late == ("base",)
    assert (door.fits, yard.fits) == (("small", "nano"), ("small", "nano"))


def test_a_model_that_is_too_slow_for_one_camera(tmp_path: Path) -> None:
    found = report(tmp_path, nano=0.002, small=0.015, base=0.05)
    door, yard, _ = found.cameras
    assert yard.cores["small"] == 1.08  # one thread has no more than a core
    assert yard.late == ("small", "base")
    assert not found.holds
    assert yard.fits == ("nano",)
    assert door.fits == ("base", "small", "nano")


def test_a_model_that_would_do_for_one_camera_and_not_beside_the_others(tmp_path: Path) -> None:
    gate = capacity.Seen(*DOOR, 10.0)
    found = report(tmp_path, nano=0.002, small=0.0138, base=0.083, gate=gate)
    door = found.cameras[0]
    assert found.cores == 1.326
    assert door.cores["base"] == 0.996
    assert not door.late
    assert door.fits == ("small", "nano")
    assert found.alike["base"] > 2


@pytest.mark.slow
def test_the_report_for_people(tmp_path: Path) -> None:
    machine = doctor.examine(measure=False)
    assert not machine.speeds
    text = render(machine, report(tmp_path, nano=0.002, small=0.015, base=0.05))
    for line in (
        "The cameras of the file, on 2 cores",
        "320x240 at 10.0/s        small        0.18 cores",
        "would fit, the others as they are: base, small, nano",
        "a frame of small takes longer than there is time for it",
        "nobody answers",
        "together 1.26 of 2 cores: this machine does not hold them",
        "base 4.20 (too much), small 1.26, nano 0.17",
    ):
        assert line in text, line


@pytest.mark.slow
def test_the_command_looks_at_each_camera_and_measures(tmp_path: Path) -> None:
    cameras(tmp_path, FILE.replace("small", "nano"))
    command = [
        sys.executable,
        "-m",
        "edgecae",
        "doctor",
        "--config",
        str(tmp_path / "cameras.toml"),
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout)["fit"]
    door, yard, gate = found["cameras"]
    assert (door["width"], door["height"]) == DOOR
    assert abs(door["rate"] - 10) < 2
    assert (yard["width"], yard["height"]) == YARD
    assert "Connection refused" in gate["trouble"]
    assert "swordfish" not in done.stdout + done.stderr
    assert 0 < found["alike"]["nano"] < found["alike"]["base"]
    assert yard["cores"]["nano"] > door["cores"]["nano"]
    assert done.returncode == (0 if found["holds"] else 1)
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "together " in shown.stdout
    assert "\x1b" not in shown.stdout  # no colours, nor what is left of them, in a pipe
    assert "\\x1b" not in shown.stdout


def test_sizes_of_cameras_that_are_away_are_those_of_the_file(tmp_path: Path) -> None:
    text = FILE.partition("[cameras.door]")[0] + (
        "[cameras.a]\nsource = '/dev/video99'\nsize = '320x240'\nfps = 5\n"
    )
    (camera,) = cameras(tmp_path, text).cameras.values()
    seen = capacity._look(camera)
    assert (seen.width, seen.height, seen.rate) == (320, 240, 5)
    assert seen.trouble.endswith("; taken as the file has it")


@pytest.mark.slow
def test_options_that_do_not_go_with_a_file(tmp_path: Path) -> None:
    cameras(tmp_path)
    for option in (["--quick"], ["--threads", "2"]):
        done = subprocess.run(
            [sys.executable, "-m", "edgecae", "doctor", "--config", "cameras.toml", *option],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 2
        assert "--quick and --threads don't go with --config" in done.stderr
