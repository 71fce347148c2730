"""``benchmarks/video.py``: its scenes, its protocol counted by other means, its filters."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from conftest import DATA, ROOT
from recurrent import noisy, scene, video_model

from edgecae import Denoiser
from edgecae.bench.peers.ffmpeg import FILTERS
from edgecae.media import images, sources
from edgecae.quality import psnr

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_scenes_made_of_photos(benchmarks: Any) -> None:
    scenes = benchmarks("video_scenes")

    def frames(motion: str) -> list[np.ndarray]:
        clips = scenes.from_photos(DATA, motion, (80, 64), 12, 2)
        assert len(clips) == 2
        assert all(frame.shape == (64, 80, 3) for clip in clips for frame in clip.frames)
        return list(clips[0].frames)

    still, pan, shake = (frames(motion) for motion in ("static", "pan", "shake"))
    assert all(np.array_equal(frame, still[0]) for frame in still)
    for number in range(1, 12):
        np.testing.assert_array_equal(pan[number][:, :-2], pan[number - 1][:, 2:])
        assert not np.array_equal(shake[number], shake[number - 1])
    with pytest.raises(ValueError, match="too few"):
        scenes.from_photos(DATA, "pan", (144, 64), 12, 1)


def test_noise_is_new_in_each_frame_and_a_camera_is_kept(benchmarks: Any) -> None:
    scenes = benchmarks("video_scenes")
    gray = scenes.Clip("gray", [np.full((64, 64, 3), 128, np.uint8)] * 3)
    first, again = (scenes.add_noise([gray, gray], "gaussian:10") for _ in range(2))
    np.testing.assert_array_equal(first, again)
    errors = np.array(first, float) - 128
    assert errors.std() == pytest.approx(10, rel=0.02)
    flat = errors.reshape(6, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(6)).max() < 0.05
    cameras = np.array(scenes.add_noise([gray, gray], "camera:"), float).std(axis=(2, 3, 4))
    assert np.ptp(cameras, axis=1).max() < 0.25 * np.abs(cameras[0] - cameras[1]).min()


def run(*arguments: object) -> str:
    command = [sys.executable, ROOT / "benchmarks/video.py", *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def program() -> None:
    """Skips where there is none."""
    if not shutil.which("ffmpeg"):
        pytest.skip("there is no program ffmpeg")


@pytest.mark.slow
def test_the_protocol_through_the_product(benchmarks: Any, program: None, tmp_path: Path) -> None:
    model, results = tmp_path / "nano-video.tflite", tmp_path / "results.jsonl"
    model.write_bytes(video_model(watchful=True))
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(4):
        picture = np.rint(80 + 0.4 * scene(80, 112, seed)).astype(np.uint8)  # no noise is cut
        images.write(photos / f"{seed}.png", images.Picture(picture))
    asked = [
        "--results", results, "--photos", photos, "--scene", "static", "--noise", "gaussian:25",
        "--frames", "12", "--size", "80", "64", "--json", tmp_path / "means.json",
        "--plot", tmp_path / "curves.png", "nano", model, "hqdn3d",
    ]  # fmt: skip
    said = run(*asked)
    rows = {row["method"]: row for row in json.loads((tmp_path / "means.json").read_text())}
    assert list(rows) == ["noisy", "nano", "nano-video", "hqdn3d"]
    assert all(row["clips"] == 4 and len(row["curve"]) == 12 for row in rows.values())
    # Luma has 0.668 of the σ of a channel.
    sigma = 25 * np.linalg.norm(LUMA)
    assert rows["noisy"]["psnr"] == pytest.approx(20 * np.log10(255 / sigma), abs=0.1)
    assert rows["noisy"]["flicker"] == pytest.approx(sigma * np.sqrt(2), rel=0.02)
    assert np.ptp(rows["nano"]["curve"]) < 0.8
    gains = np.subtract(rows["nano-video"]["curve"], rows["nano"]["curve"])
    assert abs(gains[0]) < 0.01
    assert gains[-1] > 1
    assert rows["nano-video"]["flicker"] < rows["nano"]["flicker"] < rows["noisy"]["flicker"]
    assert rows["hqdn3d"]["psnr"] > rows["noisy"]["psnr"] + 3
    assert f"| nano | {rows['nano']['psnr']:.2f} | {rows['nano']['curve'][0]:.2f} |" in said
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

    # What is there already is not measured again.
    before = results.read_text()
    assert " s for " not in run(*asked)
    assert results.read_text() == before

    # The same by other means: the library in place of the command.
    scenes = benchmarks("video_scenes")
    clip, *others = scenes.from_photos(photos, "static", (80, 64), 12, 4)
    frames = scenes.add_noise([clip, *others], "gaussian:25")[0]
    path = make_clip(tmp_path / "in.mkv", frames, pix_fmt="yuv420p")
    with Denoiser(model) as denoiser, sources.open_source(str(path)) as source:
        expected = [
            psnr(clean @ LUMA, denoiser.process(frame.pixels) @ LUMA)
            for clean, frame in zip(clip.frames, source, strict=True)
        ]
    found = [json.loads(line) for line in before.splitlines()]
    (row,) = [r for r in found if (r["clip"], r["method"]) == (clip.name, str(model))]
    np.testing.assert_allclose(row["psnr"], expected, atol=0.02)


@pytest.mark.slow
def test_filters_are_tuned_by_the_same_protocol(
    benchmarks: Any, program: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filters = benchmarks("video_filters")
    folder = tmp_path / "videos" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for seed in (1, 2):
        clean = scene(64, 80, seed)
        make_clip(folder / f"{seed}.mkv", [noisy(clean, 0, rng)] * 6)
    monkeypatch.setattr(filters, "TUNED", tmp_path / "found.json")
    monkeypatch.setattr(filters, "SIZE", (64, 48))
    monkeypatch.setattr(filters, "CLIPS", 2)
    grid = {"temporal": (0.15, 1), "spatial": (0, 0.5)}
    hqdn3d = FILTERS["hqdn3d"]
    monkeypatch.setitem(
        filters.FILTERS, "hqdn3d", type(hqdn3d)("hqdn3d", "", hqdn3d.arguments, grid)
    )
    said: list[str] = []
    filters.tune(folder, ["hqdn3d"], ["gaussian:25"], said.append)
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["command"] == "python benchmarks/video.py --tune videos/train/"
    assert content["clips"] == ["1", "2"]
    # A still scene: the more frames count, the better.
    assert content["settings"]["hqdn3d"]["gaussian:25"]["temporal"] == 1
    assert len(said) == 1


def test_the_filters_settings_are_of_clips_that_nothing_is_measured_on(
    benchmarks: Any, shared: Path
) -> None:
    filters, video = benchmarks("video_filters"), benchmarks("video")
    content = json.loads(filters.TUNED.read_text())
    assert content["settings"].keys() == set(filters.NAMES)
    for name in filters.NAMES:
        found = content["settings"][name]
        # bm3d takes hours where the others take minutes.
        assert found.keys() == set(video.NOISES) or name == "bm3d"
        for chosen in found.values():
            assert all(value in FILTERS[name].grid[key] for key, value in chosen.items())
    names = {path.stem for path in (shared / "video/train").iterdir()}
    assert names >= set(content["clips"])
    assert (ROOT / content["command"].split()[1]).is_file()
    with pytest.raises(ValueError, match="was not tuned for gaussian:7"):
        filters.settings("hqdn3d", "gaussian:7")
