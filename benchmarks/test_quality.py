"""Quality: PSNR, SSIM and MSE of int8 against float, and of both against the clean picture.

Each benchmark also times what it measures; the figures are in ``extra_info`` of the JSON and on
standard output with ``-s``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import Denoiser, noise
from edgecae.bench.quality import differences
from edgecae.quality import psnr
from edgecae_convert.conversion import convert
from edgecae_train import evaluate, loop, recipe

TRAINING = {
    "validate_every": 200,
    "float.steps": 400,
    "float.patch": 64,
    "qat.steps": 50,
    "qat.patch": 64,
}


@pytest.fixture(scope="module", params=["small", "classic"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training of each architecture on the generator, so that a float twin is there."""
    settings = recipe.with_changes(recipe.Recipe(), {**TRAINING, "model": request.param})
    return loop.train(settings, tmp_path_factory.mktemp("runs") / request.param)


@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_int8_against_float(
    benchmark: Any, run: Path, pictures: list[NDArray[np.uint8]], sigma: float
) -> None:
    """The file that conversion makes, beside the float network that it comes from."""
    reference = evaluate.float_denoiser(run)
    path = run / f"{run.name}-int8.tflite"
    if not path.exists():
        convert(run, path, max_drop=10)
    level, rng = noise.gaussian(sigma), np.random.default_rng(0)
    noisy = [level.add(picture, rng) for picture in pictures]
    with Denoiser(path) as denoiser:
        got = benchmark.pedantic(
            lambda: [denoiser.process(frame) for frame in noisy], rounds=3, warmup_rounds=1
        )
    expected = [reference(frame) for frame in noisy]

    figures: dict[str, float | None] = {}
    for name, reference_, images in (
        ("noisy", pictures, noisy),
        ("float", pictures, expected),
        ("int8", pictures, got),
        ("int8_against_float", expected, got),
    ):
        named = zip(("psnr", "ssim", "mse"), differences(reference_, images), strict=True)
        figures |= {f"{measure}_{name}": value for measure, value in named}
    benchmark.extra_info.update(figures)
    print(f"\n{run.name}, sigma {sigma}: {figures}")


def test_shipped(benchmark: Any, name: str, pictures: list[NDArray[np.uint8]]) -> None:
    """The shipped models at σ 25, on small real pictures or those of ``--quality``."""
    level, rng = noise.gaussian(25), np.random.default_rng(0)
    noisy = [level.add(picture, rng) for picture in pictures]
    with Denoiser(name) as denoiser:
        got = benchmark.pedantic(
            lambda: [denoiser.process(frame) for frame in noisy], rounds=3, warmup_rounds=1
        )
    gain = np.mean([psnr(c, g) - psnr(c, n) for c, g, n in zip(pictures, got, noisy, strict=True)])
    benchmark.extra_info["gain_db"] = round(float(gain), 3)
    print(f"\n{name}: {gain:.2f} dB gained at sigma 25")
