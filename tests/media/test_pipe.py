"""Frames through real pipes, between real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from clips import frames_of, make_clip
from PIL import Image

from edgecae import Denoiser

STREAM = [sys.executable, "-m", "edgecae", "stream"]
SIZE = (48, 64)


def moving(count: int = 5) -> list[np.ndarray]:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return [
        np.stack([rows * 4, columns * 3, (rows + columns + 20 * i) % 256], 2).astype(np.uint8)
        for i in range(count)
    ]


def pipe(arguments: list[str], content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*STREAM, *arguments], input=content, capture_output=True, timeout=60)


@pytest.mark.slow
def test_y4m_out_and_in_again(tmp_path: Path) -> None:
    """One process writes what another reads; nothing is lost between them."""
    clip = make_clip(tmp_path / "in.mkv", moving(), pix_fmt="yuv420p")
    first = pipe(["--source", str(clip), "--sink", "-"])
    assert first.returncode == 0, first.stderr
    head = first.stdout.split(b"\n", 1)[0]
    assert head.startswith(b"YUV4MPEG2 W64 H48 F30:1 ")
    assert b"C420jpeg" in head
    assert len(first.stdout) == len(head) + 1 + 5 * (6 + 48 * 64 * 3 // 2)
    second = pipe(
        ["--source", "-", "--sink", str(tmp_path / "out.mkv"), "--codec", "ffv1"], first.stdout
    )
    assert second.returncode == 0, second.stderr
    got, times = frames_of(tmp_path / "out.mkv")
    np.testing.assert_allclose(times, np.arange(5) / 30, atol=1e-3)
    (tmp_path / "once.y4m").write_bytes(first.stdout)
    with Denoiser() as denoiser:
        expected = [denoiser.process(f) for f in frames_of(tmp_path / "once.y4m")[0]]
    np.testing.assert_array_equal(got, expected)


def test_y4m_of_pictures_keeps_all_colour(tmp_path: Path) -> None:
    result = pipe(["--source", "test:33x17?frames=2", "--sink", "-"])
    assert b" W33 H17 " in result.stdout
    assert b"C444 " in result.stdout
    (tmp_path / "a.y4m").write_bytes(result.stdout)
    assert len(frames_of(tmp_path / "a.y4m")[0]) == 2


def test_raw_video_in_and_out() -> None:
    frames = moving()
    result = pipe(
        ["--source", "raw:64x48:rgb24@25", "--sink", "raw:rgb24"],
        b"".join(frame.tobytes() for frame in frames),
    )
    assert result.returncode == 0, result.stderr
    with Denoiser() as denoiser:
        expected = b"".join(denoiser.process(frame).tobytes() for frame in frames)
    assert result.stdout == expected


@pytest.mark.parametrize("container", ["matroska", "mpegts"])
def test_other_containers_on_standard_input(container: str, tmp_path: Path) -> None:
    codec = {"matroska": "ffv1", "mpegts": "mpeg2video"}[container]
    suffix = {"matroska": "mkv", "mpegts": "ts"}[container]
    clip = make_clip(tmp_path / f"in.{suffix}", moving(8), codec=codec, pix_fmt="yuv420p")
    result = pipe(["--source", "-", "--sink", "null:"], clip.read_bytes())
    assert result.returncode == 0, result.stderr
    assert b"8 frames" in result.stderr


def test_a_reader_that_goes_away_ends_the_stream(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*STREAM, "--source", "test:320x240", "--sink", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(100).startswith(b"YUV4MPEG2")
    process.stdout.close()
    assert process.wait(timeout=30) == 1
    assert process.stderr is not None
    said = process.stderr.read()
    assert b"standard output can't be written: Broken pipe" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (b"", "-"),
        (b"no video at all" * 99, "-"),
        (b"YUV4MPEG2 W-5 H99999999999 F0:0\nFRAME\n", "-"),
        (b"YUV4MPEG2 W64 H48 F30:1 C420jpeg\nFRAME\nshort", "-"),
        (b"", "raw:64x48"),
        (b"", "raw:0x0"),
        (b"", "raw:64x48:nosuch"),
        (b"", "raw:64"),
    ],
)
def test_what_is_no_video_is_said_to_be_none(content: bytes, source: str) -> None:
    result = pipe(["--source", source, "--sink", "null:"], content)
    assert result.returncode == 1
    assert result.stderr.startswith(b"edgecae: ") or b"\nedgecae: " in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("sinks", [["-", "raw:rgb24"], ["-", "--json"]])
def test_standard_output_is_for_one_thing(sinks: list[str]) -> None:
    arguments = [a for s in sinks for a in (["--sink", s] if s != "--json" else [s])]
    result = pipe(["--source", "test:8x8?frames=1", *arguments])
    assert result.returncode == 2
    assert b"standard output is for one thing" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["-", "raw:rgb24"])
def test_frames_of_another_size_are_scaled_to_the_first_one(sink: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, size in (("a", (64, 48)), ("b", (64, 96)), ("c", (128, 96)), ("d", (64, 48))):
        Image.new("RGB", size, (200, 200, 200)).save(tmp_path / "in" / f"{name}.png")
    Image.new("L", (64, 48), 200).save(tmp_path / "in" / "e.png")
    result = pipe(["--source", str(tmp_path / "in"), "--sink", sink])
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("a frame of 64×96 is scaled to 64×48".encode()) == 1
    assert result.stderr.count(b"scaled") == 1
    if sink == "-":
        (tmp_path / "a.y4m").write_bytes(result.stdout)
        got = frames_of(tmp_path / "a.y4m")[0]
    else:
        got = list(np.frombuffer(result.stdout, np.uint8).reshape(5, 48, 64, 3))
    assert [frame.shape for frame in got] == [(48, 64, 3)] * 5
    for frame in (got[0], *got[2:]):
        assert np.abs(frame.astype(int) - 200).max() <= 20
    tall = got[1].astype(int)  # 64×96 comes as 32×48, in its own proportions
    assert np.abs(tall[:, 20:44] - 200).max() <= 20
    assert max(tall[:, :14].max(), tall[:, 50:].max()) <= 20


def test_no_such_pixel_format() -> None:
    result = pipe(["--source", "test:8x8?frames=1", "--sink", "raw:nosuch"])
    assert result.returncode == 1
    assert b"no such pixel format" in result.stderr


def test_ffmpeg_reads_the_header_as_it_was_meant(tmp_path: Path) -> None:
    result = pipe(["--source", "test:64x48@12?frames=3", "--sink", "-"])
    (tmp_path / "a.y4m").write_bytes(result.stdout)
    with av.open(str(tmp_path / "a.y4m")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (64, 48, 12)
        assert stream.codec_context.pix_fmt == "yuv444p"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["-", "raw:64x48"])
def test_a_thread_that_waits_for_standard_input_does_not_disturb_the_end(source: str) -> None:
    code = (
        "import sys, threading, time\n"
        "from edgecae.media import sources\n"
        "def read():\n"
        f"    list(sources.open_source({source!r}))\n"
        "threading.Thread(target=read, daemon=True).start()\n"
        "time.sleep(1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.wait(timeout=10) == 0, process.stderr and process.stderr.read()
    finally:
        process.kill()
        process.communicate()
