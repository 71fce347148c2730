"""systemd's notify protocol, spoken to a real datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edgecae.device import systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_a_message_arrives(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{'@' if abstract else ''}{tmp_path}/notify"
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path.replace("@", "\0"))
        listener.settimeout(5)
        assert systemd.notify("READY=1\nSTATUS=σ 12, 30 frames/s")
        assert listener.recv(4096).decode() == "READY=1\nSTATUS=σ 12, 30 frames/s"
        assert systemd.notify("WATCHDOG=1")
        assert listener.recv(4096) == b"WATCHDOG=1"


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    for address in ("", "vsock:2:1234", f"{tmp_path}/none", "@edgecae/none", "/" + "x" * 200):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not systemd.notify("READY=1"), address


def test_a_full_socket_does_not_hold_up_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    monkeypatch.setattr(systemd, "_PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        assert systemd.notify("WATCHDOG=1")
        assert not all(systemd.notify("WATCHDOG=1") for _ in range(10_000))


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        ("30000000", None, 15.0),
        pytest.param("30000000", str(os.getpid()), 15.0, id="this process"),
        ("500000", None, 0.25),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdogs_interval(
    microseconds: str | None,
    process: str | None,
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval() == seconds
