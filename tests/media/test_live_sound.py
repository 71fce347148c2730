"""The sound of a camera in recordings and in what is published: there, and in sync."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rtsp import NEEDS_GSTREAMER, relaying

from edgecae import stream
from edgecae.media import sinks, sources
from edgecae.media.sinks.base import Encoding
from edgecae.media.sound import ArrivalClock, Sound, SoundKind, SoundPacket
from edgecae.media.video.sound_track import SoundTrack
from edgecae.stream.session import Session

pytestmark = pytest.mark.slow

MAX_SKEW = 0.2
"""Seconds that sound may lie beside the picture: under a tenth where the machine keeps up. On a
busy one, pictures come later."""


@contextlib.contextmanager
def camera(codec: str = "aac", length: float = 60, *more: str) -> Iterator[str]:
    """The URL of flash_server.py."""
    script = Path(__file__).parent.parent / "flash_server.py"
    command = [sys.executable, str(script), codec, str(length), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"tcp://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def record(url: str, targets: list[str], seconds: float, **more: Any) -> None:
    stop = stream.Stop()
    session = Session(url, targets, "nano", strength=0.0, **more)  # a slow machine keeps up
    timer = threading.Timer(seconds, lambda: setattr(stop, "requested", True))
    timer.start()
    try:
        session.run(stop)
    finally:
        timer.cancel()


def onsets(times: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """When values rise over a threshold, after at least half a second below."""
    on = times[values > threshold]
    return on[np.diff(on, prepend=-np.inf) > 0.5]


def flashes_and_beeps(container: Any, seconds: float = 99) -> tuple[np.ndarray, np.ndarray]:
    """When pictures become bright, and sound loud, in seconds of the container."""
    bright, loud, begin = [], [], None
    for packet in container.demux(video=0, audio=0):
        for frame in packet.decode():
            if frame.pts is None:
                continue
            when = float(frame.pts * frame.time_base)
            begin = when if begin is None else begin
            if isinstance(frame, av.VideoFrame):
                bright.append((when, float(frame.to_ndarray(format="gray").mean())))
            else:
                samples = frame.to_ndarray().astype(float).reshape(-1)
                scale = 1 if samples.size and np.abs(samples).max() <= 1 else 32768
                for start in range(0, len(samples), 240):
                    level = np.abs(samples[start : start + 240] / scale).max()
                    loud.append((when + start / frame.sample_rate, level))
        if begin is not None and bright and bright[-1][0] - begin > seconds:
            break
    seen, heard = np.array(bright), np.array(loud)
    return onsets(seen[:, 0], seen[:, 1], 120), onsets(heard[:, 0], heard[:, 1], 0.1)


def assert_in_sync(flashes: np.ndarray, beeps: np.ndarray, at_least: int) -> None:
    assert len(beeps)
    both = flashes[(flashes > beeps[0] - 0.5) & (flashes < beeps[-1] + 0.5)]  # not cut off
    pairs = [(f, beeps[np.abs(beeps - f).argmin()]) for f in both]
    skews = np.array([beep - flash for flash, beep in pairs])
    print(f"sound lies {np.round(skews, 3)} s behind the picture")
    assert len(skews) >= at_least
    assert np.abs(skews).max() < MAX_SKEW


@pytest.mark.timing
@pytest.mark.parametrize("codec", ["aac", "mp2"])
def test_recordings_have_the_sound_in_sync(codec: str, tmp_path: Path) -> None:
    """Three at once, of one camera."""
    with camera(codec) as url:
        record(url, [str(tmp_path / f"door.{suffix}") for suffix in ("mkv", "mp4", "ts")], 6)
    recordings = sorted(tmp_path.iterdir())
    assert len(recordings) == 3
    for recording in recordings:
        with av.open(str(recording)) as container:
            assert len(container.streams.audio) == 1
            assert_in_sync(*flashes_and_beeps(container), at_least=3)


@pytest.mark.timing
def test_sound_goes_on_after_the_camera_came_back(tmp_path: Path) -> None:
    """Three seconds each, and half a second away: one file, in sync before and after."""
    with camera("aac", 3.3) as url:
        record(url, [str(tmp_path / "door.mkv")], 10)
    (target,) = tmp_path.iterdir()
    with av.open(str(target)) as container:
        flashes, beeps = flashes_and_beeps(container)
    assert flashes[-1] - flashes[0] > 4
    assert_in_sync(flashes, beeps, at_least=5)


@pytest.mark.timing
def test_each_segment_has_its_sound(tmp_path: Path) -> None:
    with camera() as url:
        record(url, [str(tmp_path / "door.mkv")], 8, segment=2.5)
    files = sorted(tmp_path.iterdir())
    assert len(files) >= 2
    for file in files[:-1]:
        with av.open(str(file)) as container:
            assert_in_sync(*flashes_and_beeps(container), at_least=2)


def test_sound_that_ends_holds_no_picture_back(tmp_path: Path) -> None:
    target = tmp_path / "door.mkv"
    with camera("aac", 60, "2") as url:
        stop = stream.Stop()
        session = Session(url, [str(target)], "nano", strength=0.0)
        thread = threading.Thread(target=lambda: session.run(stop))
        thread.start()
        time.sleep(7)
        with av.open(str(target)) as container:  # as after a kill
            times = [float(f.pts * f.time_base) for f in container.decode(video=0)]
        stop.requested = True
        thread.join()
    assert times[-1] > 3.5


@pytest.mark.parametrize("wanted", [True, False])
def test_sound_that_nobody_takes_is_named(
    wanted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with camera() as url:
        if wanted:
            record(url, ["null:"], 2.5)
        else:
            target = tmp_path / "door.mkv"
            record(url, [str(target)], 2.5, encoding=Encoding(audio=False))
            with av.open(str(target)) as container:
                assert not container.streams.audio
    assert "its sound is left out" in caplog.text


@NEEDS_GSTREAMER
@pytest.mark.timing
def test_what_is_published_has_the_sound_in_sync() -> None:
    """Through a real RTSP server, which goes by RTCP's reports."""
    got: list[tuple[np.ndarray, np.ndarray]] = []
    with relaying("sound") as relay, camera() as url:

        def read() -> None:
            assert relay.published.acquire(timeout=15)
            options = {"rtsp_transport": "tcp"}
            with av.open(relay.result, timeout=15, container_options=options) as container:
                got.append(flashes_and_beeps(container, 6))

        thread = threading.Thread(target=read)
        thread.start()
        record(url, [relay.target], 14)
        thread.join()
    assert_in_sync(*got[0], at_least=4)


def kind_of(codec: str, folder: Path) -> SoundKind:
    """Of a file with such sound, one channel of 8000 samples a second."""
    path = folder / "sound.nut"
    with av.open(str(path), "w") as container:
        made = container.add_stream(codec, rate=8000, layout="mono")
        wave = np.zeros((1, 800), np.int16)
        silence: Any = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(made.encode(silence))
        container.mux(made.encode(None))
    with av.open(str(path)) as container:
        return SoundKind.of(container.streams.audio[0], b"")


def saved(target: Path, kind: SoundKind, content: bytes) -> None:
    """Record some frames, and this as the sound beside them."""
    sound = Sound()
    with sources.open_source("test:64x48@10?live=yes") as source:
        settings = sinks.SinkSettings(source, sound=sound)
        with sinks.open_sink(str(target), settings) as sink:
            clock = ArrivalClock()
            sound.put(SoundPacket(content, kind, 0, len(content), clock))
            for index, frame in zip(range(4), source, strict=False):
                if not index:
                    clock.saw(0, frame.time)
                ticks = round(index * 9000)
                sink.write(replace(frame, pts=ticks, time_base=Fraction(1, 90_000)))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw"])
def test_what_most_cameras_send_is_kept_without_loss(
    codec: str, suffix: str, tmp_path: Path
) -> None:
    content = bytes(np.arange(800) % 256)
    target = tmp_path / f"door.{suffix}"
    saved(target, kind_of(codec, tmp_path), content)
    with av.open(str(target)) as container:
        got = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (expected,) = decoder.decode(av.Packet(content))
    np.testing.assert_array_equal(got, expected.to_ndarray().reshape(-1))


def test_sound_that_a_container_does_not_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "door.mp4"
    saved(target, kind_of("adpcm_ima_wav", tmp_path), bytes(800))
    with av.open(str(target)) as container:
        assert not container.streams.audio
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == [f"{target}: left out: audio (adpcm_ima_wav)"]


def test_the_quickest_frame_of_the_last_seconds_tells_the_clock() -> None:
    clock = ArrivalClock()
    assert clock.offset is None
    for index in range(15):  # what FFmpeg held back comes at once
        clock.saw(index / 15, 101.0)
    assert clock.offset == pytest.approx(100 + 1 / 15)
    for index in range(15, 60):  # late by up to a tenth of a second
        clock.saw(index / 15, 100 + index / 15 + index % 3 * 0.05)
    assert clock.offset == pytest.approx(100)
    for index in range(60, 150):  # its clock begins anew
        clock.saw(index / 15 - 4, 100 + index / 15)
    assert clock.offset == pytest.approx(104)


def test_a_track_keeps_distances_and_drops_what_goes_back(tmp_path: Path) -> None:
    sound, kind = Sound(), kind_of("pcm_alaw", tmp_path)
    queue = sound.listen()
    first, second, never = ArrivalClock(), ArrivalClock(), ArrivalClock()
    first.saw(0, 50.0)
    with av.open("/dev/null", "w", format="mov") as container:
        track = SoundTrack(queue, kind, container)

        def times(clock: ArrivalClock, pts: list[int], until: float | None = None) -> list[int]:
            for each in pts:
                sound.put(SoundPacket(b"x", kind, each, 160, clock))
            return [packet.pts for packet in track.packets(50.0, until)]

        assert times(first, [-160, 0, 160, 320]) == [0, 160, 320]
        first.saw(4, 54.05)  # a little later than before: no jump
        assert times(first, [480, 640], until=50.12) == [480]
        assert times(first, []) == [640]
        assert times(never, [0]) == []  # an opening without a picture
        second.saw(0, 50.1)
        assert times(second, [0, 160]) == [800, 960]
        assert times(second, [320]) == [1120]
    queue.close()
    assert not sound.wanted
    sound.put(SoundPacket(b"x", kind, 0, 160, first))
    assert queue.take() == []
