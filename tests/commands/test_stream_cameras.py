"""``edgecae stream --config``: a process with several cameras, its signals, ports and lines."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

EDGECAE = [sys.executable, "-m", "edgecae"]
LIVE = "test:64x48@25?live=yes"
DEFAULTS = "[defaults]\nmodel = 'nano'\nsink = 'null:'\n"


def camera(name: str, source: str = LIVE) -> str:
    return f"[cameras.{name}]\nsource = '{source}'\n"


class Process:
    """``edgecae stream --config``, and what it says."""

    def __init__(self, folder: Path, text: str, *arguments: str, **given: Any) -> None:
        self.file = folder / "cameras.toml"
        self.file.write_text(text)
        self.process = subprocess.Popen(
            [*EDGECAE, "stream", "--config", str(self.file), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, **given,
        )  # fmt: skip
        self.said: list[str] = []
        self.lines: list[dict[str, Any]] = []
        keep = (
            (self.process.stderr, lambda line: self.said.append(line.rstrip())),
            (self.process.stdout, lambda line: self.lines.append(json.loads(line))),
        )
        self._readers = [threading.Thread(target=self._read, args=each) for each in keep]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe: Any, keep: Callable[[str], object]) -> None:
        for line in pipe:
            keep(line)

    def wait(self, condition: Callable[[], Any], seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, (self.said, self.lines[-3:])
            time.sleep(0.05)
        return found

    def wait_for(self, pattern: str) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.said)), None)

        return self.wait(look)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> int:
        status = self.process.wait(30)
        for reader in self._readers:
            reader.join(10)
        return status


@contextmanager
def process(folder: Path, text: str, *arguments: str, **given: Any) -> Iterator[Process]:
    made = Process(folder, text, *arguments, **given)
    try:
        yield made
    finally:
        made.process.kill()
        made.rest()


def get(url: str, **headers: str) -> tuple[int, bytes]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 0, timeout=5)
    connection.request("GET", where.path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.slow
def test_figures_of_each_camera_and_an_end_by_itself(tmp_path: Path) -> None:
    text = DEFAULTS + camera("a", f"{LIVE}&frames=40") + camera("b", f"{LIVE}&frames=60")
    with process(tmp_path, text, "--json") as made:
        assert made.rest() == 0
        assert {line["camera"] for line in made.lines} == {"a", "b"}
        first, second = made.lines[-2:]
        assert (first["camera"], first["frames_in"], first["end"]) == ("a", 40, True)
        assert (second["camera"], second["frames_in"], second["end"]) == ("b", 60, True)
        assert second["process_p50_ms"] > 0
        assert not any("end" in line for line in made.lines[:-2])
        assert made.said[-1].startswith("0 of 2 cameras, ")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_all_cameras_with_whole_recordings(
    number: int, status: int, tmp_path: Path
) -> None:
    import av

    text = DEFAULTS.replace("null:", "{camera}.mkv") + camera("a") + camera("b")
    with process(tmp_path, text, "--json") as made:
        made.wait(lambda: made.lines and made.lines[-1]["frames"] > 5)
        assert made.end(number) == status
        frames = [line["frames"] for line in made.lines[-2:]]
    for name, count in zip("ab", frames, strict=True):
        with av.open(str(tmp_path / f"{name}.mkv")) as container:
            assert len(list(container.decode(video=0))) == count


@pytest.mark.slow
def test_a_hangup_reads_the_file_anew(tmp_path: Path) -> None:
    with process(tmp_path, DEFAULTS + camera("a") + camera("b"), "--json") as made:
        made.wait(lambda: len(made.lines) > 1 and made.lines[-1]["frames"])
        made.file.write_text(DEFAULTS + camera("a") + camera("c"))
        made.process.send_signal(signal.SIGHUP)
        made.wait_for("file read anew: goes on: a; begins: c; ends: b$")
        made.wait(lambda: any(line["camera"] == "c" and line["frames"] for line in made.lines))

        made.file.write_text(DEFAULTS + camera("a") + "sorce = 3\n")
        made.process.send_signal(signal.SIGHUP)
        made.wait_for(r"camera 'a': .*`sorce`; did you mean 'source'\?; the cameras stay as they")
        count = len(made.lines)
        made.wait(lambda: len(made.lines) > count + 1)
        assert {line["camera"] for line in made.lines[count:]} == {"a", "c"}
        assert made.end() == 0
        of_a = [line for line in made.lines if line["camera"] == "a"]
        assert of_a[-1]["restarts"] == 0
        assert all(x["frames"] <= y["frames"] for x, y in itertools.pairwise(of_a))


@pytest.mark.slow
def test_one_page_for_all_and_one_for_each_and_metrics(tmp_path: Path) -> None:
    text = "view = '0'\nmetrics = '0'\n[defaults]\nmodel = 'nano'\n" + camera("a") + camera("b")
    with process(tmp_path, text) as made:
        url = made.wait_for(r"view at (\S+)/")[1]
        made.wait(lambda: get(f"{url}/cameras/b/snapshot.jpg")[0] == 200)
        made.wait(lambda: get(f"{url}/cameras/a/snapshot.jpg")[0] == 200)
        for path in ("/", "/cameras/a/", "/cameras/b/"):
            status, body = get(url + path)
            assert (status, body[:15]) == (200, b"<!doctype html>")
        status, body = get(f"{url}/status")
        figures = json.loads(body)["cameras"]
        assert list(figures) == ["a", "b"]
        assert figures["a"]["state"] == "running"
        assert json.loads(get(f"{url}/cameras/b/status")[1])["camera"] == "b"
        for path in (
            "/cameras/c/",
            "/cameras/c/status",
            "/cameras/a",
            "/snapshot.jpg",
            "/strength",
        ):
            assert get(url + path)[0] == 404, path
        where = made.wait_for(r"metrics at (\S+)")[1]
        with urllib.request.urlopen(where, timeout=5) as answer:
            served = answer.read().decode()
        assert re.search(r'^edgecae_frames_out_total\{camera="b"\} [1-9]', served, re.M)
        assert 'edgecae_up{camera="a"} 1.0' in served
        assert 'edgecae_restarts_total{camera="a"} 0.0' in served
        assert 'edgecae_latency_seconds{camera="a",quantile="0.95"}' in served
        made.file.write_text(text.replace("cameras.b", "cameras.c"))
        made.process.send_signal(signal.SIGHUP)
        made.wait(lambda: get(f"{url}/cameras/c/snapshot.jpg")[0] == 200)
        assert get(f"{url}/cameras/b/status")[0] == 404
        assert made.end() == 0


@pytest.mark.slow
def test_secrets_of_the_file_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("http://user:opensesame@127.0.0.1:9/live\n")
    (tmp_path / "token").write_text("0123456789abcdefghij\n")
    text = (
        "view = '0'\n[defaults]\nmodel = 'nano'\n" + camera("a") + camera("b", "@source")
        + camera("c", "http://user:swordfish@127.0.0.1:9/live")
    )  # fmt: skip
    with process(tmp_path, text, "--token-file", "token", "--json") as made:
        url = made.wait_for(r"view at (\S+)/")[1]
        made.wait(lambda: sum("offline: " in line for line in made.said) == 2)
        assert get(f"{url}/status")[0] == 401
        assert get(f"{url}/cameras/a/status")[0] == 401
        authorization = {"Authorization": "Bearer 0123456789abcdefghij"}
        status, body = get(f"{url}/status", **authorization)
        assert status == 200
        assert made.end() == 0
    everything = "\n".join([*made.said, json.dumps(made.lines), body.decode()])
    for secret in ("opensesame", "swordfish", "0123456789abcdefghij"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing option '--source'"),
        (["--source", "test:"], "Missing option '--sink'"),
        (["--source", "test:", "--source", "test:"], "--config FILE takes several cameras"),
        (["--config", "x.toml", "--source", "test:"], "with --config, --source stands in the file"),
        (["--config", "x.toml", "--model", "nano", "--fps", "3"], "--model, --fps stands in"),
    ],
)
def test_options_that_exclude_each_other(arguments: list[str], says: str) -> None:
    done = subprocess.run([*EDGECAE, "stream", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("command", ["stream", "doctor"])
def test_without_msgspec_a_line_names_the_extra(command: str, tmp_path: Path) -> None:
    (tmp_path / "cameras.toml").write_text(DEFAULTS + camera("a"))
    code = (
        "import sys; sys.modules['msgspec'] = None; from edgecae.commands.cli import main; "
        f"sys.argv = ['edgecae', '{command}', '--config', 'cameras.toml']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (1, 2)
    assert "a file of cameras needs msgspec: pip install 'edgecae[cameras]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_wrong_fails_in_one_line(tmp_path: Path) -> None:
    with process(tmp_path, "[cameras.a]\nsource = 'test:'\nsnik = 'null:'\n") as made:
        assert made.rest() == 2  # systemd does not try again
    (line,) = made.said
    assert "did you mean 'sink'?" in line


@pytest.mark.slow
def test_inference_that_hangs_too_often_ends_the_process(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import sys, time
        from edgecae import Denoiser
        from edgecae.commands.cli import main
        from edgecae.stream.cameras import supervisor
        supervisor.MAX_HANGS = 1
        process = Denoiser.process
        def hang(self, frame, out=None):
            if frame.shape[0] == 16:
                time.sleep(600)
            return process(self, frame, out)
        Denoiser.process = hang
        sys.argv = ["edgecae", "stream", "--config", "cameras.toml"]
        main()
    """)
    text = DEFAULTS + camera("a") + camera("b", "test:32x16@25?live=yes") + "hang = 0.5\n"
    (tmp_path / "cameras.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 70, done.stderr
    assert "inference has hung 1 times" in done.stderr
    assert "Traceback" not in done.stderr
