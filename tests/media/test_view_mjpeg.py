"""The view's MJPEG: what programs read of it, who may, and what slow ones cost."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from PIL import Image
from ports import free_port
from watching import Stream, ask, picture, showing, view

from edgecae.media.sinks.view import View, server

TOKEN = "0123456789abcdef0123"
PATH = "/stream.mjpeg"


def url_of(sink: View, path: str = PATH, user: str = "") -> str:
    return f"http://{user}{urlsplit(sink.name).netloc}{path}"


@contextlib.contextmanager
def connected(
    sink: View, method: str = "GET", **headers: str
) -> Iterator[http.client.HTTPResponse]:
    """An answer whose head has come."""
    where = urlsplit(sink.name)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 0, timeout=5)
    with contextlib.closing(connection):
        connection.request(method, PATH, headers=headers)
        with contextlib.closing(connection.getresponse()) as answer:
            yield answer


def viewers_become(sink: View, count: int, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while sink.viewers != count:
        assert time.monotonic() < end, f"{sink.viewers} viewers"
        time.sleep(0.01)


def test_ffmpeg_sees_each_picture_change() -> None:
    with view() as sink, showing(sink), av.open(url_of(sink), timeout=5) as container:
        start = time.monotonic()
        frames = list(itertools.islice(container.decode(video=0), 12))
        took = time.monotonic() - start
        values = [float(frame.to_ndarray(format="gray").mean()) for frame in frames]
    assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
    assert all(abs(a - b) > 5 for a, b in itertools.pairwise(values))
    print(f"12 pictures in {took:.2f} s")
    assert took > 12 / 15 - 0.3  # no faster than the view encodes


def test_each_part_says_its_length_and_is_the_denoised_picture() -> None:
    with view() as sink:
        sink.write(picture(90))
        with connected(sink) as answer:
            assert answer.status == 200
            kind = answer.headers["Content-Type"]
            assert kind == "multipart/x-mixed-replace; boundary=edgecae-picture"
            for value in (90, 140):
                sink.write(picture(value))
                assert answer.readline() == b"--edgecae-picture\r\n"
                assert answer.readline() == b"Content-Type: image/jpeg\r\n"
                size = int(answer.readline().removeprefix(b"Content-Length: "))
                assert answer.readline() == b"\r\n"
                pixels = np.asarray(Image.open(io.BytesIO(answer.read(size))))
                assert answer.readline() == b"\r\n"
                assert np.abs(pixels.astype(int) - value).max() <= 2
                assert pixels.shape == (48, 64, 3)
        viewers_become(sink, 0)


def test_a_stream_with_a_token_is_for_who_has_it() -> None:
    with view(f"view:0?token={TOKEN}", Stream()) as sink, showing(sink):
        basic = base64.b64encode(f"any:{TOKEN}".encode()).decode()
        for scheme in (f"Bearer {TOKEN}", f"Basic {basic}"):
            with connected(sink, Authorization=scheme) as answer:
                assert answer.status == 200
        with av.open(url_of(sink, user=f"any:{TOKEN}@"), timeout=5) as container:
            assert next(container.decode(video=0)).width == 640
        assert ask(sink, "GET", "/snapshot.jpg", Authorization=f"Basic {basic}")[0] == 200
        # A password is for pictures alone: browsers send it on by themselves.
        for path in ("/", "/status", "/frames"):
            status, _, headers = ask(sink, "GET", path, Authorization=f"Basic {basic}")
            assert status == 401
            assert "WWW-Authenticate" not in headers
        wrong = base64.b64encode(f"{TOKEN}:wrong".encode()).decode()
        for scheme in ("", f"Basic {wrong}", "Basic ???", f"Basic {TOKEN}", "Bearer wrong"):
            given = {"Authorization": scheme} if scheme else {}
            status, body, headers = ask(sink, "GET", PATH, **given)
            assert status == 401
            assert len(body) < 100
            assert ("WWW-Authenticate" in headers) == (not scheme)
        assert ask(sink, "GET", f"{PATH}?token={TOKEN}")[0] == 401
        with pytest.raises(av.HTTPUnauthorizedError):
            av.open(url_of(sink, user="any:wrong@"), timeout=5)


def test_who_is_asked_for_a_password_gets_in_while_others_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "REFUSAL_DELAY", 0.2)
    with view(f"view:0?token={TOKEN}") as sink, showing(sink):
        assert {ask(sink, "GET", f"/?token={i}")[0] for i in range(22)} == {401, 429}
        with av.open(url_of(sink, user=f"any:{TOKEN}@"), timeout=5) as container:
            assert next(container.decode(video=0)).width == 640


def test_another_page_and_another_name_see_nothing() -> None:
    with view() as sink, showing(sink):
        assert ask(sink, "GET", PATH, Host="evil.example")[0] == 403
        assert ask(sink, "GET", PATH, Origin="http://evil.example")[0] == 403
        part = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert ask(sink, "GET", PATH, **part)[0] == 403
        with connected(sink, "HEAD") as answer:
            assert answer.status == 200
        assert ask(sink, "POST", PATH, {})[0] == 405


def test_nine_are_one_too_many_until_one_goes() -> None:
    with view() as sink, showing(sink), contextlib.ExitStack() as stack:
        answers = [stack.enter_context(connected(sink)) for _ in range(server.CLIENTS - 1)]
        with connected(sink) as last:
            assert {answer.status for answer in (last, *answers)} == {200}
            viewers_become(sink, server.CLIENTS)
            with connected(sink) as answer:
                assert answer.status == 503
        viewers_become(sink, server.CLIENTS - 1)
        with connected(sink) as answer:
            assert answer.status == 200


@pytest.mark.slow
def test_one_who_does_not_read_slows_nobody_and_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "SEND_DEADLINE", 0.5)
    with view() as sink, showing(sink, noisy=True) as taken:
        where = urlsplit(sink.name)
        with socket.socket() as sleeper, av.open(url_of(sink), timeout=5) as container:
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.connect((where.hostname, where.port))
            sleeper.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
            viewers_become(sink, 2)
            frames = container.decode(video=0)
            end, count = time.monotonic() + 30, 0
            while sink.viewers == 2:
                assert time.monotonic() < end
                next(frames)
                count += 1
            assert count > 2
            before = time.monotonic()
            for _ in range(3):
                next(frames)
            assert time.monotonic() - before < 3
    assert np.median(taken) < 0.05


def test_the_end_of_the_view_ends_the_stream() -> None:
    with view() as sink:
        sink.write(picture(90))
        with connected(sink) as answer:
            answer.readline()
            start = time.monotonic()
            sink.__exit__()
            assert time.monotonic() - start < 2
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                answer.read()


@pytest.mark.slow
@pytest.mark.parametrize("password", [TOKEN, "wrong"])
def test_home_assistant_takes_it_as_a_camera(password: str) -> None:
    """Its own form, and what it then serves itself; see docs/programs.md."""
    python = os.environ.get("EDGECAE_HOME_ASSISTANT_PYTHON")
    if not python:
        pytest.skip("there is no Python that has Home Assistant")
    script = Path(__file__).parent / "home_assistant.py"
    with view(f"view:0?token={TOKEN}") as sink, showing(sink):
        urls = url_of(sink), url_of(sink, "/snapshot.jpg")
        command = [python, str(script), str(free_port()), *urls, password]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    if password == TOKEN:
        assert (found["form"], found["errors"]) == ("create_entry", None)
        assert found["pictures"] > 5
        assert found["still"] > 1000
    else:
        assert (found["form"], found["errors"]) == ("form", {"username": "invalid_auth"})
