"""How videos are encoded: one quality for all encoders, and what the user asks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import frames_of

from edgecae import native
from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.video_file import VideoSink
from edgecae.quality import psnr


@pytest.fixture
def frames(photo: np.ndarray) -> list[np.ndarray]:
    """A camera that pans over a photo."""
    return [np.ascontiguousarray(photo[i : i + 96, 2 * i : 2 * i + 112]) for i in range(10)]


def write(path: Path, frames: list[np.ndarray], codec: str = "auto", **asked) -> Path:
    with VideoSink(path, None, Fraction(25), codec, True, encoding=Encoding(**asked)) as sink:
        for frame in frames:
            sink.write(Frame(frame, 0.0))
    return path


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("auto", "mp4"), ("h264", "mkv"), ("hevc", "mp4"), ("libx265", "mkv"), ("auto", "webm"),
     ("libsvtav1", "mkv"), ("mpeg4", "avi"), ("mpeg2video", "ts"), ("mjpeg", "avi"),
     ("libvpx", "webm"), ("prores_ks", "mov")],
)  # fmt: skip
def test_all_encoders_have_about_one_quality(
    codec: str, suffix: str, frames: list[np.ndarray], tmp_path: Path
) -> None:
    reference, _ = frames_of(write(tmp_path / "whole.mkv", frames, "ffv1", pixel_format="yuv420p"))
    got, _ = frames_of(write(tmp_path / f"a.{suffix}", frames, codec))
    quality = np.mean([psnr(a, b) for a, b in zip(got, reference, strict=True)])
    assert quality > 35.5
    assert np.abs(np.mean(got) - np.mean(reference)) < 0.5  # neither darker nor brighter


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_hevc_is_tagged_as_apple_players_want_it(
    suffix: str, frames: list[np.ndarray], tmp_path: Path
) -> None:
    with av.open(str(write(tmp_path / f"a.{suffix}", frames[:2], "hevc"))) as file:
        assert file.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_few_frames_has_its_times_whatever_was_in_memory(
    count: int, tmp_path: Path
) -> None:
    source, target = f"test:128x96@25?frames={count}", tmp_path / "a.mkv"
    command = [sys.executable, "-m", "edgecae", "stream", "--source", source]
    done = subprocess.run(
        [*command, "--sink", str(target), "--codec", "hevc", "--model", "nano"],
        env={**os.environ, "MALLOC_PERTURB_": "1"},  # glibc: no memory is zero at first
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with av.open(str(target)) as file:
        times = [float(frame.time) for frame in file.decode(video=0)]
    assert times == pytest.approx([index / 25 for index in range(count)])


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", "mp4"), ("hevc", "mp4"), ("vp9", "webm"), ("av1", "mkv")]
)
def test_crf_makes_files_smaller(
    codec: str, suffix: str, frames: list[np.ndarray], tmp_path: Path
) -> None:
    sizes = [
        write(tmp_path / f"{crf}.{suffix}", frames, codec, crf=crf).stat().st_size
        for crf in (10, 40)
    ]
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mpeg2video"])
def test_bitrate_is_obeyed(codec: str, frames: list[np.ndarray], tmp_path: Path) -> None:
    sizes = [
        write(tmp_path / f"{rate}.mkv", 4 * frames, codec, bitrate=rate).stat().st_size
        for rate in (50_000, 2_000_000)
    ]
    assert sizes[1] > 2 * sizes[0]


def test_preset_is_obeyed(frames: list[np.ndarray], tmp_path: Path) -> None:
    contents = {
        preset: write(tmp_path / f"{preset}.mkv", frames, preset=preset).read_bytes()
        for preset in ("ultrafast", "veryslow")
    }
    assert b"rc_lookahead=60" in contents["veryslow"].replace(b"\n", b"")
    assert b"cabac=0" in contents["ultrafast"]


@pytest.mark.parametrize(
    ("codec", "form"),
    [("libx264", "yuv444p"), ("libx264", "yuv420p10le"), ("ffv1", "yuv420p"), ("hevc", "yuv422p")],
)
def test_the_pixel_format_is_obeyed(
    codec: str, form: str, frames: list[np.ndarray], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.mkv", frames[:2], codec, pixel_format=form)
    with av.open(str(path)) as file:
        assert file.streams.video[0].pix_fmt == form
    got, _ = frames_of(path)
    assert psnr(got[0], frames[0]) > 30


@pytest.mark.parametrize(
    ("codec", "asked", "message"),
    [
        ("libx264", {"pixel_format": "rgb24"}, "libx264 can't encode rgb24; it encodes yuv420p"),
        ("libx264", {"pixel_format": "none"}, "can't encode none"),
        ("libx264", {"crf": 52}, "--crf of libx264 is 0 to 51, not 52"),
        ("mpeg4", {"crf": 20}, "mpeg4 has no --crf; --bitrate sets its size"),
        ("ffv1", {"bitrate": 10}, "ffv1 has no --bitrate"),
        ("libx264", {"crf": 20, "bitrate": 10}, "either --crf or --bitrate"),
        ("libx264", {"preset": "quick"}, "--preset of libx264 is one of ultrafast, "),
        ("mpeg4", {"preset": "fast"}, "mpeg4 has no --preset"),
    ],
)
def test_what_an_encoder_can_not_do(
    codec: str, asked: dict, message: str, frames: list[np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises(SinkError, match=message):
        write(tmp_path / "a.mkv", frames, codec, **asked)
    assert not list(tmp_path.iterdir())


def scheduling() -> set[tuple[int, int]]:
    """Policy and priority of all threads of this process."""
    threads = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    return {(os.sched_getscheduler(t), os.sched_getparam(t).sched_priority) for t in threads}


def test_no_encoder_makes_the_process_real_time(frames: list[np.ndarray], tmp_path: Path) -> None:
    """SVT-AV1 tries to, where the user is root: all else would wait for its threads."""
    before = scheduling()
    with VideoSink(tmp_path / "a.mkv", None, Fraction(25), "av1") as sink:
        for pixels in frames[:3]:
            sink.write(Frame(pixels, 0.0))
            assert scheduling() == before
    assert scheduling() == before


def test_scheduling_is_kept_through_a_native_call() -> None:
    """Any user may ask for SCHED_BATCH, so it stands for what root may."""
    end, before = threading.Event(), scheduling()
    with native.scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        started = threading.Thread(target=end.wait)
        started.start()
        assert (os.SCHED_BATCH, 0) in scheduling()
    assert scheduling() == before
    end.set()
    started.join()
