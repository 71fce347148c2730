"""The options of ``edgecae denoise`` for videos, and what it says meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from click.testing import CliRunner
from clips import frames_of, make_clip, sound_of

from edgecae.commands import denoise, progress
from edgecae.stream import Stats


@pytest.fixture
def clip(photo: np.ndarray, tmp_path: Path) -> Path:
    frames = [np.ascontiguousarray(photo[i : i + 48, i : i + 64]) for i in range(5)]
    return make_clip(tmp_path / "in.mkv", frames, sound=True)


def run(*arguments: object):
    return CliRunner().invoke(denoise.command, [*map(str, arguments), "--model", "nano"])


def test_options_reach_the_encoder(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    options = [
        "--codec",
        "hevc",
        "--pixel-format",
        "yuv444p",
        "--crf",
        "30",
        "--preset",
        "ultrafast",
        "--no-audio",
    ]
    result = run(clip, "-o", target, *options)
    assert result.exit_code == 0, result.stderr
    with av.open(str(target)) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.codec_tag) == ("hevc", "yuv444p", "hvc1")
    assert sound_of(target) == []
    sizes = []
    for rate in ("30k", "3M"):
        assert run(clip, "-o", target, "--overwrite", "--bitrate", rate).exit_code == 0
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1]
    assert sound_of(target) == sound_of(clip) != []


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--bitrate", "much"], 2, "'much' is no bit rate such as 800k or 4M"),
        (["--crf", "-1"], 2, "-1.0 is not in the range"),
        (["--crf", "20", "--bitrate", "1M"], 1, "either --crf or --bitrate, not both"),
        (["--pixel-format", "bgr0"], 1, "libx264 can't encode bgr0; it encodes yuv420p, "),
        (["--fps", "24"], 1, "has timestamps of its own; --fps is for cameras, folders of"),
    ],
)
def test_options_that_can_not_be(
    options: list[str], status: int, message: str, clip: Path, tmp_path: Path
) -> None:
    result = run(clip, "-o", tmp_path / "out.mp4", *options)
    text = result.stderr + (str(result.exception) if result.exception else "")
    assert message in text
    assert bool(result.exit_code) == bool(status)
    assert not (tmp_path / "out.mp4").exists()


def test_the_rate_of_a_raw_stream(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "in.h264"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo[index:][:48, :64]))
            frame.pts, frame.time_base = index, Fraction(1, 30)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    for options, rate in (([], 30), (["--fps", "12"], 12)):
        assert run(path, "-o", tmp_path / "o.mp4", "--overwrite", *options).exit_code == 0
        _, times = frames_of(tmp_path / "o.mp4")
        np.testing.assert_allclose(times, np.arange(6) / rate, atol=1e-3)


def test_how_far_a_video_is() -> None:
    now = time.monotonic()
    stats = Stats(frames=50, seconds=10.0, source=SimpleNamespace(expected_frames=250, skipped=0))
    stats.ended.extend(now - 1 + i / 5 for i in range(6))
    assert progress.of_video(stats) == "50 of 250 frames, 20 %, 5.0 frames/s, 0:00:40 left"
    stats.source = SimpleNamespace(expected_frames=None, skipped=0)
    assert progress.of_video(stats) == "50 frames, 5.0 frames/s"
    stats.source = SimpleNamespace(expected_frames=40_000, skipped=100)
    assert progress.of_video(stats).startswith("150 of 40000 frames, 0 %, 5.0 frames/s, 2:12:50")


@pytest.mark.faults
def test_an_interrupted_video_is_no_result(photo: np.ndarray, tmp_path: Path) -> None:
    frames = [np.roll(photo, 3 * i, axis=1) for i in range(400)]
    clip, target = make_clip(tmp_path / "in.mkv", frames), tmp_path / "out.mkv"
    command = [
        sys.executable,
        "-m",
        "edgecae",
        "denoise",
        str(clip),
        "-o",
        str(target),
        "--model",
        "base",
    ]
    command += ["--codec", "ffv1"]  # which holds nothing back
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(
        path.stat().st_size > 500_000 for path in tmp_path.glob(".out.*.tmp.mkv")
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on after them" in said
    assert not target.exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(frames_of(target)[0]) == 400
