"""H.264 in MPEG-TS on standard output, read by real programs."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner
from rtsp import number_of, numbered

from edgecae.commands import stream as stream_command
from edgecae.errors import SinkError
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.mpegts import MpegTsSink

STREAM = [sys.executable, "-m", "edgecae", "stream", "--model", "nano", "--source"]


def written(frames: list[Frame], **settings: Any) -> bytes:
    file = io.BytesIO()
    with sources.open_source("test:128x96@30") as source:
        with MpegTsSink(file, sinks.SinkSettings(source, **settings)) as sink:
            for frame in frames:
                sink.write(frame)
    return file.getvalue()


def at(number: int, shape: tuple[int, ...] = (96, 128, 3)) -> Frame:
    frame = numbered(number, shape=shape)
    return replace(frame, pts=90_000 * 100 + 6_000 * number, time_base=Fraction(1, 90_000))


def test_each_frame_and_its_time_come_back() -> None:
    """A frame is in the file as soon as it was written; the first is at time zero."""
    content = written([at(n) for n in range(20)])
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (container.format.name, stream.codec_context.name) == ("mpegts", "h264")
        frames = list(container.decode(video=0))
    assert [number_of(f.to_ndarray(format="rgb24")) for f in frames] == list(range(20))
    times = [float(f.pts * f.time_base) for f in frames]
    np.testing.assert_allclose(np.diff(times), 1 / 15, atol=1e-4)
    assert times[0] < 2


def test_frames_of_another_size_are_scaled() -> None:
    content = written([at(0), at(1, (192, 256, 3)), at(2, (97, 129, 3))])
    with av.open(io.BytesIO(content)) as container:
        assert {(f.width, f.height) for f in container.decode(video=0)} == {(128, 96)}


def test_a_smaller_file_for_less_quality() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    frames = [replace(at(n), pixels=noise) for n in range(5)]
    sizes = [len(written(frames, encoding=Encoding(crf=crf))) for crf in (16, 40)]
    assert sizes[0] > 2 * sizes[1]
    with pytest.raises(SinkError, match="--preset of libx264"):
        written(frames, encoding=Encoding(preset="quick"))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no program ffmpeg")
@pytest.mark.slow
def test_ffmpeg_reads_what_the_command_writes() -> None:
    """What go2rtc does with the output of a command, it does by the same means."""
    source = "test:128x96@15?live=yes&frames=45"
    command = [*STREAM, source, "--sink", "mpegts:-"]
    probe = ["ffprobe", "-v", "error", "-show_frames", "-of", "json", "-f", "mpegts", "-i", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writing:
        read = subprocess.run(probe, stdin=writing.stdout, capture_output=True, timeout=60)
        assert writing.stdout is not None
        writing.stdout.close()
        assert writing.stderr is not None
        said = writing.stderr.read().decode()
    assert writing.returncode == 0, said
    assert not read.stderr
    frames = json.loads(read.stdout)["frames"]
    assert 40 <= len(frames) <= 45  # a slow machine may miss some of a live source
    assert {(f["width"], f["height"], f["pix_fmt"]) for f in frames} == {(128, 96, "yuv420p")}
    times = [float(f["pts_time"]) for f in frames]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert 2 < times[-1] - times[0] < 4


@pytest.mark.faults
def test_a_reader_that_goes_ends_the_stream_with_one_line() -> None:
    command = [*STREAM, "test:128x96@30?live=yes&noise=gaussian:50", "--sink", "mpegts:-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stdout.read(20_000).startswith(b"G")
        writing.stdout.close()
        assert writing.stderr is not None
        lines = writing.stderr.read().decode().splitlines()
        assert writing.wait(20) == 1
    assert [line for line in lines if "can't be written: Broken pipe" in line] == lines[-1:]
    assert not [line for line in lines if "Traceback" in line]


@pytest.mark.faults
def test_a_reader_that_sleeps_delays_neither_others_nor_the_end(tmp_path: Path) -> None:
    aside = tmp_path / "aside.mkv"
    command = [*STREAM, "test:320x240@30?live=yes&noise=gaussian:50&frames=120"]
    command += ["--sink", "mpegts:-", "--sink", str(aside)]
    start = time.monotonic()
    reading, writing = os.pipe()
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(30) == 0, said
    os.close(reading)
    assert time.monotonic() - start < 20
    with av.open(str(aside)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 90


def test_standard_output_is_for_one_thing() -> None:
    for more in (["--json"], ["--sink", "-"], ["--sink", "raw:rgb24"]):
        arguments = ["--source", "test:8x8", "--sink", "mpegts:-", *more]
        result = CliRunner().invoke(stream_command.command, arguments)
        assert result.exit_code == 2
        assert "standard output is for one thing" in result.stderr


def test_it_is_spelled_in_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sources.open_source("test:8x8") as source:
        for spec in ("mpegts:", "mpegts:x", "mpegts:http://u:secret@h/"):
            with pytest.raises(SinkError, match="mpegts:-") as caught:
                sinks.open_sink(spec, sinks.SinkSettings(source))
            assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())
