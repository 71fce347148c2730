"""The view without a browser: who gets in, what is served, and that no client slows the stream."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import statistics
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from watching import Socket, Stream, ask, picture, showing, view

from edgecae.errors import SinkError
from edgecae.media import allowance, sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.sinks.view import View, access, address

TOKEN = "correct-horse"


@pytest.mark.parametrize(
    ("spec", "host", "port", "token"),
    [
        ("view:", "127.0.0.1", 8080, None),
        ("view:9000", "127.0.0.1", 9000, None),
        ("view:0.0.0.0:9000", "0.0.0.0", 9000, None),
        ("view:[::1]:80?token=a%2Bb", "::1", 80, "a+b"),
        ("view:?token=x", "127.0.0.1", 8080, "x"),
    ],
)
def test_descriptions(spec: str, host: str, port: int, token: str | None) -> None:
    assert address.parse(spec) == address.Address(host, port, token)


@pytest.mark.parametrize(
    "spec",
    ["view:x", "view:70000", "view:::1:80", "view:a:b:1", "view::80", "view:?token=", "view:?a=b",
     "view:80?token=secret secret", "view:?secret", "view:80?tokn=secret", "view:80:token=secret",
     "view:a..b:80", "view:no-such-host.invalid:0"],
)  # fmt: skip
def test_descriptions_that_are_none(spec: str) -> None:
    with pytest.raises(SinkError) as caught:
        view(spec)
    assert "secret" not in str(caught.value)


def test_a_port_in_use() -> None:
    with view() as first, pytest.raises(SinkError, match="in use; try another port"):
        view(f"view:{urlsplit(first.name).port}")


def test_what_other_machines_reach_has_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    with sources.open_source("test:8x8") as source:
        with sinks.open_sink("view:0.0.0.0:0", sinks.SinkSettings(source)) as sink:
            said = capsys.readouterr().err
            assert said == f"open {sink.url}\n"
            token = sink.url.partition("?token=")[2]
            assert len(token) >= 32
            assert token not in sink.name
            assert ask(sink, "GET", "/status")[0] == 401
            assert ask(sink, "GET", f"/?token={token}")[0] == 200


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(SinkError, match=r"edgecae\[view\]"):
        view()


def test_what_is_served_and_how() -> None:
    with view(control=Stream()) as sink:
        assert ask(sink, "GET", "/snapshot.jpg")[0] == 503
        sink.write(picture(90))
        status, body, headers = ask(sink, "GET", "/")
        assert status == 200
        assert b"<title>edgecae</title>" in body
        assert not [
            w for w in (b"http://", b"https://") if w in body.replace(b"http://www.w3.", b"")
        ]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        for path in ("/", "/status", "/snapshot.jpg", "/nothing", "/strength"):
            headers = ask(sink, "GET", path)[2]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert json.loads(ask(sink, "GET", "/status")[1]) == Stream().snapshot()
        assert ask(sink, "GET", "/../../etc/passwd")[0] == 404
        assert ask(sink, "GET", "/strength")[0] == 405


@pytest.mark.parametrize(
    "shape", [(48, 64, 3), (48, 64), (48, 64, 1), (1, 1, 3), (7, 5), (33, 2, 3)]
)
def test_the_snapshot_is_the_newest_picture(shape: tuple[int, ...]) -> None:
    with view() as sink:
        for value in (10, 200, 120):
            pixels = np.full(shape, value, np.uint8)
            sink.write(Frame(pixels, 0.0))
            pixels[...] = 0
        start = time.perf_counter()
        status, body, headers = ask(sink, "GET", "/snapshot.jpg")
        print(f"snapshot after {(time.perf_counter() - start) * 1000:.1f} ms")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        image = Image.open(io.BytesIO(body))
        assert image.size == (shape[1], shape[0])
        assert image.mode == ("RGB" if shape[2:] == (3,) else "L")
        assert np.abs(np.asarray(image).astype(int) - 120).max() <= 2


def test_a_frame_that_no_jpeg_holds() -> None:
    with view() as sink, pytest.raises(SinkError, match="does not fit into a JPEG"):
        sink.write(Frame(np.zeros((1, 65501, 3), np.uint8), 0.0))


@pytest.mark.slow
def test_without_the_token_there_is_nothing() -> None:
    with view(f"view:0?token={TOKEN}", control := Stream()) as sink:
        sink.write(picture(90))
        cookie = access.Access("wrong", frozenset(), True).cookie
        port = urlsplit(sink.name).port
        bad = (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": f"edgecae-view-{port}={cookie}"},
        )
        for headers in bad:
            for path in (
                "/",
                "/?token=wrong",
                "/status",
                f"/status?token={TOKEN}",
                "/snapshot.jpg",
            ):
                status, body, given = ask(sink, "GET", path, **headers)
                assert status in (401, 429)
                assert len(body) < 100
                assert "Set-Cookie" not in given
            assert ask(sink, "POST", "/strength", {"strength": 0.5}, **headers)[0] in (401, 429)
            assert Socket(sink, **headers).status in (401, 429)
    assert control.strength == 1


def test_with_the_token_there_is_all() -> None:
    with view(f"view:0?token={TOKEN}", control := Stream()) as sink:
        sink.write(picture(90))
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(sink, "GET", "/snapshot.jpg", **bearer)[0] == 200
        status, _, headers = ask(sink, "GET", f"/?token={TOKEN}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        kept = {"Cookie": cookie.partition(";")[0]}
        assert ask(sink, "GET", "/status", **kept)[0] == 200
        assert ask(sink, "POST", "/strength", {"strength": 0.5}, **kept)[0] == 200
        assert control.strength == 0.5
        with Socket(sink, **kept) as client:
            assert client.status == 101
            assert client.next()[1].startswith(b"\xff\xd8")


def test_guessing_slows_the_guesser_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """All come from one address, as a page in a viewer's browser does."""
    from edgecae.media.sinks.view import server

    monkeypatch.setattr(server, "REFUSAL_DELAY", 0.2)
    with view(f"view:0?token={TOKEN}") as sink:
        got = [ask(sink, "GET", f"/?token={i}")[0] for i in range(22)]
        assert set(got[:20]) == {401}
        start = time.monotonic()
        assert ask(sink, "GET", "/?token=wrong")[0] == 429
        assert time.monotonic() - start >= 0.2
        start = time.monotonic()
        status, _, headers = ask(sink, "GET", f"/?token={TOKEN}")
        assert status == 200
        kept = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert ask(sink, "GET", "/status", **kept)[0] == 200
        assert ask(sink, "GET", "/status", Authorization=f"Bearer {TOKEN}")[0] == 200
        with Socket(sink, **kept) as client:
            assert client.status == 101
        assert time.monotonic() - start < 0.2  # four in a row, none of which had to wait


@pytest.mark.slow
def test_a_page_that_asks_on_and_on_keeps_no_viewer_out() -> None:
    """Six at a time, as browsers do, with wrong tokens and from inside another page."""
    end, answers = threading.Event(), []

    def attack(sink: View, index: int) -> None:
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        while not end.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                path = "/?token=wrong" if index % 2 else "/snapshot.jpg"
                answers.append(ask(sink, "GET", path, **foreign)[0])

    def let_in(sink: View, seconds: float, **headers: str) -> int:
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            assert ask(sink, "GET", "/status", **headers)[0] == 200
            count += 1
            time.sleep(0.1)
        return count

    for spec, headers in (
        (f"view:0?token={TOKEN}", {"Authorization": f"Bearer {TOKEN}"}),
        ("view:0", {}),
    ):
        end.clear()
        answers.clear()
        with view(spec) as sink:
            threads = [threading.Thread(target=attack, args=(sink, i)) for i in range(6)]
            for thread in threads:
                thread.start()
            time.sleep(1)  # the first refusals are quick
            count = let_in(sink, 4, **headers)
            end.set()
            for thread in threads:
                thread.join()
        print(f"{count} let in, {len(answers)} refused")
        assert set(answers) <= {401, 403, 429}
        assert 429 in answers


def test_failures_are_not_forgotten_by_a_flood() -> None:
    counted = allowance.Allowance(burst=3, rate=0.01)
    while counted.spend("guesser"):
        pass
    for index in range(3 * allowance.MAX_CLIENTS):
        counted.spend(f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}")
    assert not counted.spend("guesser")
    assert len(counted._left) <= allowance.MAX_CLIENTS + 1
    quick = allowance.Allowance(burst=1, rate=1e9)
    for index in range(3 * allowance.MAX_CLIENTS):  # all have what they had at first
        assert quick.spend(str(index))


def test_a_network_of_ipv6_is_one_client() -> None:
    assert allowance.client("2001:db8:1:2::3") == allowance.client("2001:db8:1:2:ffff::")
    assert allowance.client("2001:db8:1:2::3") != allowance.client("2001:db8:1:3::3")
    assert allowance.client("::ffff:10.0.0.1") == allowance.client("10.0.0.1") == "10.0.0.1"
    assert allowance.client("fe80::1%eth0") == allowance.client("fe80::2%eth0")


@pytest.mark.parametrize(("host", "needed"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_short_token_is_for_this_machine_alone(host: str, needed: bool) -> None:
    for short in ("a", "x" * 15):
        if needed:
            with pytest.raises(SinkError, match="16 characters or more"):
                view(f"view:{host}:0?token={short}")
        else:
            view(f"view:{host}:0?token={short}").__exit__()
    view(f"view:{host}:0?token={'x' * 16}").__exit__()


def raw(sink: View, sent: bytes) -> bytes:
    """What comes back for some bytes until the connection ends."""
    where = urlsplit(sink.name)
    received = b""
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


JSON = f"POST /strength HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01" * 20 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \x00\xff\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    *(
        f"{JSON}{header}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        for header in (
            "Content-Type: application/json; charset=nosuch",
            "Content-Type: application/json; charset=hex",
            'Content-Type: application/json; charset="a\tb"',
            "Content-Type: \x01/;;=",
            "Content-Type: application/json\r\nContent-Encoding: nosuch",
            "Content-Type: application/json\r\nContent-Encoding: gzip",
            "Content-Type: application/json\r\nContent-Encoding: br",
            "Content-Type: application/json\r\nContent-Encoding: zstd",
            "Content-Type: application/json\r\nExpect: nosuch",
        )
    ),
    f"{JSON}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
]


def test_malformed_requests_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with view(f"view:0?token={TOKEN}", Stream()) as sink:
        for sent in MALFORMED * 2:
            status = raw(sink, sent).split(b" ", 2)[1]
            assert status in (b"400", b"417"), sent
        assert ask(sink, "GET", "/status", Authorization=f"Bearer {TOKEN}")[0] == 200
    said = [record for record in caplog.records if not record.name.startswith("asyncio")]
    assert len(said) == 1
    assert len(caplog.text) < 200
    assert said[0].exc_info is None


def test_what_a_handler_raises_is_no_500_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    class Poor(Stream):
        def snapshot(self) -> dict[str, Any]:
            raise MemoryError

    with view(control=Poor()) as sink:
        assert [ask(sink, "GET", "/status")[0] for _ in range(5)] == [503] * 5
        assert ask(sink, "GET", "/")[0] == 200
    assert len(caplog.records) == 1
    assert "MemoryError" in caplog.records[0].message
    assert caplog.records[0].exc_info is None


@pytest.mark.slow
def test_the_view_outlives_a_time_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecae.media.sinks.view import pictures

    encode, left = pictures.encode, [MemoryError(), MemoryError()]

    def poor(pixels: np.ndarray) -> bytes:
        if left:
            raise left.pop()
        return encode(pixels)

    monkeypatch.setattr(pictures, "encode", poor)
    with view(control=Stream()) as sink, showing(sink), Socket(sink) as client:
        end = time.monotonic() + 10
        while not client.next()[1]:
            assert time.monotonic() < end
        assert not left


@pytest.mark.parametrize("target", ["evil.example", "evil.example;script-src", "127.0.0.1.evil"])
def test_a_host_in_the_request_line_goes_nowhere(target: str) -> None:
    with view() as sink:
        for host in ("localhost", target):
            answer = raw(sink, f"GET http://{target}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert answer.split(b" ", 2)[1] in (b"400", b"403")
            assert b"evil" not in answer


def test_a_link_opens_the_page_and_no_other_page_loads_a_part() -> None:
    with view() as sink:
        sink.write(picture(90))
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert ask(sink, "GET", "/", **foreign, Sec_Fetch_Dest="document")[0] == 200
        assert ask(sink, "GET", "/", **foreign, Sec_Fetch_Dest="iframe")[0] == 403
        part = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
            assert ask(sink, "GET", "/snapshot.jpg", **part, Sec_Fetch_Site=site)[0] == status


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "local host", "127.0.0.1:x"]
)
def test_another_name_than_the_machines(host: str) -> None:
    with view(control=Stream()) as sink:
        for path in ("/", "/status", "/snapshot.jpg"):
            assert ask(sink, "GET", path, Host=host)[0] in (400, 403)
        assert Socket(sink, Host=host).status in (400, 403)


def test_names_of_a_machine() -> None:
    rules = access.Access("x", frozenset({"localhost", "pi", "pi.local"}), loopback=False)
    for good in ("pi:8080", "PI.local", "pi.local.", "10.0.0.1:1", "[fe80::1]:8080"):
        assert rules.host(good)
    for bad in ("pi.local.evil.example", "[x]:80", "pi@evil.example", "pi/..", "pi:80:80"):
        assert not rules.host(bad)


def test_a_page_of_somebody_else_changes_and_sees_nothing() -> None:
    with view(control=(stream := Stream())) as sink:
        host = urlsplit(sink.name).netloc
        for origin in (
            "http://evil.example",
            "null",
            f"http://{host}.evil.example",
            "http://127.0.0.1:1",
        ):
            assert ask(sink, "POST", "/strength", {"strength": 0}, Origin=origin)[0] == 403
            assert Socket(sink, Origin=origin).status == 403
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert ask(sink, "POST", "/strength", {"strength": 0}, **cross)[0] == 403
        form = {"Content-Type": "text/plain"}
        assert ask(sink, "POST", "/strength", b'{"strength": 0}', **form)[0] == 415
        assert stream.strength == 1
        assert ask(sink, "POST", "/strength", {"strength": 0}, Origin=f"http://{host}")[0] == 200
        assert stream.strength == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'"strength"', {}, {"strength": True}, {"strength": "1"},
     {"strength": 1.01}, {"strength": -1}, b'{"strength": NaN}', b'{"strength": 1e999}', b"\xff",
     b"[" * 1000],
)  # fmt: skip
def test_strengths_that_are_none(body: object) -> None:
    with view(control=Stream()) as sink:
        assert ask(sink, "POST", "/strength", body, Content_Type="application/json")[0] == 400
        assert ask(sink, "POST", "/strength", {"strength": None})[0] == 200


def test_a_stream_without_control() -> None:
    with view() as sink:
        assert ask(sink, "GET", "/status")[1] == b"{}"
        assert ask(sink, "POST", "/strength", {"strength": 1})[0] == 409


def test_large_and_frequent_requests() -> None:
    with view(control=Stream()) as sink:
        assert (
            ask(sink, "POST", "/strength", b" " * 5000, Content_Type="application/json")[0] == 413
        )
        assert ask(sink, "GET", "/status", Cookie="x" * 20000)[0] == 400
        got = [ask(sink, "POST", "/strength", {"strength": 1})[0] for _ in range(30)]
        assert got[0] == 200
        assert got[-1] == 429
        assert ask(sink, "GET", "/status")[0] == 200


def test_each_client_gets_the_newest_picture_once() -> None:
    with view(control=Stream()) as sink, Socket(sink) as client:
        for value in range(0, 150, 10):
            sink.write(picture(value))
        figures, after, before = client.next()
        assert json.loads(figures)["noise"] == 24.6
        assert abs(int(np.asarray(Image.open(io.BytesIO(after))).mean()) - 140) <= 2
        assert abs(int(np.asarray(Image.open(io.BytesIO(before))).mean()) - 240) <= 2
        start = time.monotonic()
        assert client.next()[1:] == [b"", b""]  # nothing new: figures, after a second
        assert 0.8 < time.monotonic() - start < 3
        with Socket(sink) as other:
            assert other.next()[1] == after
        sink.write(picture(33, 20, 31))
        assert Image.open(io.BytesIO(client.next()[1])).size == (31, 20)


def test_nobody_looks_more_than_fifteen_times_a_second() -> None:
    with view() as sink, Socket(sink) as client, showing(sink, rate=100):
        client.next()
        start = time.monotonic()
        for _ in range(15):
            assert client.next()[1]
        assert time.monotonic() - start > 0.9


def test_too_many_clients() -> None:
    with view() as sink:
        sink.write(picture(90))
        clients = [Socket(sink) for _ in range(8)]
        assert all(client.next()[1] for client in clients)
        with Socket(sink) as ninth:
            opcode, data = ninth.hear()
            assert (opcode, data[:2]) == (8, (1013).to_bytes(2, "big"))
            assert data[2:] == b"8 are looking already"
        clients[0].raw.close()
        time.sleep(0.3)
        with Socket(sink) as again:
            assert again.next()[1]
        for client in clients:
            client.raw.close()


@pytest.mark.slow
def test_rude_messages_end_the_connection() -> None:
    with view() as sink:
        for rude in (lambda c: c.say(b"x" * 5000), lambda c: c.say(b"x", opcode=2)):
            with Socket(sink) as client:
                rude(client)
                assert client.is_closed()
        with Socket(sink) as client:
            for _ in range(200):
                client.say(b"", opcode=9)
            assert client.is_closed()


@pytest.mark.timing
def test_a_slow_client_slows_nobody() -> None:
    """It reads a byte a second, and asks as if it did not; others sit on connections."""
    with view() as sink, showing(sink, rate=60) as taken, Socket(sink) as quick:

        def rate(seconds: float) -> float:
            start, count = time.monotonic(), 0
            while time.monotonic() - start < seconds:
                assert quick.next()[1]
                count += 1
            return count / (time.monotonic() - start)

        quick.next()
        alone, written = rate(2), len(taken)
        where = urlsplit(sink.name)
        idle = [socket.create_connection((where.hostname, where.port)) for _ in range(10)]
        with Socket(sink, receive_buffer=4096) as slow:
            for _ in range(30):
                slow.say()
            together = 0.0
            for _ in range(3):
                slow.raw.recv(1)
                together += rate(1) / 3
        for connection in idle:
            connection.close()
        before, during = (statistics.median(t) * 1000 for t in (taken[:written], taken[written:]))
        print(
            f"write: {before:.2f} ms alone, {during:.2f} ms with a slow client, at most "
            f"{max(taken) * 1000:.1f} ms; another client: {alone:.1f}, {together:.1f} pictures/s"
        )
        assert during < 2 * before + 1
        assert together > 0.6 * alone


@pytest.mark.timing
def test_a_snapshot_at_vga_is_there_at_once() -> None:
    with view() as sink, showing(sink, rate=30):
        taken = []
        while len(taken) < 25:
            time.sleep(0.05)
            start = time.monotonic()
            status, body, _ = ask(sink, "GET", "/snapshot.jpg")
            if status == 200:  # else there was no picture yet
                taken.append((time.monotonic() - start) * 1000)
                assert Image.open(io.BytesIO(body)).size == (640, 480)
    print(f"snapshot: median {statistics.median(taken):.1f} ms, at most {max(taken):.1f}")
    assert statistics.median(taken) < 50


@pytest.mark.timing
def test_a_flood_of_snapshots_slows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that takes 30 ms to encode a picture; as many as one address may ask for."""
    from edgecae.media.sinks.view import pictures

    at_once, encoded = pictures.encode, []

    def encode(pixels: np.ndarray) -> bytes:
        encoded.append(time.monotonic())
        time.sleep(0.03)
        return at_once(pixels)

    monkeypatch.setattr(pictures, "encode", encode)
    end, got = threading.Event(), []

    def flood(port: int) -> None:
        while not end.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):  # more than it may
                where = http.client.HTTPConnection("127.0.0.1", port, 5, ("127.0.0.2", 0))
                with contextlib.closing(where):
                    where.request("GET", "/snapshot.jpg")
                    got.append(len(where.getresponse().read()))
            end.wait(0.01)

    with view(control=Stream()) as sink, showing(sink, rate=60), Socket(sink) as quick:

        def look(seconds: float) -> tuple[float, float]:
            """Pictures a second of a viewer, and median milliseconds of another's question."""
            start, count, waited = time.monotonic(), 0, []
            while time.monotonic() - start < seconds:
                assert quick.next()[1]
                count += 1
                if count % 3 == 0:
                    asked = time.monotonic()
                    assert ask(sink, "GET", "/status")[0] == 200
                    waited.append((time.monotonic() - asked) * 1000)
            return count / (time.monotonic() - start), statistics.median(waited)

        quick.next()
        alone, quiet = look(2)
        floods = [
            threading.Thread(target=flood, args=(urlsplit(sink.name).port,)) for _ in range(4)
        ]
        for thread in floods:
            thread.start()
        begun = time.monotonic()
        together, busy = look(3)
        lasted = time.monotonic() - begun
        end.set()
        for thread in floods:
            thread.join()
    rate = sum(when >= begun for when in encoded) / 2 / lasted
    print(
        f"{len(got) / lasted:.0f} snapshots/s, {rate:.1f} encoded; a viewer: {alone:.1f}, "
        f"{together:.1f} pictures/s; status after {quiet:.1f}, {busy:.1f} ms"
    )
    assert len(got) > 20 * lasted
    assert rate < 16
    assert together > 0.7 * alone
    assert busy < 25  # it waits for no encoder


@pytest.mark.slow
def test_a_client_that_receives_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecae.media.sinks.view import server

    monkeypatch.setattr(server, "SEND_DEADLINE", 0.5)
    with view() as sink, showing(sink), Socket(sink, receive_buffer=4096) as slow:
        slow.say()
        slow.say()
        slow.say()
        time.sleep(2)
        with Socket(sink) as other:
            assert other.next()[1]
        with pytest.raises(ConnectionError):
            say_often(slow)


def say_often(client: Socket) -> None:
    for _ in range(100):
        client.say()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_request_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecae.media import http_server

    monkeypatch.setattr(http_server, "DEADLINE", 0.5)
    with view(control=Stream()) as sink:
        where = urlsplit(sink.name)
        head = b"POST /strength HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for start in (b"", b"GET / HTTP/1.1\r\nHost: ", head + b"Content-Length: 9\r\n\r\n{"):
            with socket.create_connection((where.hostname, where.port), timeout=3) as stuck:
                stuck.sendall(start)
                try:
                    assert stuck.recv(100) == b""
                except ConnectionResetError:
                    continue


def test_connections_are_counted() -> None:
    with view() as sink:
        where = urlsplit(sink.name)
        stuck = [socket.create_connection((where.hostname, where.port)) for _ in range(40)]
        time.sleep(0.3)
        for one in stuck[:8]:  # the oldest made room
            one.settimeout(2)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""
        for one in stuck[8:]:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
        assert ask(sink, "GET", "/status")[0] == 200
        for connection in stuck:
            connection.close()
        time.sleep(0.3)
        assert ask(sink, "GET", "/status")[0] == 200


@pytest.mark.timing
def test_it_ends_at_once_whatever_clients_do() -> None:
    with view() as sink, showing(sink):
        where = urlsplit(sink.name)
        clients = [Socket(sink, receive_buffer=4096) for _ in range(6)]
        for client in clients:
            for _ in range(20):
                client.say()
        stuck = [socket.create_connection((where.hostname, where.port)) for _ in range(8)]
        stuck[0].sendall(b"GET /snapshot.jpg HTTP/1.1\r\n")
        time.sleep(0.5)
        start = time.monotonic()
        sink.__exit__()
        took = time.monotonic() - start
        print(f"closed after {took:.2f} s")
        assert took < 1.5
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((where.hostname, where.port))
        sink.write(picture(1))  # nobody is there; that is no error
        for one in (*stuck, *(c.raw for c in clients)):
            one.close()


@pytest.mark.timing
def test_writing_takes_next_to_no_time() -> None:
    with view() as sink:
        frame = picture(90, 480, 640)
        taken = []
        for _ in range(200):
            start = time.perf_counter()
            sink.write(frame)
            taken.append(time.perf_counter() - start)
        print(f"write: median {statistics.median(taken) * 1000:.3f} ms")
        assert statistics.median(taken) < 0.005
