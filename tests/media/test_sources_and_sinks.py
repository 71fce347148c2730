"""One battery over all sources and one over all sinks."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from clips import frames_of, make_clip, sound_of
from hypothesis import given, settings
from hypothesis import strategies as st
from live import LIVE
from PIL import Image

from edgecae import Denoiser, stream
from edgecae.errors import OfflineError, SinkError, SourceError
from edgecae.media import images, sinks, sources
from edgecae.media.frame import Frame


@pytest.fixture(autouse=True)
def standard_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put standard input and output back where a test replaced them."""
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    monkeypatch.setattr(sys, "stdout", sys.stdout)


def piped(tmp: Path) -> str:
    (tmp / "in.raw").write_bytes(bytes(64 * 48 * 3 * 6))
    sys.stdin = (tmp / "in.raw").open()
    return "raw:64x48:rgb24@10"


SPECS: dict[str, Callable[[Path, Path], str]] = {
    "scene": lambda photos, tmp: "test:64x48@10?frames=6&noise=gaussian:20",
    "pipe": lambda photos, tmp: piped(tmp),
    "image_files": lambda photos, tmp: str(photos),
    "image_files, a glob": lambda photos, tmp: str(photos / "*.png"),
    "image_files, one": lambda photos, tmp: str(photos / "face.png"),
    "video_file": lambda photos, tmp: str(
        make_clip(tmp / "clip.mkv", [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(6)])
    ),
}


@pytest.fixture
def spec(kind: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The description of a source that is there."""
    if kind in SPECS:
        yield SPECS[kind](photos, tmp_path)
    else:
        with contextlib.closing(LIVE[kind](monkeypatch, tmp_path)) as live:
            live.start()
            yield live.spec


def test_the_battery_knows_every_source() -> None:
    known = {kind.partition(",")[0] for kind in (*SPECS, *LIVE)}
    assert {o.__module__.rsplit(".", 1)[-1] for o in sources.OPENERS} == known


@pytest.mark.parametrize("kind", [*SPECS, *LIVE])
def test_a_source_keeps_the_contract(kind: str, spec: str) -> None:
    size = (64, 48) if kind in ("camera", "pi_camera") else None
    with sources.open_source(spec, sources.SourceSettings(size=size)) as source:
        frames = list(itertools.islice(source, 6) if source.live else source)
        assert source.name
        assert source.broken == 0
        assert source.live == (kind in LIVE)
        assert source.rate is None or source.rate > 0
    assert len(frames) == (1 if kind == "image_files, one" else 6)
    assert [f.time for f in frames] == sorted(f.time for f in frames)
    names = [f.name for f in frames if f.name is not None]
    assert len(names) == (len(frames) if kind.startswith("image_files") else 0)
    assert names == sorted(set(names))
    for frame in frames:
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape[2:] in ((3,), ())
        assert frame.pixels.flags.c_contiguous
        assert frame.pixels.flags.writeable
        assert (frame.pts is None) == (frame.time_base is None)
    if frames[0].pts is not None:
        times = [f.pts * f.time_base for f in frames]
        assert times == sorted(set(times))


@pytest.mark.parametrize("kind", [*SPECS, *LIVE])
def test_frames_of_a_source_do_not_share_pixels(kind: str, spec: str) -> None:
    with sources.open_source(spec) as source:
        frames = []
        for frame in itertools.islice(source, 6):
            frames.append((frame, frame.pixels.copy()))
    for frame, copy in frames:
        np.testing.assert_array_equal(frame.pixels, copy)


STALL = 1.0


@contextlib.contextmanager
def offline_within(seconds: float) -> Iterator[None]:
    """The block must say that the source is offline, and say so in time."""
    start = time.monotonic()
    with pytest.raises(OfflineError):
        yield
    assert time.monotonic() - start < seconds


@pytest.fixture
def live(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A live source that is not there yet."""
    with contextlib.closing(LIVE[kind](monkeypatch, tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize("kind", list(LIVE))
def test_a_live_source_that_is_not_there(kind: str, live: Any) -> None:
    with offline_within(STALL + 1):
        sources.open_source(live.spec, sources.SourceSettings(stall=STALL))
    live.start()
    with sources.open_source(live.spec) as source:  # it is worth another try
        next(iter(source))


@pytest.mark.parametrize("kind", list(LIVE))
def test_a_live_source_that_breaks_off_and_comes_back(kind: str, live: Any) -> None:
    for _ in range(2):
        live.start()
        with sources.open_source(live.spec, sources.SourceSettings(stall=STALL)) as source:
            frames = iter(source)
            next(frames)
            live.die()
            with offline_within(STALL + 1):
                list(frames)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(LIVE))
def test_a_live_source_that_falls_silent(kind: str, live: Any) -> None:
    live.start()
    settings = sources.SourceSettings(stall=STALL)
    with sources.open_source(live.spec, settings) as source:
        frames = iter(source)
        next(frames)
        live.hang()
        start = time.monotonic()
        with offline_within(STALL + 1):
            list(frames)
        assert time.monotonic() - start > 0.9 * STALL
        left = time.monotonic()
    assert time.monotonic() - left < 1, "closing must not wait for it either"
    with offline_within(STALL + 1):
        sources.open_source(live.spec, settings)


def test_a_camera_is_asked_for_what_the_user_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = LIVE["camera"](monkeypatch, tmp_path)
    device.start()
    asked = sources.SourceSettings(size=(1280, 720), rate=Fraction(15), pixel_format="mjpeg")
    with sources.open_source("/dev/v4l/by-id/usb-cam-index0", asked):
        assert device.asked.items() >= {
            "video_size": "1280x720", "framerate": "15", "input_format": "mjpeg",
        }.items()  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (av.PermissionError(13, "Permission denied", "x"), OfflineError, "group video"),
        (av.OSError(16, "Device or resource busy", "x"), OfflineError, "busy"),
        (av.ArgumentError(22, "Invalid argument", "x"), SourceError, "video_size 9x9"),
    ],
)
def test_why_a_camera_can_not_be_opened(
    error: Exception, kind: type, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: object) -> None:
        raise error

    monkeypatch.setattr(sources.camera, "open_device", refuse)
    with pytest.raises(SourceError, match=said) as caught:
        sources.open_source("0", sources.SourceSettings(size=(9, 9)))
    assert type(caught.value) is kind


def test_ffmpeg_understands_that_a_camera_is_not_waited_for() -> None:
    """The flag has no name among FFmpeg's options; see AVFMT_FLAG_NONBLOCK in avformat.h."""
    options = sources.camera._options(sources.SourceSettings())
    for asked, flag in ((options, 4), ({}, 0)):
        with av.open("testsrc", format="lavfi", container_options=asked) as container:
            assert container.flags & 4 == flag


def test_the_pi_camera_gives_rgb_and_everything_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pi = LIVE["pi_camera"](monkeypatch, tmp_path)
    pi.start()
    with sources.open_source(
        "picamera2:", sources.SourceSettings((64, 48), Fraction(25))
    ) as source:
        assert pi.open == 1
        frames = list(itertools.islice(source, 3))
    assert (pi.open, pi.held) == (0, 0)
    assert [tuple(f.pixels[0, 0]) for f in frames] == [(200, 20, 1), (200, 20, 2), (200, 20, 3)]
    assert pi.configuration["controls"] == {"FrameDurationLimits": (40_000, 40_000)}


def test_a_pi_without_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        sources.open_source("picamera2:")


@pytest.mark.parametrize(
    "spec", ["", "none.mp4", "/nowhere/*.png", "test:0x5", "test:axb", "test:?frames=x",
             "test:?colour=red", "test:?noise=salt", "test:8x8@0",
             "test:99999x99999"],
)  # fmt: skip
def test_sources_that_are_none(spec: str) -> None:
    with pytest.raises(SourceError):
        sources.open_source(spec)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images"):
        sources.open_source(str(tmp_path))


def test_an_image_that_is_named_itself_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"none")
    with sources.open_source(str(tmp_path / "bad.png")) as source:
        with pytest.raises(SourceError, match=r"bad\.png can't be read"):
            list(source)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 40))
def test_the_test_scene_is_repeatable_at_any_size(width: int, height: int, index: int) -> None:
    scenes = [sources.scene.TestScene(width, height, frames=index + 1, seed=3) for _ in range(2)]
    a, b = (scene.clean(index) for scene in scenes)
    assert a.shape == (height, width, 3)
    np.testing.assert_array_equal(a, b)


TARGETS = {
    "null": "null:",
    "view": "view:0",
    "pipe": "raw:rgb24",
    "virtual_camera": "camera:/dev/video9",
    "image_folder": "folder",
    "recording": "part.mkv",
    "video_file": "clip.mkv",
}


class Screen:
    """A stand-in for the module pyvirtualcam, which needs a kernel module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.opened: list[tuple[int, int, float, str]] = []
        self.open = 0
        self.away = False
        module = ModuleType("pyvirtualcam")
        module.Camera = self.camera  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pyvirtualcam", module)

    def camera(self, width: int, height: int, fps: float, *, device: str) -> Any:
        assert self.open == 0, "the device is in use"
        self.open += 1
        self.opened.append((width, height, fps, device))
        screen = self

        class Camera:
            def send(self, pixels: np.ndarray) -> None:
                if screen.away:
                    raise RuntimeError("error writing frame: No such device")
                if pixels.shape != (height, width, 3):
                    raise ValueError(f"unexpected frame shape: {pixels.shape}")
                screen.shown.append(pixels.copy())

            def close(self) -> None:
                screen.open -= 1

        return Camera()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_the_battery_knows_every_sink() -> None:
    # A whole video is one of a video file: test_whole_video.py.
    elsewhere = {"whole_video", "mpegts", "rtsp"}  # have tests of their own name
    assert {o.__module__.rsplit(".", 1)[-1] for o in sinks.OPENERS} == {*TARGETS, *elsewhere}


@pytest.mark.parametrize("kind", list(TARGETS))
def test_a_sink_takes_every_frame(kind: str, tmp_path: Path, screen: Screen) -> None:
    spec = TARGETS[kind] if ":" in TARGETS[kind] else str(tmp_path / TARGETS[kind])
    if kind == "pipe":
        sys.stdout = (tmp_path / "out.raw").open("w")
    with sources.open_source("test:64x48@10?frames=5") as source:
        settings = sinks.SinkSettings(
            source, codec="ffv1", segment=9 if kind == "recording" else None
        )
        with sinks.open_sink(spec, settings) as sink:
            assert type(sink).__module__.endswith(kind)
            expected = []
            for frame in source:
                sink.write(frame)
                expected.append(frame.pixels.copy())
                frame.pixels[...] = 0  # the sink may not rely on them any more
    if kind == "image_folder":
        got = [images.read(p).pixels for p in sorted((tmp_path / "folder").iterdir())]
    elif kind == "pipe":
        got = np.fromfile(tmp_path / "out.raw", np.uint8).reshape(5, 48, 64, 3)
    elif kind == "virtual_camera":
        got = np.array(screen.shown)
    elif kind in ("recording", "video_file"):
        (written,) = tmp_path.glob("*.mkv")
        got, times = frames_of(written)
        np.testing.assert_allclose(times, np.arange(5) / 10, atol=1e-3)
    else:
        return
    np.testing.assert_array_equal(got, expected)


def test_a_virtual_camera_follows_the_size_of_frames(screen: Screen) -> None:
    with sources.open_source("test:8x8@25?frames=1") as source:
        with sinks.open_sink("camera:/dev/video9", sinks.SinkSettings(source)) as sink:
            assert sink.wants_slates
            for shape in [(8, 8, 3), (8, 8, 3), (6, 10, 3), (6, 10)]:
                sink.write(Frame(np.full(shape, 9, np.uint8), 0.0))
    assert screen.opened == [(8, 8, 25.0, "/dev/video9"), (10, 6, 25.0, "/dev/video9")]
    assert [f.shape for f in screen.shown] == [(8, 8, 3)] * 2 + [(6, 10, 3)] * 2
    assert screen.open == 0


def test_a_virtual_camera_that_went_away_is_opened_anew(screen: Screen) -> None:
    frame = Frame(np.full((8, 8, 3), 9, np.uint8), 0.0)
    with sources.open_source("test:8x8@25?frames=1") as source:
        with sinks.open_sink("camera:/dev/video9", sinks.SinkSettings(source)) as sink:
            assert sink.recovers
            sink.write(frame)
            screen.away = True
            with pytest.raises(SinkError, match="No such device"):
                sink.write(frame)
            screen.away = False
            sink.write(frame)
    assert len(screen.opened) == 2
    assert len(screen.shown) == 2
    assert screen.open == 0


def test_a_virtual_camera_that_can_not_be(monkeypatch: pytest.MonkeyPatch, screen: Screen) -> None:
    def refuse(*asked: object, **more: object) -> None:
        raise RuntimeError("'/dev/video9' is not a v4l2loopback device")

    with sources.open_source("test:8x8?frames=1") as source:
        settings = sinks.SinkSettings(source)
        monkeypatch.setattr(sys.modules["pyvirtualcam"], "Camera", refuse)
        with sinks.open_sink("camera:/dev/video9", settings) as sink:
            with pytest.raises(SinkError, match="modprobe"):
                sink.write(next(iter(source)))
        with pytest.raises(SinkError, match="camera:/dev/video2"):
            sinks.open_sink("camera:2", settings)
        monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
        with pytest.raises(SinkError, match="pip install pyvirtualcam"):
            sinks.open_sink("camera:/dev/video9", settings)


@pytest.mark.parametrize("kind", ["image_folder", "video_file"])
def test_a_sink_overwrites_only_when_told(kind: str, tmp_path: Path) -> None:
    target = tmp_path / TARGETS[kind]
    if kind == "image_folder":
        target.mkdir()
        (target / "precious.txt").write_text("precious")
    else:
        target.write_text("precious")
    with sources.open_source("test:8x8?frames=1") as source:
        with pytest.raises(SinkError, match="--overwrite"):
            sinks.open_sink(str(target), sinks.SinkSettings(source))
        with sinks.open_sink(str(target), sinks.SinkSettings(source, overwrite=True)) as sink:
            sink.write(next(iter(source)))


def test_a_video_has_one_size(tmp_path: Path) -> None:
    with sources.open_source("test:8x8?frames=1") as source:
        with sinks.open_sink(str(tmp_path / "x.mkv"), sinks.SinkSettings(source)) as sink:
            sink.write(Frame(np.zeros((16, 16, 3), np.uint8), 0.0))
            with pytest.raises(SinkError, match="a frame of 32×16"):
                sink.write(Frame(np.zeros((16, 32, 3), np.uint8), 0.0))


@pytest.mark.parametrize(
    ("name", "codec"), [("x.xyz", "auto"), ("x.mkv", "none"), ("x.mkv", "aac"), ("x.webm", "ffv1")]
)
def test_videos_that_can_not_be(name: str, codec: str, tmp_path: Path) -> None:
    with sources.open_source("test:8x8?frames=1") as source, pytest.raises(SinkError):
        sinks.open_sink(str(tmp_path / name), sinks.SinkSettings(source, codec=codec))
    assert not list(tmp_path.iterdir())


def test_a_source_is_not_overwritten_while_it_is_read(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", [np.zeros((48, 64, 3), np.uint8)] * 3)
    before = clip.read_bytes()
    with sources.open_source(str(clip)) as source, pytest.raises(SinkError, match="at once"):
        sinks.open_sink(str(clip), sinks.SinkSettings(source, overwrite=True))
    assert clip.read_bytes() == before


def test_a_wrong_codec_leaves_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("precious")
    with sources.open_source("test:8x8?frames=1") as source, pytest.raises(SinkError):
        sinks.open_sink(str(tmp_path / "a.mkv"), sinks.SinkSettings(source, True, "none"))
    assert (tmp_path / "a.mkv").read_text() == "precious"


def test_images_of_the_same_name_are_all_kept(denoiser: Denoiser, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for suffix in ("png", "bmp", "tif"):
        Image.new("RGB", (16, 16)).save(tmp_path / "in" / f"a.{suffix}")
    with sources.open_source(str(tmp_path / "in")) as source:
        with sinks.open_sink(str(tmp_path / "out"), sinks.SinkSettings(source)) as sink:
            stream.run(source, denoiser, [sink])
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_mpeg_ts(denoiser: Denoiser, tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(8)]
    clip = make_clip(tmp_path / "in.mkv", frames, sound=True)
    with sources.open_source(str(clip)) as source:
        with sinks.open_sink(str(tmp_path / "out.ts"), sinks.SinkSettings(source)) as sink:
            stream.run(source, denoiser, [sink])
    assert len(frames_of(tmp_path / "out.ts")[0]) == 8
    assert sound_of(tmp_path / "out.ts")


def test_images_keep_what_goes_with_them(denoiser: Denoiser, tmp_path: Path) -> None:
    image = Image.new("RGBA", (24, 16), (200, 100, 50, 0))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in" / "a.png", exif=exif)
    with sources.open_source(str(tmp_path / "in")) as source:
        with sinks.open_sink(str(tmp_path / "out"), sinks.SinkSettings(source)) as sink:
            stream.run(source, denoiser, [sink])
    with Image.open(tmp_path / "out" / "a.png") as result:
        assert result.getexif()[0x0110] == "a camera"
        np.testing.assert_array_equal(result.getchannel("A"), image.getchannel("A"))


def test_two_recordings_both_have_the_sound(denoiser: Denoiser, tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(8)]
    clip = make_clip(tmp_path / "in.mkv", frames, sound=True)
    with sources.open_source(str(clip)) as source, contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(sinks.open_sink(str(tmp_path / name), sinks.SinkSettings(source)))
            for name in ("a.mkv", "b.mp4")
        ]
        stream.run(source, denoiser, opened)
    assert sound_of(clip) == sound_of(tmp_path / "a.mkv") == sound_of(tmp_path / "b.mp4") != []


def test_gray_frames_can_be_recorded(tmp_path: Path) -> None:
    with sources.open_source("test:8x8?frames=1") as source:
        with sinks.open_sink(str(tmp_path / "x.mkv"), sinks.SinkSettings(source)) as sink:
            sink.write(Frame(np.full((32, 32), 77, np.uint8), 0.0))
    assert np.abs(frames_of(tmp_path / "x.mkv")[0][0].astype(int) - 77).max() <= 2


def test_a_stream_gives_each_frame_to_each_sink_in_order(denoiser: Denoiser) -> None:
    class Keep(sinks.null.Null):
        def __init__(self) -> None:
            self.got: list[np.ndarray] = []

        def write(self, frame: Frame) -> None:
            self.got.append(frame.pixels.copy())

    keeps = [Keep(), Keep()]
    spec = "test:64x48?frames=7&noise=gaussian:25"
    with sources.open_source(spec) as source:
        stats = stream.run(source, denoiser, keeps)
    with sources.open_source(spec) as source:
        expected = [denoiser.process(frame.pixels) for frame in source]
    for keep in keeps:
        np.testing.assert_array_equal(keep.got, expected)
    assert stats.frames == len(stats.latency) == 7
    assert all(a >= b > 0 for a, b in zip(stats.latency, stats.process, strict=True))
    assert stats.percentiles()["process_p50_ms"] <= stats.percentiles()["process_p99_ms"]
