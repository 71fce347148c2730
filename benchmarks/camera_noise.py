"""How well ``edgecae noise`` finds noise that is known: the table of docs/noise.md.

Added to photos: poisson-gaussian:GAIN,READ. Real, with ``--polyu``: pairs of a noisy picture and
the mean of many, whose difference is the noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import noise
from edgecae.errors import NoiseError
from edgecae.media import images
from edgecae.noise import measure

GAINS, READS = (0.0, 0.5, 2.0), (2.0, 5.0, 15.0)
MIDDLE = 0.5


def _noisy(
    clean: NDArray[np.uint8], model: noise.PoissonGaussian, frames: int
) -> Iterator[NDArray[np.uint8]]:
    for index in range(frames):
        yield model.add(clean, np.random.default_rng(index))


def _errors(paths: list[Path], model: noise.PoissonGaussian, frames: int) -> tuple[str, str]:
    """Relative errors of σ at middle brightness: of all, and of those without a warning."""
    true = float(np.sqrt(model.gain[0] * 255 * MIDDLE + model.read[0] ** 2))
    errors: list[float] = []
    silent: list[float] = []
    refused = 0
    for path in paths:
        try:
            found = measure.measure_noise(_noisy(images.read(path).pixels, model, frames))
        except NoiseError:
            refused += 1
            continue
        each = [100 * abs(sigma / true - 1) for sigma in found.sigma(MIDDLE)]
        errors += each
        silent += [] if found.warnings else each
    limit = 10 if frames > 1 else 20

    def shown(values: list[float]) -> str:
        median, most = np.percentile(values, [50, 90])
        within = 100 * np.mean(np.array(values) <= limit)
        return f"{median:.1f} / {most:.1f} ({within:.0f} %)"

    return shown(errors), f"{shown(silent)}, {len(silent) // 3} of {len(paths) - refused}"


def _added(folder: Path, count: int) -> None:
    every = sorted(folder.glob("*.jpg"))
    paths = every[:: max(1, len(every) // count)][:count]
    print(f"{len(paths)} photos; errors of σ in %: median / 90th percentile (within 10 or 20 %)")
    print("| gain | read | 30 still frames of 5 photos | one photo | those without a warning |")
    print("|---|---|---|---|---|")
    for gain in GAINS:
        for read in READS:
            spec = f"poisson-gaussian:{gain:g},{read:g}"
            model = noise.PoissonGaussian(spec, (gain, gain), (read, read))
            still, _ = _errors(paths[:5], model, 30)
            single, silent = _errors(paths, model, 1)
            print(f"| {gain:g} | {read:g} | {still} | {single} | {silent} |", flush=True)


def _polyu(folder: Path, count: int) -> None:
    every = sorted(folder.glob("*_real.JPG"))
    print("| picture | true σ (r, g, b) | measured σ, at the same mean | warnings |")
    print("|---|---|---|---|")
    for path in every[:: max(1, len(every) // count)][:count]:
        real = images.read(path).pixels
        mean = images.read(path.with_name(path.name.replace("_real", "_mean"))).pixels
        difference = (real.astype(float) - mean).std((0, 1))
        try:
            found = measure.measure_noise([real])
        except NoiseError as error:
            print(f"| {path.stem} | {error} | | |")
            continue
        level = mean.reshape(-1, 3).mean(0)
        sigma = [found.sigma(at / 255)[i] for i, at in enumerate(level)]
        true, said = (", ".join(f"{value:.1f}" for value in each) for each in (difference, sigma))
        print(f"| {path.stem.removesuffix('_real')} | {true} | {said} | {len(found.warnings)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="Folder of clean JPEG photos.")
    parser.add_argument("--polyu", type=Path, help="Folder of *_real.JPG and *_mean.JPG.")
    parser.add_argument("--count", type=int, default=40, help="Pictures of each.")
    asked = parser.parse_args()
    if asked.photos:
        _added(asked.photos, asked.count)
    if asked.polyu:
        _polyu(asked.polyu, asked.count)
