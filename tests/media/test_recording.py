"""Recordings whose disk is full, whose file is taken away, whose folder vanishes."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from clips import frames_of

from edgecae.errors import SinkError
from edgecae.media import sinks, sources
from edgecae.media.sinks.base import Encoding


def recorded(folder: Path) -> dict[str, int]:
    """Frames in each file of a folder."""
    return {p.name: len(frames_of(p)[0]) for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("segment", [None, 60.0])
def test_a_recording_goes_on_once_there_is_room(
    segment: float | None, suffix: str, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a disk that stays full for some attempts."""
    first = f"a.{suffix}" if segment is None else f"a-0001.{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with sources.open_source("test:64x48@10?frames=60&noise=gaussian:50") as source:
        settings = sinks.SinkSettings(source, segment=segment, overwrite=True, codec="ffv1")
        frames = list(source)
        with sinks.recording.Recording(tmp_path / f"a.{suffix}", settings) as sink:
            try:
                for frame in frames[:20]:
                    sink.write(frame)
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
                failed = 0
                for frame in frames[20:40]:
                    try:
                        sink.write(frame)
                    except SinkError:
                        failed += 1
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            for frame in frames[40:]:
                sink.write(frame)
    there = recorded(tmp_path)
    assert failed
    assert there.keys() == {first, f"a-0002.{suffix}"}
    assert there[first] >= 10
    assert there[f"a-0002.{suffix}"] >= 20


@pytest.mark.parametrize("renamed", [True, False])
def test_a_recording_that_is_taken_away_goes_on_in_another_file(
    renamed: bool, tmp_path: Path
) -> None:
    target, aside = tmp_path / "a.mkv", tmp_path / "aside.mkv"
    with sources.open_source("test:64x48@10?frames=40") as source:
        with sinks.recording.Recording(target, sinks.SinkSettings(source, overwrite=True)) as sink:
            for index, frame in enumerate(source):
                if index == 5:
                    target.rename(aside)
                    if not renamed:
                        aside.unlink()
                sink.write(frame)
    there = recorded(tmp_path)
    assert there.pop("aside.mkv", 0) + there.pop("a-0002.mkv") == (40 if renamed else 30)
    assert not there


def test_a_recording_waits_for_a_folder_that_vanished(tmp_path: Path) -> None:
    folder, aside = tmp_path / "usb", tmp_path / "aside"
    folder.mkdir()
    with sources.open_source("test:64x48@10?frames=60") as source:
        with sinks.recording.Recording(folder / "a.mkv", sinks.SinkSettings(source)) as sink:
            failed = 0
            for index, frame in enumerate(source):
                if index == 20:
                    folder.rename(aside)
                if index == 40:
                    aside.rename(folder)
                try:
                    sink.write(frame)
                except SinkError:
                    failed += 1
                    assert not folder.exists()
    there = recorded(folder)
    assert there.keys() == {"a.mkv", "a-0002.mkv"}
    assert failed > 5
    assert sum(there.values()) + failed == 60


def test_a_recording_has_the_quality_that_was_asked(tmp_path: Path) -> None:
    sizes = []
    for crf in (10, 45):
        with sources.open_source("test:64x48@10?frames=20&noise=gaussian:20") as source:
            settings = sinks.SinkSettings(source, encoding=Encoding(crf=crf))
            with sinks.recording.Recording(tmp_path / f"{crf}.mkv", settings) as sink:
                for frame in source:
                    sink.write(frame)
        sizes.append((tmp_path / f"{crf}.mkv").stat().st_size)
    assert sizes[0] > 2 * sizes[1]
