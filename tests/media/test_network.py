"""Streams over the network, served by a real second process; what may not get out, or in."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import subprocess
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, make_clip
from conftest import GSTREAMER
from hypothesis import given
from hypothesis import strategies as st
from live import Network

from edgecae.errors import OfflineError, RefusedError, SinkError, SourceError
from edgecae.media import sinks, sources
from edgecae.redact import redacted
from edgecae.stream import batch

QUICK = sources.SourceSettings(stall=1.0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Network]:
    with contextlib.closing(Network(monkeypatch, tmp_path)) as network:
        network.start()
        yield network


@pytest.mark.slow
@pytest.mark.parametrize("path", ["mjpeg", "live.ts", "rtsp", "udp"])
def test_live_streams(server: Network, path: str) -> None:
    """All but MJPEG have sound, as most cameras do."""
    url = {"rtsp": server.rtsp, "udp": server.udp}.get(path, f"{server.http}/{path}")
    with sources.open_source(url, sources.SourceSettings(stall=1.5)) as source:
        assert source.live
        frames = iter(source)
        for frame in itertools.islice(frames, 12):
            assert frame.pixels.shape == (48, 64, 3)
        server.hang()
        start = time.monotonic()
        with pytest.raises(OfflineError, match=r"silent for 1\.5 s"):
            list(frames)
        assert 1.3 < time.monotonic() - start < 2.5
        left = time.monotonic()
    assert time.monotonic() - left < 1


@pytest.mark.parametrize(("path", "sound"), [("live.ts", True), ("mjpeg", False)])
def test_sound_that_is_left_out_is_named_once(
    path: str, sound: bool, server: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the stream is opened again; another stream says it again."""
    url = f"{server.http}/{path}"
    for _ in range(2):
        caplog.clear()
        settings = sources.SourceSettings(stall=5.0)
        for _ in range(2):
            with sources.open_source(url, settings) as source:
                next(iter(source))
        said = [(r.levelname, r.getMessage()) for r in caplog.records if "sound" in r.getMessage()]
        assert said == [("WARNING", f"{source.name}: its sound is left out")] * sound


def test_a_stream_has_the_limit_of_pixels(server: Network) -> None:
    settings = sources.SourceSettings(max_pixels=10_000)
    with sources.open_source(f"{server.http}/mjpeg", settings) as source:
        assert next(iter(source)).pixels.shape == (48, 64, 3)
    server.show(480, 640)
    with pytest.raises(SourceError, match="640×480, more than 10,000 pixels"):
        sources.open_source(f"{server.http}/mjpeg", settings)


@pytest.mark.slow
def test_sound_does_not_pass_for_a_picture(server: Network) -> None:
    """The picture ends after a second, the sound goes on for 20: the stream is silent."""
    with sources.open_source(
        f"{server.http}/blind.ts", sources.SourceSettings(stall=2.5)
    ) as source:
        came: list[float] = []
        with pytest.raises(OfflineError, match=r"silent for 2\.5 s"):
            came.extend(time.monotonic() for _ in source)
        assert len(came) > 20
        assert 2 < time.monotonic() - came[-1] < 6


@pytest.mark.slow
@pytest.mark.skipif(not GSTREAMER, reason="GStreamer's RTSP server is not installed")
def test_a_real_rtsp_server_with_sound(tmp_path: Path) -> None:
    """Every picture comes, in order, from a session with one track of each kind."""
    pictures = [np.full((48, 64, 3), 20 + 4 * i, np.uint8) for i in range(45)]
    clip = make_clip(
        tmp_path / "clip.mkv", pictures, codec="libx264", pix_fmt="yuv420p", sound=True
    )
    command = ["/usr/bin/python3", str(Path(__file__).parent / "gstreamer_server.py"), str(clip)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            url = f"rtsp://127.0.0.1:{int(server.stdout.readline())}/stream"
            with sources.open_source(url) as source:
                values = [float(frame.pixels.mean()) for frame in source]
        finally:
            server.kill()
    np.testing.assert_allclose(values, [picture.mean() for picture in pictures], atol=3)


def test_a_file_on_a_web_server_is_not_live(server: Network, tmp_path: Path) -> None:
    with sources.open_source(f"{server.http}/clip.mkv") as source:
        assert not source.live
        frames = list(source)
    expected, times = frames_of(tmp_path / "clip.mkv")
    np.testing.assert_array_equal([f.pixels for f in frames], expected)
    np.testing.assert_allclose([float(f.pts * f.time_base) for f in frames], times)


def test_a_file_that_stops_half_way_is_no_whole_file(server: Network) -> None:
    with pytest.raises(SourceError):
        with sources.open_source(f"{server.http}/half.mkv", QUICK) as source:
            list(source)


@pytest.mark.slow
def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for scheme in ("http", "https", "rtsp", "tcp"):
            start = time.monotonic()
            with pytest.raises(OfflineError):
                sources.open_source(f"{scheme}://127.0.0.1:{port}/", QUICK)
            assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "target", ["file://{}", "{}", "concat:{}|{}", "subfile,,start,0,end,0,,:{}", "crypto:{}"]
)
def test_a_playlist_can_not_name_files(server: Network, tmp_path: Path, target: str) -> None:
    clip = tmp_path / "clip.ts"
    url = f"{server.http}/evil.m3u8?{target.format(clip, clip)}"
    with pytest.raises(SourceError):
        with sources.open_source(url, QUICK) as source:
            list(source)
    # The same playlist with a file of the server's own is read: it is the file that is refused.
    with sources.open_source(f"{server.http}/good.m3u8?{server.http}/clip.ts") as source:
        assert next(iter(source)).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("spec", ["file:///etc/passwd", "concat://a", "data://x", "rtmp://u:pw@h/"])
def test_other_protocols_are_refused(spec: str) -> None:
    with pytest.raises(SourceError, match="begins with one of") as caught:
        sources.open_source(spec)
    assert "pw" not in str(caught.value)


def test_the_right_password_opens_and_a_wrong_one_is_not_tried_again(server: Network) -> None:
    address = server.http.removeprefix("http://")
    with sources.open_source(f"HTTP://user:sesame@{address}/private/mjpeg") as source:
        next(iter(source))
    with pytest.raises(RefusedError, match="check user and password") as caught:
        sources.open_source(f"http://user:wrong@{address}/private/mjpeg", QUICK)
    assert not isinstance(caught.value, OfflineError)
    with pytest.raises(RefusedError, match="check user and password"):
        sources.open_source(server.rtsp.replace("sesame", "wrong"), QUICK)


@pytest.mark.slow
def test_no_password_gets_out(
    server: Network, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "edgecae")
    address = server.http.removeprefix("http://")
    said = []
    urls = [
        f"http://user:sesame@{address}/private/mjpeg?token=hush",
        f"http://{address}/user=admin_password=hush/mjpeg?token=hush&x=hush",
        server.rtsp + "?token=hush",
    ]
    for url in urls:
        with sources.open_source(url, QUICK) as source:
            said.append(source.name)
            frames = iter(source)
            next(frames)
            server.hang()
            with pytest.raises(OfflineError) as silent:
                list(frames)
        server.die()
        with pytest.raises(OfflineError) as away:
            sources.open_source(url, QUICK)
        server.start()
        mistaken = url.replace("mjpeg", "nothing").replace(":sesame", ":hush")
        with pytest.raises(SourceError) as wrong:
            sources.open_source(mistaken, QUICK)
        for caught in (silent, away, wrong):
            said += traceback.format_exception(caught.value)  # as edgecae -vv prints it
    output = capfd.readouterr()
    for text in (*said, caplog.text, output.out, output.err):
        assert "hush" not in text
        assert "sesame" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.5:554/live", "rtsp://10.0.0.5:554/live"),
        ("rtsp://u:p@10.0.0.5/live", "rtsp://…@10.0.0.5/live"),
        ("rtsp://u:p@q@10.0.0.5/live", "rtsp://…@10.0.0.5/live"),
        ("rtsp://u:p/q@10.0.0.5/live", "rtsp://…"),
        ("http://h/v?to=a@b", "http://…"),
        ("http://h/v?token=a/b=c&x=1&plain#top", "http://h/v?token=…&x=…&…"),
        ("rtsp://h/user=admin_password=a/b_stream=0.sdp?real", "rtsp://h/user=…?…"),
        ("clip.mkv", "clip.mkv"),
        ("rtsp:/u:p@10.0.0.5/live", "rtsp:/…@10.0.0.5/live"),
        ("http:/h/v?token=a", "http:/h/v?token=…"),
        ("rtsp:u:p@10.0.0.5/live", "…@10.0.0.5/live"),
        ("rtsp//u:p@10.0.0.5", "…"),
        ("u:p@10.0.0.5/live", "…@10.0.0.5/live"),
        ("u:p/q@10.0.0.5/live", "…"),
        ("view:80?token=a&b", "view:80?token=…&b"),
        ("vew:80?token=a", "vew:80?token=…"),
        ("monkey=3.png", "monkey=3.png"),
        ("test:64x48@10", "test:64x48@10"),
        ("raw:64x48:rgb24@10", "raw:64x48:rgb24@10"),
        ("camera:/dev/video9", "camera:/dev/video9"),
        ("/media/12:30@gate/clip.mkv", "/media/12:30@gate/clip.mkv"),
        ("./12:30@gate.mkv", "./12:30@gate.mkv"),
    ],
)
def test_what_people_see_of_a_url(url: str, shown: str) -> None:
    assert redacted(url) == shown


MISTYPED = ("rtsp:/u:s3cret@h", "rtsp:u:s3cret@h/v?x=1", "u:s3cret@h/v", "u:s3cret@h/*.png",
            "http:/h/v?token=s3cret", " rtsp://u:s3cret@h", "test://u:s3cret@h")  # fmt: skip


@pytest.mark.parametrize("spec", MISTYPED)
def test_a_mistyped_url_shows_no_password_either(spec: str) -> None:
    with pytest.raises(SourceError) as caught:
        sources.open_source(spec)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "spec", ["rtmp://u:s3cret@h/live", "http://u:s3cret@h/x.mkv", "tcp://h/x.mkv", *MISTYPED[:5]]
)
def test_a_sink_is_no_url_but_rtsp(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a path it would become a folder, called by its password."""
    monkeypatch.chdir(tmp_path)
    with sources.open_source("test:8x8?frames=1") as source:
        with pytest.raises(SinkError, match="of URLs, only rtsp") as caught:
            sinks.open_sink(spec, sinks.SinkSettings(source))
    assert "s3cret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_files_are_no_urls(tmp_path: Path) -> None:
    url = Path("rtsp://u:s3cret@h/x.mkv")
    with pytest.raises(SinkError, match="not a URL") as target:
        batch.plan_batch([Path(__file__)], url)
    with pytest.raises(SourceError, match="does not exist") as source:
        batch.plan_batch([url], tmp_path / "x.mkv")
    assert "s3cret" not in f"{target.value} {source.value}"


@pytest.mark.parametrize("spec", ["view:0?token=a://b:c@d", "./12:30@gate.mkv", "a:b.mkv", "null:"])
def test_what_has_a_colon_may_be_a_sink(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with sources.open_source("test:8x8?frames=1") as source:
        with sinks.open_sink(spec, sinks.SinkSettings(source)):
            pass


SECRET = st.text(min_size=8).map(lambda text: f"s3cr3t{text}t3rc3s")


@given(SECRET)
def test_no_secret_survives_wherever_it_stands(secret: str) -> None:
    for url in (
        f"rtsp://user:{secret}@host/live",
        f"http://host/v?a=1&password={secret}",
        f"http://host/user=a_password={secret}",
        f"rtsp:/user:{secret}@host/live",
        f"rtsp:user:{secret}@host/live",
        f"user:{secret}@host/live",
    ):
        assert "s3cr3t" not in redacted(url)
        assert "t3rc3s" not in redacted(url)
