"""Tokens and passwords: they come in without the command line, and never out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from edgecae.commands import credentials, hidden
from edgecae.errors import SettingError

EDGECAE = [sys.executable, "-m", "edgecae"]
SECRET = "s3cr3t-horse-battery"
NULL = ["--source", "test:8x8?frames=1", "--sink", "null:"]


@pytest.fixture(autouse=True)
def nothing_hidden_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test hides, other tests may say."""
    monkeypatch.setattr(hidden, "_hidden", set())
    monkeypatch.setattr(hidden, "_pattern", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["stream", "--source", "test:", "--sink", f"view:80?tokn={SECRET}"],
        ["stream", "--source", "test:", "--sink", f"view:80?{SECRET}"],
        ["stream", "--source", "test:", "--sink", f"view:80:token={SECRET}"],
        ["stream", "--source", "test:", "--sink", f"view:80?token={SECRET}&token2=x"],
        ["stream", "--source", "test:", "--sink", f"view:80?token={SECRET} x"],
        ["stream", "--source", "test:", "--sink", f"vew:80?token={SECRET}"],
        ["stream", "--source", "test:", "--sink", f"view?token={SECRET}"],
        ["stream", *NULL, f"view:0.0.0.0:80?token={SECRET}"],
        ["stream", *NULL, "--threads", f"rtsp://user:{SECRET}@host/"],
        ["stream", *NULL, f"--fps=rtsp://user:{SECRET}@host/"],
        ["stream", *NULL, "--metrics", f"1?token={SECRET}"],
        ["stream", *NULL, "--model", f"rtsp://user:{SECRET}@host/"],
        ["stream", f"--sourc=rtsp://user:{SECRET}@host/", "--sink", "null:"],
        ["stream", "--source", f"user:{SECRET}@host", "--sink", "null:"],
        ["-vv", "stream", "--source", f"rtp://user:{SECRET}@host", "--sink", "null:"],
        ["--log-format", "json", "stream", *NULL, f"http://host/v?key={SECRET}"],
        [f"view:?token={SECRET}"],
        ["denoise", f"rtsp://user:{SECRET}@host/x", "-o", "out.png"],
        ["inspect", f"http://host/model.tflite?sig={SECRET}"],
        ["noise", f"rtsp:/user:{SECRET}@host/x"],
    ],
)
def test_no_mistake_shows_a_secret(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*EDGECAE, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_what_is_hidden_is_hidden_however_it_is_quoted() -> None:
    secret = "pa'ss\"w\\ö rd&"
    hidden.hide(secret)
    for said in (secret, repr(secret), f"x{secret}y"):
        assert "ss" not in hidden.clean(said).replace("…", "")
    assert hidden.clean(json.dumps(secret)) == '"…"'
    assert hidden.clean(quote_plus(secret)) == "…"
    assert hidden.clean("frames in, 0.5 ms") == "frames in, 0.5 ms"


@contextlib.contextmanager
def viewing(
    *arguments: str, folder: Path, sink: str = "view:0", **more: str
) -> Iterator[tuple[str, str]]:
    """A stream with a view: its URL, and all that was said until its end."""
    errors = folder / "errors"
    with errors.open("wb") as said:
        process = subprocess.Popen(
            [*EDGECAE, "stream", "--model", "nano", "--source", "test:64x48@25?live=yes",
             "--sink", sink, *arguments],
            stderr=said, cwd=folder, env={**os.environ, **more},
        )  # fmt: skip
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"http://\S+/", errors.read_text())):
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield found[0], errors.read_text()
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert SECRET.encode() not in command
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert SECRET not in errors.read_text()
    finally:
        process.kill()
        process.wait()


def status_of(url: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}status", headers=headers)) as got:
            return int(got.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.parametrize("way", ["file", "environment", "systemd", "description"])
def test_a_token_comes_in_without_the_command_line(way: str, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "token").write_text(f"{SECRET}\n")
    (given / "sink").write_text(f"view:0?token={SECRET}\n")
    arguments, sink, more = [], "view:0", {}
    if way == "file":
        arguments = ["--token-file", str(given / "token")]
    elif way == "environment":
        more = {"EDGECAE_TOKEN": SECRET}
    elif way == "systemd":
        more = {"CREDENTIALS_DIRECTORY": str(given)}
    else:
        sink = f"@{given / 'sink'}"
    with viewing(*arguments, folder=tmp_path, sink=sink, **more) as (url, _):
        assert status_of(url, None) == status_of(url, "wrong") == 401
        assert status_of(url, SECRET) == 200


def test_a_file_describes_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"rtsp://user:{SECRET}@10.0.0.5/live"
    (tmp_path / "door").write_text(f"{url}\r\nmore\n")
    monkeypatch.chdir(tmp_path)
    assert credentials.expanded("@door") == url
    assert credentials.expanded(f"@{tmp_path}/door") == url
    assert credentials.expanded("door") == "door"
    assert SECRET not in hidden.clean(f"can't open {url}")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "door").write_text("test:8x8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert credentials.expanded("@door") == "test:8x8"
    assert credentials.expanded("@./door") == url


def test_a_token_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGECAE_TOKEN", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    assert credentials.view_token(None) is None
    (tmp_path / "token").write_text("")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials.view_token(None) is None
    (tmp_path / "token").write_text("of-the-unit-of-systemd")
    assert credentials.view_token(None) == "of-the-unit-of-systemd"
    monkeypatch.setenv("EDGECAE_TOKEN", "of-the-environment")
    assert credentials.view_token(None) == "of-the-environment"
    (tmp_path / "file").write_text("of-a-file")
    assert credentials.view_token(tmp_path / "file") == "of-a-file"


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe"])
def test_files_that_hold_no_secret(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match="file"):
        credentials.view_token(file)
    with pytest.raises(SettingError, match="file"):
        credentials.expanded(f"@{file}")
