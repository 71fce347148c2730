"""Recurrent models in files and streams: frames in order, and which of them belong together."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from clips import frames_of, make_clip
from recurrent import Frame, noisy, scene, video_model

from edgecae import Denoiser, stream
from edgecae.bench import methods
from edgecae.errors import SettingError
from edgecae.media import images, sources
from edgecae.media.sinks.null import Null
from edgecae.quality import psnr
from edgecae.stream import batch
from edgecae.stream import threads as tune

SIZE = 64, 112
CLEAN = scene(*SIZE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "video.tflite"
    path.write_bytes(video_model(watchful=True))
    return path


def shots(seed: int, count: int = 5) -> list[Frame]:
    rng = np.random.default_rng(seed)
    return [noisy(CLEAN, 20, rng) for _ in range(count)]


def denoised(model: Path, frames: list[Frame]) -> list[Frame]:
    with Denoiser(model) as denoiser:
        return [denoiser.process(frame) for frame in frames]


def run(jobs: list[batch.Job], model: Path | str, **options: object) -> batch.Outcome:
    with Denoiser(model) as denoiser:
        return batch.run_batch(jobs, denoiser, **options)  # type: ignore[arg-type]


def test_each_clip_of_a_folder_is_a_sequence_of_its_own(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    clips = [shots(seed) for seed in (1, 2)]
    for number, frames in enumerate(clips):
        make_clip(folder / f"{number}.mkv", frames)
    assert run(batch.plan_batch([folder], tmp_path / "out"), model, codec="ffv1").done == 2
    for number, frames in enumerate(clips):
        got, _ = frames_of(tmp_path / "out" / f"{number}.mkv")
        np.testing.assert_array_equal(got, denoised(model, frames))
        assert psnr(CLEAN, got[4]) > psnr(CLEAN, got[0]) + 0.5


def test_pictures_of_a_folder_are_scenes_of_their_own(model: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "in"
    folder.mkdir()
    for number, frame in enumerate(shots(1, 3)):
        Image.fromarray(frame).save(folder / f"{number}.png")
    run(batch.plan_batch([folder], tmp_path / "out"), model)
    with Denoiser("nano") as still:
        for number, frame in enumerate(shots(1, 3)):
            got = images.read(tmp_path / "out" / f"{number}.png").pixels
            np.testing.assert_array_equal(got, still.process(frame))


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "gray"])
def test_deep_and_gray_clips(model: Path, pix_fmt: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_clip(source, shots(1, 6), pix_fmt=pix_fmt)
    run(batch.plan_batch([source], target), model, codec="ffv1")
    with av.open(str(target)) as file:
        assert file.streams.video[0].codec_context.pix_fmt in (pix_fmt, "bgr0")
    got, _ = frames_of(target)
    single = tmp_path / "single.mkv"
    run(batch.plan_batch([source], single), "nano", codec="ffv1")
    alone, _ = frames_of(single)
    make_clip(tmp_path / "clean.mkv", [np.round(CLEAN).astype(np.uint8)], pix_fmt=pix_fmt)
    clean = frames_of(tmp_path / "clean.mkv")[0][0]
    np.testing.assert_array_equal(got[0], alone[0])
    assert psnr(clean, got[5]) > psnr(clean, alone[5]) + 0.3


class Interrupted(stream.Stop):
    """Asks to stop after so many frames."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._frames = frames

    def report(self, stats: stream.Stats) -> None:
        self.requested = self.requested or stats.frames >= self._frames


def test_a_resumed_clip_says_that_its_model_begins_anew(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("edgecae").propagate = True
    caplog.set_level(logging.INFO, "edgecae")
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    frames = shots(1, 24)
    make_clip(source, frames)
    stop, jobs = Interrupted(10), batch.plan_batch([source], target)
    assert run(jobs, model, codec="ffv1", stop=stop, report=stop.report).stopped
    outcome = run(jobs, model, codec="ffv1")
    assert outcome.done == 1
    assert "its model begins anew there" in caplog.text
    got, _ = frames_of(target)
    assert len(got) == 24
    first = 24 - outcome.frames
    assert first >= 10
    expected = denoised(model, frames[:first]) + denoised(model, frames[first:])
    np.testing.assert_array_equal(got, expected)


def test_several_denoisers_are_refused(model: Path) -> None:
    with (
        Denoiser(model) as one,
        Denoiser(model) as two,
        sources.open_source("test:32x32?frames=3") as source,
        pytest.raises(SettingError, match="one denoiser, not 2"),
    ):
        stream.run(source, [one, two], [Null()])


def test_threads_are_chosen_for_one_interpreter(model: Path) -> None:
    measured = tune.measure_threads(lambda threads: Denoiser(model, threads), (32, 32, 3), 2)
    assert {(choice.threads, choice.interpreters) for choice in measured} == {(1, 1), (2, 1)}


def test_the_bench_takes_each_picture_by_itself(model: Path) -> None:
    frame, other = shots(1, 2)
    with methods.find_method(str(model)).open(25, 1) as run_stream, Denoiser("nano") as still:
        for given in (frame, other):
            (got,) = run_stream([given])
            np.testing.assert_array_equal(got, still.process(given))
        clip = shots(2)
        got_clip = [each.copy() for each in run_stream(clip)]
    np.testing.assert_array_equal(got_clip, denoised(model, clip))


@pytest.mark.slow
def test_commands_take_the_file(model: Path, tmp_path: Path) -> None:
    def edgecae(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgecae", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    clip = make_clip(tmp_path / "in.mkv", shots(1))
    done = edgecae("denoise", clip, "-o", tmp_path / "out.mkv", "--model", model, "--codec", "ffv1")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(frames_of(tmp_path / "out.mkv")[0], denoised(model, shots(1)))
    done = edgecae(
        "stream", "--source", "test:64x48?frames=8&noise=gaussian:25", "--sink", "null:",
        "--model", model, "--threads", "auto",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = edgecae("inspect", model)
    assert done.returncode == 0, done.stderr
    assert "state_high: int8 1×-1×-1×12" in done.stdout
    picture = tmp_path / "in.png"
    images.write(picture, images.Picture(shots(1)[0]))
    done = edgecae("compress", picture, "-o", tmp_path / "out.ecae", "--model", model)
    assert done.returncode == 1
    assert "is a whole model, not the encoder half" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
