"""Publishing to an RTSP server: a real one in a process of its own, and servers that misbehave."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ports import free_port
from rtsp import (
    NEEDS_GSTREAMER,
    Relay,
    SlowServer,
    number_of,
    numbered,
    relaying,
)

from edgecae import Denoiser, stream
from edgecae.errors import SinkError, SinkRefusedError
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.rtsp import session, tracks
from edgecae.media.sinks.rtsp import sink as rtsp
from edgecae.media.video.encoder import FrameEncoder

RATE = 30


def opened(url: str, **settings: Any) -> rtsp.RtspSink:
    with sources.open_source("test:128x96@30") as source:
        return rtsp.RtspSink(url, sinks.SinkSettings(source, **settings))


@contextlib.contextmanager
def publishing(sink: sinks.Sink, first: int = 0) -> Iterator[list[int]]:
    """Write frames with numbers in a thread, thirty a second; the numbers so far."""
    written: list[int] = []
    end = threading.Event()

    def work() -> None:
        for number in itertools.count(first):
            if end.wait(1 / RATE):
                return
            ticks = round(number * 90_000 / RATE)
            sink.write(replace(numbered(number), pts=ticks, time_base=Fraction(1, 90_000)))
            written.append(number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield written
    finally:
        end.set()
        thread.join()


def read(url: str, count: int) -> list[Frame]:
    with sources.open_source(url, sources.SourceSettings(stall=15)) as source:
        return list(itertools.islice(source, count))


@pytest.mark.slow
@NEEDS_GSTREAMER
@pytest.mark.parametrize("way", ["", "basic", "digest"])
def test_every_frame_arrives_in_order(way: str) -> None:
    """From the first on that a reader gets, who comes while the stream goes on."""
    with relaying(*filter(None, [way])) as relay, opened(relay.target) as sink:
        assert "sesame" not in sink.name
        with publishing(sink) as written:
            frames = read(relay.result, 30)
        numbers = [number_of(frame.pixels) for frame in frames]
        assert numbers == list(range(numbers[0], numbers[0] + 30))
        assert numbers[-1] in written
        for frame in frames:
            assert frame.pixels.shape == (96, 128, 3)
            assert abs(frame.pixels[40:].mean() - 90) < 2
        assert relay.published.acquire(timeout=5)
        start = time.monotonic()
    assert time.monotonic() - start < 2


def test_the_last_frames_arrive_before_the_connection_ends() -> None:
    """Even if the server is late with them, and has said something that nobody read."""
    with sources.open_source("test:128x96@30") as source:
        sink = rtsp.RtspSink((server := SlowServer()).url, sinks.SinkSettings(source))
    with sink:
        sink.write(numbered(0))
        server.rate = 400_000  # a tenth of a second for all that is on its way
        rng = np.random.default_rng(0)
        for number in range(1, 8):
            frame = numbered(number)
            frame.pixels[16:] = rng.integers(0, 255, (80, 128, 3), dtype=np.uint8)
            sink.write(frame)
        server.say(b"$\x01\x00\x04abcd")
        time.sleep(0.02)
    server.join()
    assert server.ended
    assert [number_of(frame.pixels) for _, frame in server.frames()] == list(range(8))


@pytest.mark.timing
@pytest.mark.faults
def test_a_slow_server_loses_whole_frames_and_slows_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a fifth of the bytes for a while, and everything after that."""
    monkeypatch.setattr(rtsp, "TIMEOUT", 0.5)  # a start picture alone takes longer
    monkeypatch.setattr(session, "SEND_BUFFER", 4096)
    seconds, noise = 6, np.random.default_rng(0).integers(0, 255, (80, 128, 3), dtype=np.uint8)

    class Camera:
        name, rate, live, broken = "a camera", Fraction(RATE), True, 0

        def __iter__(self) -> Iterator[Frame]:
            for number in range(seconds * RATE):
                time.sleep(1 / RATE)
                frame = numbered(number)
                frame.pixels[16:] = np.roll(noise, number, axis=1)
                yield frame

        def __enter__(self) -> Camera:
            return self

        def __exit__(self, *error: object) -> None: ...

    camera: Any = Camera()
    settings = sinks.SinkSettings(camera, encoding=Encoding(bitrate=1_600_000))
    server, beside = SlowServer(rate=40_000), Counting()
    timer = threading.Timer(seconds - 2, lambda: setattr(server, "rate", None))
    timer.start()
    recording = tmp_path / "all.mkv"
    with (
        Denoiser("nano", strength=0.0) as denoiser,
        rtsp.RtspSink(server.url, settings) as sink,
        sinks.open_sink(str(recording), sinks.SinkSettings(camera)) as file,
    ):
        stats = stream.run(camera, denoiser, [sink, file, beside])
    server.join()
    # The other sinks: every frame, at once.
    assert len(beside.times) == stats.frames
    with av.open(str(recording)) as video:
        assert sum(1 for _ in video.decode(video=0)) == stats.frames
    assert np.diff(beside.times).max() < 0.5
    # The server: some frames, each whole, in order, and all of them once it keeps up.
    came = [(when, number_of(frame.pixels)) for when, frame in server.frames()]
    numbers = [number for _, number in came]
    assert numbers == sorted(set(numbers))
    slow = [n for n in numbers if n < (seconds - 2) * RATE]
    assert len(slow) < 0.5 * (seconds - 2) * RATE
    assert stats.sink_dropped == stats.frames - len(numbers) > RATE
    late = [[n for n in each if n >= (seconds - 1) * RATE] for each in (numbers, beside.numbers)]
    assert late[0] == late[1] != []
    assert server.ended  # in the one session that there was


@NEEDS_GSTREAMER
def test_another_size_and_odd_sides_go_on_in_another_session() -> None:
    with relaying() as relay, opened(relay.target) as sink:
        for shape in ((96, 128, 3), (121, 161, 3)):
            for number in range(5):
                sink.write(numbered(number, shape=shape))
            assert relay.published.acquire(timeout=5)


def numbered_camera(count: int) -> Any:
    """A live source of numbered frames."""

    class Camera:
        name, rate, live, broken = "a camera", Fraction(RATE), True, 0

        def __iter__(self) -> Iterator[Frame]:
            for number in range(count):
                time.sleep(1 / RATE)
                yield numbered(number)

        def __enter__(self) -> Camera:
            return self

        def __exit__(self, *error: object) -> None: ...

    return Camera()


class Counting(sinks.null.Null):
    """A sink beside the one that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.numbers: list[int] = []

    def write(self, frame: Frame) -> None:
        self.times.append(time.monotonic())
        self.numbers.append(number_of(frame.pixels))


def streaming(
    url: str, seconds: float, others: list[sinks.Sink], during: Callable[[], None]
) -> stream.Stats:
    """Publish a camera's frames through the whole pipeline; ``during`` runs meanwhile."""
    camera, failures = numbered_camera(round(seconds * RATE)), []

    def work() -> None:
        try:
            during()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    with (
        Denoiser("nano", strength=0.0) as denoiser,
        rtsp.RtspSink(url, sinks.SinkSettings(camera)) as sink,
    ):
        thread.start()
        stats = stream.run(camera, denoiser, [sink, *others])
        thread.join()
    if failures:
        raise failures[0]
    return stats


@NEEDS_GSTREAMER
@pytest.mark.timing
@pytest.mark.faults
@pytest.mark.parametrize("alone", [True, False])
def test_a_server_that_dies_and_comes_back(alone: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Even the only sink is waited for, as a source is; others miss nothing meanwhile."""
    caplog.set_level(logging.INFO, "edgecae")
    relay, beside = Relay("basic"), Counting()
    back: list[float] = []

    def during() -> None:
        time.sleep(1)  # not there at first
        relay.start()
        assert relay.published.acquire(timeout=5)
        time.sleep(0.5)
        relay.die()
        time.sleep(0.5)
        relay.start()
        start = time.monotonic()
        assert relay.published.acquire(timeout=5)
        back.append(time.monotonic() - start)
        frames = read(relay.result, 10)
        numbers = [number_of(frame.pixels) for frame in frames]
        assert numbers == list(range(numbers[0], numbers[0] + 10))

    try:
        stats = streaming(relay.target, 8, [] if alone else [beside], during)
    finally:
        relay.die()
    print(f"published {back[0]:.2f} s after the server was back")
    assert back[0] < 2.5  # the second wait, and what a slow machine takes
    assert stats.frames > 7 * RATE
    if not alone:
        assert len(beside.times) == stats.frames
    assert "works again" in caplog.text
    assert "sesame" not in caplog.text


@NEEDS_GSTREAMER
@pytest.mark.faults
def test_a_server_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is there, while it is being asked, and at the end."""
    monkeypatch.setattr(rtsp, "TIMEOUT", 1.0)
    monkeypatch.setattr(session, "SEND_BUFFER", 4096)
    relay, beside = Relay(), Counting()
    relay.start()

    def during() -> None:
        assert relay.published.acquire(timeout=5)
        relay.hang()

    start = time.monotonic()
    try:
        stats = streaming(relay.target, 6, [beside], during)
    finally:
        relay.wake()
        relay.die()
    assert time.monotonic() - start < 6 * 1.3 + 3
    assert len(beside.times) == stats.frames > 4 * RATE
    pauses = np.diff(beside.times)
    print(f"longest pause beside it: {pauses.max():.3f} s")
    assert pauses.max() < 0.5


@NEEDS_GSTREAMER
@pytest.mark.parametrize("way", ["basic", "digest"])
def test_a_wrong_password_is_given_once(way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "edgecae")
    with relaying(way) as relay:
        wrong = relay.target.replace("sesame%3Ax", "sesam-street")
        with pytest.raises(SinkRefusedError, match="check user and password") as caught:
            streaming(wrong, 5, [], lambda: None)
        with opened(relay.target.replace("camera:sesame%3Ax@", "")) as sink:
            with pytest.raises(SinkRefusedError, match="wants a user and a password"):
                sink.write(numbered(0))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "sesam-street" not in told
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    "url",
    ["rtsp://", "rtsp:///path", "rtsp://host:port/x", "rtsp://user:secret@:99/x", "rtsp://[::1/x",
     "rtsp://host:70000/x?token=secret", "rtsp://user:secret@ho st/x", "rtsp://h/x\r\nSession: 1"],
)  # fmt: skip
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(SinkError) as caught:
        opened(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_url_says() -> None:
    address = session.parse("rtsps://me:a%2Fb@[::1]:8322/door/?key=1")
    assert (address.url, address.host) == ("rtsps://[::1]:8322/door?key=1", "::1")
    assert (address.port, address.tls) == (8322, True)
    assert (address.user, address.password) == ("me", "a/b")
    assert "a%2Fb" not in repr(address)
    assert "a/b" not in repr(address)
    assert session.parse("rtsp://host/x").port == 554
    with sources.open_source("test:8x8") as source:
        settings = sinks.SinkSettings(source)
        with pytest.raises(SinkError, match="only rtsp:// and rtsps:// are published to"):
            sinks.open_sink("rtmp://user:secret@host/x", settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"encoding": Encoding(crf=99)}, "--crf of libx264 is 0 to 51"),
        ({"encoding": Encoding(crf=20, bitrate=10**6)}, "either --crf or --bitrate"),
        ({"encoding": Encoding(preset="quick")}, "--preset of libx264"),
        ({"codec": "ffv1"}, "does not hold ffv1"),
        ({"codec": "libx265"}, "does not hold libx265"),
    ],
)
def test_what_no_waiting_helps_is_said_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SinkError, match=said):
        opened("rtsp://127.0.0.1:1/x", **settings)


def test_an_encoder_that_the_device_lacks(caplog: pytest.LogCaptureFixture) -> None:
    """No machine that runs tests has one."""
    if list(Path("/dev").glob("video*")):
        return
    with opened("rtsp://127.0.0.1:1/x", codec="h264_v4l2m2m"):
        pass
    with opened("rtsp://127.0.0.1:1/x", codec="h264_v4l2m2m"):
        pass
    said = [r.getMessage() for r in caplog.records if "v4l2m2m" in r.getMessage()]
    assert len(said) <= 1  # once in a process
    assert all("libx264 encodes instead" in line for line in said)


def fake(answers: list[bytes]) -> tuple[int, list[bytes], threading.Thread]:
    """A server that gives these answers, one for each request, and then hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            connection.settimeout(5)
            with contextlib.suppress(ConnectionError):
                for answer in answers:
                    heard.append(connection.recv(65536))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return listening.getsockname()[1], heard, thread


def write_on(sink: rtsp.RtspSink) -> None:
    for number in range(50):
        sink.write(numbered(number))
        time.sleep(0.02)


OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 7;timeout=60\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "not by RTSP"),
        ([b"x" * 200_000], "not by RTSP"),
        ([b""], "hung up"),
        ([b"RTSP/1.0 454 \x1b[31mNo\r\n\r\n"], r"ANNOUNCE was refused: 454 \[31mNo$"),
        ([b"RTSP/1.0 301 Moved\r\nLocation: rtsp://evil/\r\n\r\n"], "301 Moved"),
        (
            [OK, b"$\x01\x00\x02ab" + OK, b"RTSP/1.0 404 Not Found\r\n\r\n"],
            "RECORD was refused: 404",
        ),
        ([b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest algorithm=X\r\n\r\n"], "kind of digest"),
        ([b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest\r\n\r\n"], "kind of digest"),
        ([b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", OK, OK], "hung up"),
        ([b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n", OK, OK], "hung up"),
        ([OK, OK, OK], "hung up"),
    ],
)
def test_servers_that_answer_strangely(answers: list[bytes], said: str) -> None:
    port, heard, thread = fake(answers)
    with opened(f"rtsp://me:secret@127.0.0.1:{port}/x") as sink:
        with pytest.raises(SinkError, match=said) as caught:
            write_on(sink)
    thread.join()
    assert "secret" not in str(caught.value)
    assert heard[0].startswith(b"ANNOUNCE rtsp://127.0.0.1:%d/x RTSP/1.0\r\n" % port)
    assert b"m=video 0 RTP/AVP 96\r\n" in heard[0]


def test_a_server_that_says_nothing_stops_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp, "TIMEOUT", 1.0)
    ticks: list[float] = []
    end = threading.Event()

    def tick() -> None:
        while not end.wait(0.01):
            ticks.append(time.monotonic())

    with socket.create_server(("127.0.0.1", 0)) as silent:
        with opened(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x") as sink:
            thread = threading.Thread(target=tick)
            thread.start()
            start = time.monotonic()
            with pytest.raises(SinkError, match="no answer within 1 s"):
                sink.write(numbered(0))
            assert 0.9 < time.monotonic() - start < 2.5
            end.set()
            thread.join()
    assert np.diff(ticks).max() < 0.5


@pytest.mark.slow
def test_the_end_of_a_sink_does_not_wait_for_its_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = opened(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")

        def write() -> None:
            with contextlib.suppress(SinkError):
                sink.write(numbered(0))

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.3)
        start = time.monotonic()
        sink.__exit__()
        assert time.monotonic() - start < 2
    thread.join(6)
    assert not thread.is_alive()


def test_packets_fit_into_a_datagram_and_rise() -> None:
    track = tracks.RtpTrack(1, 0)
    encoder = FrameEncoder("x", track.container, rate=Fraction(30), live=True)
    rng = np.random.default_rng(0)
    noise = Frame(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8), 0.0)
    encoder.open(noise)
    made = [packet for _ in range(3) for packet in track.rtp(encoder.encode(noise))]
    track.close()
    assert {channel for channel, _ in made} == {2, 3}
    assert max(len(packet) for _, packet in made) <= tracks.MAX_PACKET
    numbers = [int.from_bytes(packet[2:4], "big") for channel, packet in made if channel == 2]
    assert {(b - a) % 65536 for a, b in itertools.pairwise(numbers)} == {1}
    assert {packet[1] & 127 for channel, packet in made if channel == 2} == {97}


@pytest.mark.parametrize("per_second", [30, 7])
def test_a_picture_to_start_from_comes_each_second(per_second: int) -> None:
    """Also where fewer frames come than the source promised."""
    track = tracks.RtpTrack(0, 0)
    encoder = FrameEncoder("x", track.container, rate=Fraction(30), live=True)
    starts = []
    for number in range(3 * per_second + 1):
        ticks = round(number * 90_000 / per_second)
        frame = replace(numbered(number), pts=ticks, time_base=Fraction(1, 90_000))
        if encoder.stream is None:
            encoder.open(frame)
        if any(packet.is_keyframe for packet in encoder.encode(frame)):
            starts.append(number)
    track.close()
    assert starts == [second * per_second for second in range(4)]


def test_nobody_listens() -> None:
    with opened(f"rtsp://127.0.0.1:{free_port()}/x") as sink:
        for _ in range(2):
            with pytest.raises(SinkError, match="refused"):
                sink.write(numbered(0))
    with opened("rtsp://no-such-host.invalid/x") as sink, pytest.raises(SinkError):
        sink.write(numbered(0))
