"""Ways to denoise, and the denoisers of other projects."""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import shutil
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from edgecae.bench import case as cases
from edgecae.bench import methods, peers
from edgecae.bench.case import Case
from edgecae.bench.options import BenchOptions
from edgecae.bench.peers import ffmpeg_program
from edgecae.bench.peers.base import Peer
from edgecae.errors import ModelFileError, SettingError
from edgecae.noise import gaussian
from edgecae.quality import psnr
from edgecae.tflite import model_file

LACKING = "vaguedenoiser"
"""What PyAV's build of FFmpeg leaves out: it is under the GPL."""

SLOW = {"cbm3d"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(peers.PEERS.keys() - SLOW))
def test_a_peer_denoises(name: str, photo: np.ndarray) -> None:
    """Each gains what it was made for, and gives back what colours and edges there are."""
    if name.endswith(LACKING) and not shutil.which("ffmpeg"):
        pytest.skip("there is no program ffmpeg")
    method = methods.find_method(name)
    rng = np.random.default_rng(0)
    clip = [photo] * (9 if method.temporal else 1)
    noisy = [gaussian(25).add(frame, rng) for frame in clip]
    given = [frame.copy() for frame in noisy]
    got = methods.denoise_frames(method, noisy, 25, 1)
    assert len(got) == len(clip)
    assert all(frame.dtype == np.uint8 and frame.shape == photo.shape for frame in got)
    middle = len(clip) // 2
    assert psnr(photo, got[middle]) > psnr(photo, noisy[middle]) + 2.5
    assert all(np.array_equal(a, b) for a, b in zip(given, noisy, strict=True))
    assert method.made_with.split(" ")[1][0].isdigit()


@pytest.mark.slow
def test_cbm3d_denoises(photo: np.ndarray) -> None:
    if not importlib.util.find_spec("bm3d"):
        pytest.skip("bm3d, which is for non-commercial use only, is not installed")
    clean = photo[48:96, 48:96].copy()
    noisy = gaussian(25).add(clean, np.random.default_rng(0))
    (got,) = methods.denoise_frames(methods.find_method("cbm3d"), [noisy], 25, 1)
    assert psnr(clean, got) > psnr(clean, noisy) + 4


def test_a_filter_that_nobody_has_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match=f"has the filter {LACKING}: apt install ffmpeg"):
        methods.find_method(f"ffmpeg-{LACKING}")
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\necho "Unknown filter"\n')
    program.chmod(0o755)
    with pytest.raises(SettingError, match=LACKING):
        methods.find_method(f"ffmpeg-{LACKING}")


@pytest.fixture
def program() -> None:
    """Skips where there is none."""
    if not shutil.which("ffmpeg"):
        pytest.skip("there is no program ffmpeg")


def test_the_program_ffmpeg_keeps_frames_in_order(program: None) -> None:
    frames = [np.full((48, 36, 3), value, np.uint8) for value in range(0, 200, 10)]
    got = list(ffmpeg_program.stream(frames, "null", 1))
    assert all(np.array_equal(a, b) for a, b in zip(frames, got, strict=True))
    assert list(ffmpeg_program.stream([], "null", 1)) == []


def test_whoever_has_enough_leaves_no_program_behind(program: None) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    results = ffmpeg_program.stream(itertools.repeat(frame), "null", 1)
    next(results)
    children = Path("/proc/self/task", str(threading.get_native_id()), "children")
    assert children.read_text().split()
    results.close()
    assert not children.read_text().split()
    assert not [t for t in threading.enumerate() if t.name.startswith("Thread-") and t.daemon]


def test_what_the_program_says_is_passed_on(program: None) -> None:
    with pytest.raises(SettingError, match="nonesuch"):
        list(ffmpeg_program.stream([np.zeros((8, 8, 3), np.uint8)], "nonesuch", 1))


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("bilateral", "cv2", "opencv-python-headless", "peers"),
        ("wavelet", "pywt", "PyWavelets", "peers"),
        (
            "cbm3d",
            "bm3d",
            "bm3d, which is licensed for non-commercial use only",
            "bm3d-noncommercial",
        ),
        ("ffmpeg-nlmeans", "av", "av", "video"),
    ],
)
def test_a_package_that_is_missing_is_named(
    name: str, module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError) as caught:
        methods.find_method(name)
    assert package in str(caught.value)
    assert f"edgecae[{extra}]" in str(caught.value)


def test_what_is_for_non_commercial_use_is_in_no_other_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert [name for name, pulls in extras.items() if any("bm3d" in each for each in pulls)] == [
        "bm3d-noncommercial"
    ]
    monkeypatch.setitem(sys.modules, "bm3d", None)
    monkeypatch.setattr(logging.getLogger("edgecae"), "propagate", True)
    options = BenchOptions(peers=True, without=("bilateral",))
    assert options.peer_names == [
        name for name in peers.PEERS if name not in ("bilateral", "cbm3d")
    ]
    assert "for non-commercial use only" in caplog.text


def test_every_module_of_peers_is_registered() -> None:
    folder = Path(peers.__file__).parent
    for path in folder.glob("[a-z]*.py"):
        module = importlib.import_module(f"edgecae.bench.peers.{path.stem}")
        for peer in getattr(module, "PEERS", ()):
            assert isinstance(peer, Peer)
            assert peers.PEERS[peer.name] is peer


def test_every_peer_was_tuned_on_photos_that_nothing_is_measured_on(shared: Path) -> None:
    tuned = peers.read_tuned()
    assert set(tuned["settings"]) == {n for n, p in peers.PEERS.items() if p.grid}
    for name, of_sigma in tuned["settings"].items():
        for settings in of_sigma.values():
            grid = peers.PEERS[name].grid
            assert settings.keys() == grid.keys()
            assert all(value in grid[key] for key, value in settings.items())
    assert (ROOT / tuned["command"].split()[1]).is_file()
    assert {path.name for path in (shared / "train").iterdir()} >= set(tuned["photos"])
    assert {path.name for path in (shared / "video/train").iterdir()} >= set(tuned["clips"])


def test_settings_are_those_of_the_nearest_level(tmp_path: Path) -> None:
    def at(sigma: float) -> dict[str, float]:
        return peers.tuned_settings("bilateral", sigma)

    table = peers.read_tuned()["settings"]["bilateral"]
    assert at(1) == at(8) == table["5"]
    assert at(9) == at(15) == table["15"]
    assert at(100) == table["50"]
    assert peers.tuned_settings("cbm3d", 25) == {}
    with pytest.raises(SettingError, match="nothing to do"):
        at(0)


def test_peers_that_nobody_tuned_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({"command": "", "photos": [], "clips": [], "settings": {}}))
    monkeypatch.setattr(peers, "TUNED", path)
    with pytest.raises(SettingError, match="was not tuned"):
        peers.tuned_settings("tv", 25)


def test_float_networks_are_found(float_file: Path) -> None:
    other = str(float_file)
    assert methods.float_method_of("nano", ["nano", other]) == other
    assert methods.float_method_of("nano", ["nano"]) == "nano:float"
    assert methods.float_method_of("small", ["nano", other]) == "small:float"
    assert methods.float_method_of(other, ["nano"]) is None
    assert methods.float_method_of("noisy", []) is None
    assert methods.float_methods_of(["nano", other]) == []
    assert methods.float_methods_of(["nano", "small"]) == ["nano:float", "small:float"]


def test_a_float_file_is_what_its_network_is(float_file: Path, photo: np.ndarray) -> None:
    """Its interpreter on frames that numpy mirrors at their edges, against the very same tensor."""
    from edgecae.tflite import interpreter as backend

    frame = photo[:101, :83].copy()
    (got,) = methods.denoise_frames(methods.find_method(str(float_file)), [frame], 25, 1)
    file = model_file.read(float_file)
    interpreter = backend.Interpreter(file.content, 1, backend.find_backend())
    interpreter.resize(120, 104)
    padded = np.pad(frame, ((8, 11), (8, 13), (0, 0)), mode="symmetric")
    interpreter.input()[0] = padded / np.float32(255)
    interpreter.invoke()
    expected = np.clip(np.rint(interpreter.output()[0, 8:109, 8:91] * np.float32(255)), 0, 255)
    assert np.abs(got - expected).max() <= 1
    assert got.shape == frame.shape


@pytest.mark.slow
def test_the_float_network_of_a_shipped_model(photo: np.ndarray) -> None:
    noisy = gaussian(25).add(photo, np.random.default_rng(0))
    (got,) = methods.denoise_frames(methods.find_method("nano:float"), [noisy], 25, 1)
    (int8,) = methods.denoise_frames(methods.find_method("nano"), [noisy], 25, 1)
    assert psnr(got, int8) > 40


def test_without_training_installed_float_networks_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "edgecae_train.evaluate", None)
    with pytest.raises(SettingError, match=r"nano:float needs .*edgecae\[train\]"):
        methods.find_method("nano:float")


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(ModelFileError, match="neither a file nor shipped"):
        methods.find_method("bilaterall")


def test_a_float_file_takes_more_memory_than_its_int8_twin(float_file: Path) -> None:
    """Which is faster depends on the CPU: some have no int8 dot products."""
    exact, rounded = (
        cases.run_case(Case(name, 320, 240, seconds=0.3)) for name in (str(float_file), "nano")
    )
    assert exact.peak_bytes > rounded.peak_bytes
