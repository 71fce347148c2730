"""Training with the noise of a camera file: the run holds all of it, and tables stay readable."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from training import train

from edgecae import noise
from edgecae.noise import measure, noise_file
from edgecae.noise.measured import LEVELS, measured_noise
from edgecae.noise.spectrum import Spectrum
from edgecae_train import recipe

pytestmark = pytest.mark.slow


def test_a_run_holds_the_noise_of_its_file(photos: Path, tmp_path: Path) -> None:
    made = measured_noise(np.full((3, len(LEVELS)), 9.0), Spectrum.white())
    clean = np.linspace(40, 210, 128).astype(np.uint8)[None, :, None].repeat(96, 0).repeat(3, 2)
    rng = np.random.default_rng(0)
    measured = measure.measure_noise([made.add(clean, rng) for _ in range(12)])
    file = tmp_path / "camera.toml"
    noise_file.write_noise_file(file, measured, "a camera")
    model = noise.parse(str(file))
    run = train(tmp_path / "run", photos, noise=str(file))
    file.unlink()
    kept = recipe.read(run / "recipe.toml")
    assert noise.parse(kept.noise) == model == noise.parse(str(run / "noise.toml"))
    assert recipe.located(kept).noise == kept.noise
    header = next(csv.reader((run / "history.csv").open()))
    assert f"psnr {model.name}" in header
