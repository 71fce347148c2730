"""Timestamps as files have them come out as a clock that rises, and no frame is lost."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import copy_clip, frames_of, make_clip
from hypothesis import given
from hypothesis import strategies as st

from edgecae.errors import SourceError
from edgecae.media.sources.video_file import VideoFile
from edgecae.media.video.timestamps import RisingClock

RATE = Fraction(25)


def moving(count: int = 30) -> list[np.ndarray]:
    """Frames that B-frames are worth while for."""
    rows, columns = np.mgrid[:48, :64]
    return [
        np.stack([rows * 5, columns * 4, rows + columns + 3 * i], 2).astype(np.uint8)
        for i in range(count)
    ]


def with_b_frames(path: Path, rate: int = 25, container: str | None = None) -> Path:
    """H.264 with three B-frames between others; ``container`` as FFmpeg names it."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "3", "b-adapt": "0", "preset": "medium"}
        for index, pixels in enumerate(moving()):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def test_b_frames_in_avi_keep_their_order_and_their_rate(tmp_path: Path) -> None:
    """AVI has no presentation times; those that FFmpeg makes up go back and forth."""
    clip = with_b_frames(tmp_path / "in.avi")
    with av.open(str(clip)) as file:
        told = [frame.pts for frame in file.decode(video=0)]
    assert told != sorted(told), "the clip has to be a hard one"
    for suffix in ("mp4", "mkv", "avi"):
        assert copy_clip(clip, tmp_path / f"out.{suffix}") == 30
        frames, times = frames_of(tmp_path / f"out.{suffix}")
        if suffix != "avi":
            np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-3)
        for frame, pixels in zip(frames, moving(), strict=True):
            assert np.abs(frame.astype(int) - pixels).mean() < 12


@pytest.mark.parametrize("rate", [24, 30, 50])
def test_a_raw_stream_has_its_own_rate(rate: int, tmp_path: Path) -> None:
    clip = with_b_frames(tmp_path / "in.h264", rate, "h264")
    assert copy_clip(clip, tmp_path / "out.mp4") == 30
    _, times = frames_of(tmp_path / "out.mp4")
    np.testing.assert_allclose(times, np.arange(30) / rate, atol=1e-3)


def test_the_rate_of_a_raw_stream_can_be_given(tmp_path: Path) -> None:
    clip = with_b_frames(tmp_path / "in.h264", 30, "h264")
    copy_clip(clip, tmp_path / "out.mp4", rate=Fraction(15))
    _, times = frames_of(tmp_path / "out.mp4")
    np.testing.assert_allclose(times, np.arange(30) / 15, atol=1e-3)


def test_a_rate_beside_timestamps_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", moving(3))
    with pytest.raises(SourceError, match="has timestamps of its own; --fps is for cameras"):
        VideoFile(clip, rate=RATE)


def remuxed(source: Path, target: Path, times: list[int | None], base: Fraction) -> Path:
    """The packets of a clip with other timestamps."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        packets = [packet for packet in old.demux(video=0) if packet.size]
        for packet, when in zip(packets, times, strict=True):
            packet.stream, packet.time_base = stream, base
            packet.pts = packet.dts = when
            new.mux(packet)
    return target


@pytest.mark.parametrize(
    "times",
    [
        [0, 40, 40, 80, 120, 160],
        [0, 40, 80, 80, 80, 200],
        [500, 500, 540, 580, 620, 660],
    ],
)
def test_frames_of_the_same_time_are_all_kept(times: list[int | None], tmp_path: Path) -> None:
    frames = moving(6)
    clip = make_clip(tmp_path / "whole.mkv", frames, codec="mjpeg", pix_fmt="yuvj444p")
    clip = remuxed(clip, tmp_path / "in.mkv", times, Fraction(1, 1000))
    for suffix in ("mp4", "mkv"):
        assert copy_clip(clip, tmp_path / f"out.{suffix}") == 6
        got, rising = frames_of(tmp_path / f"out.{suffix}")
        assert len(got) == 6
        assert rising == sorted(set(rising))
        assert rising[-1] - rising[0] == pytest.approx((times[-1] - times[0]) / 1000, abs=0.002)


def test_files_that_were_joined_go_on(tmp_path: Path) -> None:
    """The second half of a broadcast that began anew counts from zero again."""
    halves = [with_b_frames(tmp_path / f"{i}.ts") for i in range(2)]
    clip = tmp_path / "in.ts"
    clip.write_bytes(b"".join(half.read_bytes() for half in halves))
    assert copy_clip(clip, tmp_path / "out.mp4") == 60
    _, times = frames_of(tmp_path / "out.mp4")
    assert len(times) == 60
    assert np.diff(times).min() > 0
    assert times[-1] == pytest.approx(59 / 25, abs=0.3)


def test_good_timestamps_stay(tmp_path: Path) -> None:
    clock = RisingClock(Fraction(1, 1000), Fraction(1, 25))
    uneven = [0, 3, 4, 100, 99_000, 99_001]
    assert [clock.next(when, None) for when in uneven] == uneven


times = st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(0, 50))


@given(st.lists(st.tuples(times, times), min_size=1), st.booleans())
def test_whatever_comes_the_clock_rises(stamps: list[tuple], dts_only: bool) -> None:
    clock = RisingClock(Fraction(1, 1000), Fraction(1, 25), dts_only)
    made = [clock.next(pts, dts) for pts, dts in stamps]
    assert made == sorted(set(made))
