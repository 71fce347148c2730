"""The benchmarks of ``edgecae fit``: small, but from end to end."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_modules import FOLDER, load
from numpy.typing import NDArray
from PIL import Image

from edgecae import models, noise
from edgecae.bench.peers import cbm3d
from edgecae.quality import psnr
from edgecae_convert.fit import plan
from edgecae_train import recipe
from edgecae_train.data import images as data_images

pytestmark = pytest.mark.slow


@pytest.fixture
def fit_cameras(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``benchmarks/fit_cameras.py``, with few small patches."""
    monkeypatch.syspath_prepend(FOLDER)
    quick = {"float.batch": 2, "float.patch": 32, "float.warmup": 0, "qat.patch": 32}
    monkeypatch.setattr(plan, "TRAINING", {**plan.TRAINING, **quick})
    monkeypatch.setattr(data_images.Folder, "window", 2)
    return importlib.import_module("fit_cameras")


def test_cameras_are_those_of_the_rule(fit_cameras: Any) -> None:
    seeds = {}
    for where, kind in (("outside", "raw"), ("outside", "H.264"), ("inside", "4:2:0")):
        camera = fit_cameras.draw_camera(kind, where)
        low, high = camera.noise.level
        assert (low >= 20) == (where == "outside")
        assert (high <= 20) == (where == "inside")
        assert where == "inside" or camera.grain >= 0.3
        storage = camera.noise.storage(np.random.default_rng(1))
        assert (storage.encoder == "libx264") == (kind == "H.264")
        assert (storage.subsampling is None) == (kind == "raw")
        seeds[kind] = camera.noise.seed
        assert fit_cameras.draw_camera(kind, where) == camera
    assert seeds["raw"] < 100 < seeds["4:2:0"] < 200 < seeds["H.264"]


def test_white_noise_has_no_grain(fit_cameras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fit_cameras.KINDS, "raw", "rest=0")
    camera = fit_cameras._camera("raw", "inside", 1)
    # Of three channels of the same σ: the root of the sum of the squares of luma's weights.
    at_medium = camera.noise.add(np.full((64, 64, 3), (136, 128, 120), np.uint8),
                                 np.random.default_rng(1)).std((0, 1)).mean()  # fmt: skip
    assert camera.sigma == pytest.approx(0.668 * at_medium, rel=0.1)
    assert abs(camera.grain) < 0.02


def test_a_camera_is_fitted_twice_and_not_again(
    fit_cameras: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = tmp_path / "test"
    tested.mkdir()
    for name in ("hat.png", "face.png"):
        (tested / name).symlink_to(photos / name)
    given = [str(photos), str(tested), "--work", str(tmp_path / "work")]
    given += ["--steps", "20", "--cameras", "inside/4:2:0"]
    fit_cameras.main(given)
    row, times = capsys.readouterr().out.splitlines()[-2:]
    assert row.startswith("| 4:2:0, inside |")
    assert times.startswith("  fit: record ")
    folder = tmp_path / "work" / "inside" / "4:2:0"
    found = json.loads((folder / "result.json").read_text())
    assert len(list((folder / "frames").glob("*.png"))) == 30
    runs = [folder / part / "run" / "recipe.toml" for part in ("fit", "truth")]
    measured, true = map(recipe.read, runs)
    assert true.noise == found["noise"]
    assert measured.noise.startswith("measured:")
    assert measured.float_phase.steps == found["steps"] == 20
    assert recipe.with_changes(true, {"noise": measured.noise}) == measured
    # Noisy pictures and targets are those of the camera: colour that it loses counts for nobody.
    camera, rng = noise.parse(found["noise"]), np.random.default_rng(0)
    pairs = [camera.pair(np.asarray(Image.open(photos / n).convert("RGB")), rng)
             for n in ("face.png", "hat.png")]  # fmt: skip
    before = np.mean([psnr(target, noisy) for noisy, target in pairs])
    assert found["psnr"]["noisy"] == pytest.approx(before)
    kept = {"shipped": models.find_model("nano"), "fitted": folder / "fit" / "fitted.tflite"}
    assert (folder / "mine.tflite").read_bytes() == kept[found["kept"]].read_bytes()
    assert found["psnr"]["written"] == found["psnr"][found["kept"]]
    (folder / "fit" / "fitted.tflite").unlink()
    fit_cameras.main(given)
    assert capsys.readouterr().out.splitlines()[-2:] == [row, times]


def test_the_oracle_takes_the_best_sigma_of_each_picture(
    photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_pairs = load("fit_pairs")
    asked = []

    def blurred(noisy: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
        asked.append(sigma)
        return np.asarray(np.where(sigma == best[len(asked) > 4], photo, noisy), np.uint8)

    best = (10, 20)
    monkeypatch.setattr(cbm3d, "cbm3d", blurred)
    noisy = noise.gaussian(12).add(photo, np.random.default_rng(0))
    assert fit_pairs.oracle([(noisy, photo), (noisy, photo)]) == psnr(photo, photo)
    assert asked == [5, 10, 14, 20] * 2
    assert fit_pairs.middle(photo, 64).tolist() == photo[40:104, 40:104].tolist()
    assert fit_pairs.middle(photo, 0).tolist() == photo.tolist()
