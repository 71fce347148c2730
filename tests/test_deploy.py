"""What runs at boot: the unit, the image, and the page about both."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT

from edgecae.commands import stream

UNIT = (ROOT / "deploy" / "edgecae@.service").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deploy.md").read_text()


def parse(unit: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit, their keys, and each value a key was given."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in unit.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), defaultdict(list))
        else:
            key, _, value = line.partition("=")
            assert re.fullmatch(r"[A-Z][A-Za-z]+", key), line
            section[key].append(value)
    return sections


def test_the_unit_starts_a_stream_at_boot_and_again() -> None:
    unit = parse(UNIT)
    assert list(unit) == ["Unit", "Service", "Install"]
    service = unit["Service"]
    once = [key for key, values in service.items() if len(values) > 1]
    assert once == ["LoadCredential", "DeviceAllow"]
    assert unit["Unit"]["After"] == unit["Unit"]["Wants"] == ["network-online.target"]
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]
    assert service["EnvironmentFile"] == ["/etc/edgecae/%i.conf"]
    # A name, not a path: then the unit starts without them as well.
    loaded = dict(each.split(":") for each in service["LoadCredential"])
    assert loaded == {"token": "edgecae.%i.token", "source": "edgecae.%i.source"}
    assert service["Type"] == ["notify"]
    assert 0 < int(service["WatchdogSec"][0]) <= 60
    # The process that speaks to systemd must be the one that it started: no shell in between.
    assert service["ExecStart"][0].startswith("/opt/edgecae/bin/edgecae ")
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["Restart"] == ["always"]
    assert int(service["RestartSec"][0]) < int(service["RestartMaxDelaySec"][0])
    assert unit["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert service["RestartPreventExitStatus"] == ["2"]


def test_the_unit_may_do_what_a_stream_does_and_little_else() -> None:
    service = parse(UNIT)["Service"]
    assert service["DynamicUser"] == ["yes"]
    assert service["SupplementaryGroups"] == ["video"]
    assert service["DevicePolicy"] == ["closed"]
    assert "char-video4linux rw" in service["DeviceAllow"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["StateDirectory"] == ["edgecae/%i"]
    assert service["WorkingDirectory"] == ["%S/edgecae/%i"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "AF_UNIX" in service["RestrictAddressFamilies"][0].split()  # READY=1 goes over one
    assert service["MemoryMax"][0]


def test_the_units_command_runs() -> None:
    (start,) = parse(UNIT)["Service"]["ExecStart"]
    program, *arguments = start.split()
    assert program == "/opt/edgecae/bin/edgecae"
    assert arguments.pop() == "$ARGS"
    done = subprocess.run(
        [sys.executable, "-m", "edgecae", *arguments, "--source", "test:64x48?frames=3",
         "--sink", "null:"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all("message" in json.loads(line) for line in done.stderr.splitlines())


@pytest.mark.parametrize("arguments", re.findall(r'ARGS="(.*)"', UNIT + PAGE))
def test_examples_of_arguments_are_right(arguments: str) -> None:
    stream.command.make_context("stream", shlex.split(arguments), resilient_parsing=False)


def test_the_image_copies_what_is_there_and_runs_as_nobody() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    allowed = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in allowed, path
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["edgecae"]
    entry = re.search(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    assert entry is not None
    assert json.loads(entry[1]) == ["edgecae"]


@pytest.mark.slow
def test_a_unit_for_several_cameras_is_told_of_changes(tmp_path: Path) -> None:
    """With the unit's own command, its reload, and what systemd hears."""
    service = parse(UNIT)["Service"]
    toml = re.search(
        r"^```toml\n(.*?)^```$", (ROOT / "docs" / "cameras.md").read_text(), re.S | re.M
    )
    assert toml is not None
    text = re.sub(r'source = ".*"', 'source = "test:64x48@25?live=yes"', toml[1])
    text = re.sub(r"^(size|fps|active) = .*\n", "", text, flags=re.M).replace('"8080"', '"0"')
    (tmp_path / "cameras.toml").write_text(text)
    (tmp_path / "recordings").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        (start,) = service["ExecStart"]
        process = subprocess.Popen(
            [sys.executable, "-m", "edgecae", *start.split()[1:-1], "--config", "cameras.toml"],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"),
                 "WATCHDOG_USEC": "1000000"},
        )  # fmt: skip
        try:
            heard = [systemd.recv(999).decode() for _ in range(3)]
            assert heard[0] == "READY=1"
            assert heard[2].startswith("WATCHDOG=1\nSTATUS=2 of 2 cameras, ")
            (tmp_path / "cameras.toml").write_text(text.replace("cameras.yard", "cameras.gate"))
            (reload,) = service["ExecReload"]
            subprocess.run(shlex.split(reload.replace("$MAINPID", str(process.pid))), check=True)
            while "1 of 2 cameras" in (last := systemd.recv(999).decode()):
                pass
            assert last.startswith("WATCHDOG=1")
            process.terminate()
            said = process.communicate(timeout=30)[1]
            messages = [json.loads(line)["message"] for line in said.splitlines()]
            assert "file read anew: goes on: door; begins: gate; ends: yard" in messages
            while systemd.recv(999) != b"STOPPING=1":
                pass
            assert process.returncode == 0
        finally:
            process.kill()
            process.communicate()
    assert {path.name.partition("-")[0] for path in (tmp_path / "recordings").iterdir()} == {
        "door", "yard", "gate",
    }  # fmt: skip
