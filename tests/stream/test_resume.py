"""A video whose denoising was interrupted goes on where it stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from clips import frames_of, make_clip, sound_of

from edgecae import Denoiser, stream
from edgecae.media.sinks.base import Encoding
from edgecae.media.video.part import part_name
from edgecae.stream import batch

FRAMES = 40


@pytest.fixture
def pictures(photo: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(photo[i : i + 96, 2 * i % 30 :][:, :112]) for i in range(FRAMES)]


@pytest.fixture
def clip(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv", pictures, sound=True)


class Interrupted(stream.Stop):
    """Asks to stop after some frames."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._frames = frames

    def report(self, stats: stream.Stats) -> None:
        if stats.frames >= self._frames:
            self.requested = True


def run(clip: Path, target: Path, denoiser: Denoiser, frames: int = 1000, **options):
    stop = Interrupted(frames)
    jobs = batch.plan_batch([clip], target)
    return batch.run_batch(jobs, denoiser, stop=stop, report=stop.report, **options)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "auto"), ("mkv", "auto"), ("mov", "libx265"), ("mkv", "libx265"), ("webm", "auto"),
     ("mkv", "ffv1"), ("avi", "mpeg4"), ("ts", "auto")],
)  # fmt: skip
def test_the_same_command_goes_on(
    suffix: str, codec: str, clip: Path, denoiser: Denoiser, tmp_path: Path
) -> None:
    whole, target = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    run(clip, whole, denoiser, codec=codec)
    first = run(clip, target, denoiser, 15, codec=codec)
    assert first.stopped
    assert not target.exists()
    assert len(frames_of(part_name(target))[0]) >= 15  # it plays
    second = run(clip, target, denoiser, codec=codec)
    assert second.done == 1
    assert second.frames <= FRAMES - 15
    got, times = frames_of(target)
    expected, expected_times = frames_of(whole)
    assert len(got) == FRAMES
    # AVI has a grid of frames, and no times.
    np.testing.assert_allclose(times, expected_times, atol=0.05 if suffix == "avi" else 2e-3)
    for a, b, neighbour in zip(got, expected, expected[1:] + expected[-2:-1], strict=True):
        # Another group of pictures begins where it went on; the next frame is far away.
        assert np.abs(a.astype(int) - b).mean() < 0.4 * np.abs(neighbour.astype(int) - b).mean()
    assert sound_of(target) == sound_of(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["in.mkv", whole.name, target.name]
    )


def test_it_goes_on_again_and_again(clip: Path, denoiser: Denoiser, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    for _ in range(2):
        assert run(clip, target, denoiser, 12).stopped
    assert len(frames_of(part_name(target))[0]) >= 24
    assert run(clip, target, denoiser).done == 1
    got, times = frames_of(target)
    assert len(got) == FRAMES
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=2e-3)


def test_a_run_that_stops_before_it_has_caught_up_loses_nothing(
    clip: Path, denoiser: Denoiser, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    run(clip, target, denoiser, 20)
    before = part_name(target).read_bytes()
    stop = stream.Stop()
    stop.requested = True
    job = batch.plan_batch([clip], target)[0]
    batch.denoise_file(job, denoiser, stop=stop)
    assert part_name(target).read_bytes() == before


def test_a_signal_after_the_last_frame_finds_the_video_done(
    clip: Path, denoiser: Denoiser, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"

    class Late:
        @property
        def requested(self) -> bool:
            return target.exists()

    jobs = batch.plan_batch([clip], target)
    outcome = batch.run_batch(jobs, denoiser, stop=Late())  # type: ignore[arg-type]
    assert (outcome.done, outcome.stopped) == (1, False)


@pytest.mark.parametrize("changed", ["source", "strength", "encoding", "codec"])
def test_another_source_or_other_settings_begin_anew(
    changed: str, clip: Path, pictures: list[np.ndarray], denoiser: Denoiser, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    run(clip, target, denoiser, 20)
    options = {}
    if changed == "source":
        make_clip(clip, pictures[::-1], sound=True)
    elif changed == "strength":
        denoiser.strength = 0.5
    elif changed == "encoding":
        options["encoding"] = Encoding(crf=30)
    else:
        options["codec"] = "ffv1"
    assert run(clip, target, denoiser, **options).frames == FRAMES
    denoiser.strength = 1.0
    assert len(frames_of(target)[0]) == FRAMES


def test_a_damaged_part_is_not_used(clip: Path, denoiser: Denoiser, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    run(clip, target, denoiser, 20)
    part_name(target).write_bytes(b"no video")
    assert run(clip, target, denoiser).frames == FRAMES


@pytest.mark.faults
def test_after_a_kill_it_goes_on_from_the_last_key_frame(
    photo: np.ndarray, denoiser: Denoiser, tmp_path: Path
) -> None:
    frames = [np.roll(photo, 5 * i, axis=1) for i in range(150)]
    clip, target = make_clip(tmp_path / "in.mkv", frames), tmp_path / "out.mkv"
    command = [sys.executable, "-m", "edgecae", "denoise", str(clip), "-o", str(target)]
    command += ["--codec", "ffv1", "--model", "nano"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(p.stat().st_size > 1_500_000 for p in tmp_path.glob(".out.*.tmp.mkv")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    done = subprocess.run([*command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    count = int(done.stderr.split(" pictures")[0].split()[-1])
    assert count < 150
    with av.open(str(target)) as file:
        times = [frame.pts for frame in file.decode(video=0)]
    assert len(times) == 150
    assert times == sorted(set(times))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_a_part_has_a_name_that_a_file_system_takes(tmp_path: Path) -> None:
    for length in (10, 250, 251):
        name = part_name(tmp_path / ("a" * length + ".mp4")).name
        assert len(name) <= 255
        assert name.startswith(".a")
    assert len({part_name(tmp_path / (each + "a" * 250 + ".mp4")) for each in "bc"}) == 2
