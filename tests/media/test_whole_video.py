"""A stream from a video file to another: its name means that it is whole."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, make_clip

from edgecae import Denoiser, stream
from edgecae.errors import SinkError
from edgecae.media import sinks, sources
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.video.part import part_name

FRAMES = 30


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = [np.full((48, 64, 3), 5 * i, np.uint8) for i in range(FRAMES)]
    return make_clip(tmp_path / "in.mkv", frames, sound=True)


def run(clip: Path, target: Path, denoiser: Denoiser, frames: int = 1000, **settings) -> None:
    stop = stream.Stop()

    def report(stats: stream.Stats) -> None:
        if stats.frames >= frames:
            stop.requested = True

    with sources.open_source(str(clip)) as source:
        with sinks.open_sink(str(target), sinks.SinkSettings(source, **settings)) as sink:
            stream.run(source, denoiser, [sink], stop, report)


def test_a_whole_video_has_its_name(clip: Path, denoiser: Denoiser, tmp_path: Path) -> None:
    run(clip, tmp_path / "out.mp4", denoiser)
    assert len(frames_of(tmp_path / "out.mp4")[0]) == FRAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mp4"]


def test_a_stream_that_is_stopped_leaves_a_part(
    clip: Path, denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("edgecae").propagate = True
    target = tmp_path / "out.mp4"
    run(clip, target, denoiser, 5)
    assert not target.exists()
    assert 5 <= len(frames_of(part_name(target))[0]) < FRAMES
    assert f"{target} is not whole; what there is of it is .out.part.mp4" in caplog.text


def test_a_stream_that_fails_leaves_no_whole_video(
    clip: Path, denoiser: Denoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, write = tmp_path / "out.mkv", VideoSink.write

    def fail(sink: VideoSink, frame: object) -> None:
        if sink.count == 7:
            raise SinkError("no more")
        write(sink, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoSink, "write", fail)
    with pytest.raises(SinkError, match="no more"):
        run(clip, target, denoiser)
    assert not target.exists()
    assert len(frames_of(part_name(target))[0]) == 7


def test_what_is_there_stays_until_the_new_one_is_whole(
    clip: Path, denoiser: Denoiser, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    target.write_text("precious")
    with pytest.raises(SinkError, match="--overwrite"):
        run(clip, target, denoiser)
    run(clip, target, denoiser, 5, overwrite=True)
    assert target.read_text() == "precious"
    run(clip, target, denoiser, overwrite=True)
    assert len(frames_of(target)[0]) == FRAMES


@pytest.mark.parametrize("name", ["out.gif", "out.xyz"])
def test_what_can_not_be_written_is_refused_before_the_work(
    name: str, clip: Path, tmp_path: Path
) -> None:
    message = "palettes of 256 colours" if name.endswith("gif") else "can't be written as a video"
    with sources.open_source(str(clip)) as source, pytest.raises(SinkError, match=message):
        sinks.open_sink(str(tmp_path / name), sinks.SinkSettings(source))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
