"""What people find when they use streams: pages, half pictures, real time, two sources."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from clips import frames_of, make_clip
from live import Network
from PIL import Image

from edgecae import Denoiser, stream
from edgecae.commands import stream as stream_command
from edgecae.errors import OfflineError, SourceError
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.live_video import _is_whole_jpeg
from edgecae.media.sinks.pipe import PipeSink
from edgecae.media.video.stored import Stored
from edgecae.stream.capture import open_lasting


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Network]:
    with contextlib.closing(Network(monkeypatch, tmp_path)) as network:
        network.start()
        yield network


@pytest.mark.parametrize(
    ("path", "message"), [("nowhere", "check the path of the URL"), ("page.html", "no video")]
)
def test_a_page_at_the_first_opening_ends_the_stream(
    path: str, message: str, server: Network
) -> None:
    url = f"{server.http}/{path}"
    with pytest.raises(SourceError, match=message) as caught:
        open_lasting(url, sources.SourceSettings(stall=3.0), stream.Stop(), "a camera")
    assert not isinstance(caught.value, OfflineError)


def test_a_stream_has_one_source() -> None:
    arguments = ["--source", "test:8x8", "--source", "test:16x16", "--sink", "null:"]
    result = CliRunner().invoke(stream_command.command, arguments)
    assert result.exit_code == 2
    assert "a stream has one source, not 2" in result.stderr


class Live:
    """Stands for a live source of a rate."""

    name, live, broken = "a camera", True, 0
    rate = Fraction(10)


def y4m(frames: list[Frame]) -> tuple[bytes, int]:
    """What is written: the header, and how many frames."""
    file = io.BytesIO()
    with PipeSink(file, Live()) as sink:  # type: ignore[arg-type]
        for frame in frames:
            sink.write(frame)
    head, _, rest = file.getvalue().partition(b"\n")
    return head, rest.count(b"FRAME\n")


def at(*seconds: float, form: str = "yuv420p") -> list[Frame]:
    pixels = np.full((16, 16, 3), 99, np.uint8)
    base = Fraction(1, 90_000)
    return [
        Frame(pixels, 0.0, round(when / base), base, stored=Stored(form, 1)) for when in seconds
    ]


def test_a_live_source_of_420_is_420() -> None:
    assert b" C420jpeg " in y4m(at(0))[0]
    assert b" C444 " in y4m(at(0, form="yuyv422"))[0]


@pytest.mark.parametrize(
    ("times", "count"),
    [
        (np.arange(50) / 10, 50),
        (np.arange(50) / 10 + 0.04 * np.sin(np.arange(50)), 50),  # a little early, a little late
        (np.arange(25) / 5, 49),  # half the nominal rate
        (np.arange(100) / 20, 51),  # twice
        (np.array([0, 0.1, 3.0, 3.1]), 32),  # a pause
        (np.array([0, 0.1, 1000.0, 1000.1]), 4),  # another day
    ],
)
def test_y4m_of_a_live_source_lasts_as_long_as_it(times: np.ndarray, count: int) -> None:
    assert abs(y4m(at(*times))[1] - count) <= 1


def test_half_a_jpeg_is_none(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    whole = file.getvalue()
    assert _is_whole_jpeg(whole)
    assert _is_whole_jpeg(whole + b"\0" * 9)  # some cameras fill up
    assert not _is_whole_jpeg(whole[: len(whole) // 2])
    assert not _is_whole_jpeg(whole[:-2])


def test_half_jpegs_of_a_camera_are_counted_and_passed_over(server: Network) -> None:
    """Every second picture is cut off."""
    url = f"{server.http}/half.mjpeg"
    with sources.open_source(url, sources.SourceSettings(stall=5.0)) as source:
        for frame in itertools.islice(source, 6):
            assert frame.pixels.std() < 3  # one colour, no gray half
        assert 4 <= source.broken <= 7


def test_a_recording_of_a_live_source_says_its_colours(tmp_path: Path) -> None:
    """HD that is tagged as nothing is shown with other colours than it came with."""
    source = Live()
    settings = sinks.SinkSettings(source)  # type: ignore[arg-type]
    with sinks.open_sink(str(tmp_path / "a.mkv"), settings) as sink:
        for frame in at(0, 0.1, 0.2):
            sink.write(frame)
    with av.open(str(tmp_path / "a.mkv")) as file:
        assert file.streams.video[0].codec_context.colorspace == 1


def test_a_clip_that_is_watched_keeps_its_pace(denoiser: Denoiser, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", [np.zeros((16, 16, 3), np.uint8)] * 13)

    class Watched(sinks.null.Null):
        watched = True

    for sink, least in ((Watched(), 0.38), (sinks.null.Null(), 0.0)):
        with sources.open_source(str(clip)) as source:
            start = time.monotonic()
            assert stream.run(source, denoiser, [sink]).frames == 13
        assert time.monotonic() - start >= least


@pytest.mark.parametrize("spec", ["in.mkv", "test:16x16", "rtsp://10.0.0.1/x", "raw:8x8", "-"])
@pytest.mark.parametrize("asked", [{"size": (8, 8)}, {"pixel_format": "mjpeg"}])
def test_options_of_cameras_are_refused_elsewhere(spec: str, asked: dict, tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", [np.zeros((16, 16, 3), np.uint8)])
    spec = str(tmp_path / spec) if spec == "in.mkv" else spec
    with pytest.raises(SourceError, match="is no camera: it can't be asked for --"):
        sources.open_source(spec, sources.SourceSettings(**asked))


def test_a_folder_of_frames_has_the_rate_that_was_asked(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(6):
        Image.new("RGB", (16, 16), (40 * index, 0, 0)).save(folder / f"{index}.png")
    settings = sources.SourceSettings(rate=Fraction(12))
    with (
        sources.open_source(str(folder), settings) as source,
        sinks.open_sink(str(tmp_path / "out.mkv"), sinks.SinkSettings(source)) as sink,
    ):
        for frame in source:
            sink.write(frame)
    np.testing.assert_allclose(frames_of(tmp_path / "out.mkv")[1], np.arange(6) / 12, atol=1e-3)


def test_y4m_keeps_the_shape_of_pixels(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(16, 15)
        file.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(video.encode(None))
    written = io.BytesIO()
    with sources.open_source(str(path)) as source, PipeSink(written, source) as sink:
        for frame in source:
            sink.write(frame)
    assert b" A16:15 " in written.getvalue()
