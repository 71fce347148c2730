"""What runs at boot: the unit, the image, and the page about both."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections import defaultdict

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
