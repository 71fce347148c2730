"""What goes with the pictures of a video is copied, or named."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from clips import copy_clip, frames_of, make_clip, sound_of

from edgecae.media.sinks.base import Encoding

GRAY = np.full((48, 64, 3), 100, np.uint8)
DATE = "2019-07-24T08:25:57.000000Z"
PLACE = "+32.0929+034.8620/"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("edgecae").propagate = True
    return caplog


def decoded_sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_sound_of_mpeg_ts(suffix: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """AAC of MPEG-TS has its settings in each packet, most other containers in the header."""
    frames = [np.full((48, 64, 3), 5 * i, np.uint8) for i in range(50)]
    clip = make_clip(tmp_path / "in.ts", frames, codec="libx264", pix_fmt="yuv420p", sound=True)
    target = tmp_path / f"out.{suffix}"
    assert copy_clip(clip, target) == 50
    assert len(frames_of(target)[0]) == 50
    assert len(sound_of(target)) == len(sound_of(clip)) > 70
    np.testing.assert_array_equal(decoded_sound(target), decoded_sound(clip))
    assert not said.text


def test_a_broadcast_begins_at_zero(tmp_path: Path) -> None:
    """Its clock began long before; players would wait for hours."""
    clip = make_clip(tmp_path / "whole.mkv", [GRAY] * 9, codec="mpeg2video", pix_fmt="yuv420p")
    late = tmp_path / "in.ts"
    with av.open(str(clip)) as old, av.open(str(late), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                packet.pts += 40_000_000
                packet.dts += 40_000_000
                new.mux(packet)
    copy_clip(late, tmp_path / "out.mp4")
    np.testing.assert_allclose(frames_of(tmp_path / "out.mp4")[1], np.arange(9) / 30, atol=2e-3)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A Matroska file with all that goes with pictures."""
    path = tmp_path / "full.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        video.set_display_rotation(-90)
        video.metadata["timecode"] = "01:02:03:04"
        sound = file.add_stream("aac", rate=48000, layout="mono")
        sound.metadata.update(language="deu", title="Ton")
        sound.disposition = Disposition.hearing_impaired | Disposition.default
        file.metadata.update(title="A title", creation_time=DATE, location=PLACE, artist="Me")
        file.set_chapters(
            [
                {"id": i + 1, "start": 400 * i, "end": 400 * (i + 1),
                 "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for i, title in enumerate(("one", "two"))
            ]
        )  # fmt: skip
        file.add_attachment("a.ttf", "font/ttf", b"font" * 10)
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(GRAY)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            file.mux(video.encode(frame))
            wave = np.zeros((1, 1920), np.float32)
            tone = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 48000, 1920 * index, Fraction(1, 48000)
            file.mux(sound.encode(tone))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_what_a_container_holds_is_copied(
    suffix: str, full: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / f"out.{suffix}"
    copy_clip(full, target)
    with av.open(str(target)) as file:
        metadata = {key.lower(): value for key, value in file.metadata.items()}
        assert metadata["title"] == "A title"
        assert metadata["creation_time"] == DATE
        assert metadata["location"].startswith("+32.0929+034.86")
        assert metadata["artist"] == "Me"
        assert [c["metadata"]["title"] for c in file.chapters()] == ["one", "two"]
        video, sound = file.streams.video[0], file.streams.audio[0]
        assert {k.lower(): v for k, v in video.metadata.items()}["timecode"] == "01:02:03:04"
        assert video.sample_aspect_ratio == Fraction(4, 3)
        assert next(file.decode(video)).rotation == -90
        names = [attachment.metadata["filename"] for attachment in file.streams.attachments]
    if suffix == "mkv":
        assert names == ["a.ttf"]
        assert not said.text
    else:
        assert "left out: attachment a.ttf" in said.text
    if suffix != "mov":  # QuickTime has no such flag, and its languages are numbers
        assert sound.metadata["language"] == "deu"
        assert sound.disposition & Disposition.hearing_impaired
    else:
        assert "hearing_impaired of audio" in said.text


def test_what_a_container_does_not_hold_is_named(
    full: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    copy_clip(full, tmp_path / "out.avi")
    (line,) = [r.message for r in said.records if "left out" in r.message]
    for word in ("attachment a.ttf", "location", "timecode", "chapters", "rotation"):
        assert word in line


def test_the_shape_of_pixels_is_kept_or_named(
    full: Path, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    copy_clip(full, tmp_path / "out.webm")
    assert "shape of pixels (4:3)" in said.text


def test_keys_of_a_phone_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.mov"
    flags = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", container_options=flags) as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.metadata["com.apple.quicktime.model"] = "a phone"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(GRAY)))
        file.mux(stream.encode(None))
    for suffix in ("mov", "mp4"):
        copy_clip(path, tmp_path / f"out.{suffix}")
        with av.open(str(tmp_path / f"out.{suffix}")) as result:
            assert result.metadata["com.apple.quicktime.model"] == "a phone"


def test_more_tracks_of_video_are_copied_or_named(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    first = make_clip(tmp_path / "a.mkv", [GRAY] * 3, codec="libx264", pix_fmt="yuv420p")
    both = tmp_path / "in.mkv"
    with av.open(str(first)) as one, av.open(str(first)) as two, av.open(str(both), "w") as new:
        streams = [
            new.add_stream_from_template(old.streams.video[0], opaque=True) for old in (one, two)
        ]
        for old, stream in zip((one, two), streams, strict=True):
            for packet in old.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    new.mux(packet)
    assert copy_clip(both, tmp_path / "out.mkv") == 3
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert len(file.streams.video) == 2
    copy_clip(both, tmp_path / "out.webm")
    assert "another video (h264)" in said.text


def test_sound_can_be_left_out(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    clip = make_clip(tmp_path / "in.mkv", [GRAY] * 3, sound=True)
    copy_clip(clip, tmp_path / "out.mkv", encoding=Encoding(audio=False))
    assert sound_of(tmp_path / "out.mkv") == []
    assert "audio" not in said.text


def test_a_finished_mp4_is_no_fragmented_one(tmp_path: Path) -> None:
    """Editors and some televisions read no other."""
    clip = make_clip(tmp_path / "in.mkv", [GRAY] * 60, sound=True)
    copy_clip(clip, tmp_path / "out.mp4")
    content, at, boxes = (tmp_path / "out.mp4").read_bytes(), 0, []
    while at < len(content):
        boxes.append(content[at + 4 : at + 8].decode())
        at += int.from_bytes(content[at : at + 4], "big")
    assert sorted(boxes) == ["free", "ftyp", "mdat", "moov"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames", "left_out"),
    [
        ("mei_100_0306.avi", 41, "4:2:2 colour"),
        ("mei_ftyp3gp5.mp4", 39, ""),
        ("mei_with-gps.mov", 120, "2 × data"),
    ],
)
def test_clips_of_real_cameras(
    name: str,
    frames: int,
    left_out: str,
    shared: Path,
    tmp_path: Path,
    said: pytest.LogCaptureFixture,
) -> None:
    clip, target = shared / "real" / "clips" / name, tmp_path / "out.mp4"
    assert copy_clip(clip, target) == frames
    assert b"".join(sound_of(target)) == b"".join(sound_of(clip))
    assert left_out in said.text
    assert bool(said.text) == bool(left_out)
    with av.open(str(clip)) as old, av.open(str(target)) as new:
        assert next(new.decode(video=0)).rotation == next(old.decode(video=0)).rotation
        places = [key for key in old.metadata if "location" in key]
        assert {key: new.metadata[key] for key in places} == {k: old.metadata[k] for k in places}
