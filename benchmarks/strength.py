"""Constants of ``--strength auto``: ``python benchmarks/strength.py --photos FOLDER``.

Derives those of :mod:`edgecae.denoise.blend` from every ninth photo of a folder, which shall be one
for training, each by the criterion that its comment there names. Then, with the constants as they
are now, prints what ``--strength auto`` gains in dB against the better of frame and result: the
least, the tenth percentile and the mean. Noise is rounded and clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edgecae import Denoiser, noise
from edgecae.media import images
from edgecae.quality import psnr

MODELS = ("nano", "small", "base")
SIGMAS = (0, 1, 2, 3, 5, 7, 10)


@dataclass(frozen=True)
class PhotoCase:
    """One photo with one noise, through one model; all but PSNR on the 0–255 scale.

    Attributes:
        sigma: of the noise.
        estimate: of it.
        error: of the result.
        auto: PSNR of ``--strength auto``, dB.
        better: PSNR of the noisy photo or of the result, dB.
    """

    sigma: int
    estimate: float
    error: float
    auto: float
    better: float


def denoise_photos(denoiser: Denoiser, paths: list[Path]) -> list[PhotoCase]:
    """Denoise all photos with all noises by one model."""
    found = []
    for seed, path in enumerate(paths):
        photo = images.read(path).pixels
        rng = np.random.default_rng(seed)
        for sigma in SIGMAS:
            noisy = noise.gaussian(sigma).add(photo, rng)
            denoiser.strength = 1
            result = denoiser.process(noisy)
            denoiser.reset()
            denoiser.strength = None
            auto = psnr(photo, denoiser.process(noisy))
            error = float(np.mean((result.astype(float) - photo) ** 2))
            better = max(psnr(photo, noisy), psnr(photo, result))
            found.append(PhotoCase(sigma, noise.estimate(noisy), error, auto, better))
    return found


def derive(cases: dict[str, list[PhotoCase]]) -> None:
    """Print the constants."""
    clean = {name: [c for c in of if c.sigma == 0] for name, of in cases.items()}
    weak = {name: [c for c in of if c.sigma == 5] for name, of in cases.items()}
    shown = [c.estimate for c in clean[MODELS[0]]]
    print(f"TEXTURE {np.percentile(shown, 90):.2f}")
    left = [
        noisy.error - plain.error
        for name in MODELS
        for plain, noisy in zip(clean[name], weak[name], strict=True)
    ]
    print(f"ERROR_AT_SIGMA_5 {np.median(left):.1f}")
    errors = [[c.error for c in of] for of in clean.values()]
    print(f"MAX_ERROR_RATIO {max(max(each) / np.mean(each) for each in errors):.1f}")


@click.command()
@click.option("--photos", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--every", default=9, show_default=True, help="Use one photo in so many.")
def main(photos: Path, every: int) -> None:
    """Derive the constants, and print what they bring."""
    paths = sorted(p for p in photos.iterdir() if p.suffix.lower() in images.SUFFIXES)[::every]
    cases = {}
    for name in MODELS:
        with Denoiser(name, threads=2) as denoiser:
            cases[name] = denoise_photos(denoiser, paths)
    print(f"{len(paths)} photos")
    derive(cases)
    every_case = [c for of in cases.values() for c in of]
    clean = [c.auto for c in every_case if c.sigma == 0]
    least, tenth = np.percentile(clean, [0, 10], method="lower")
    kept = 100 * np.mean(np.isinf(clean))
    print(f"clean photos: {kept:.0f} % stay as they are; PSNR {least:.1f} / {tenth:.1f} dB")
    for sigma in SIGMAS[1:]:
        gains = [c.auto - c.better for c in every_case if c.sigma == sigma]
        least, tenth = np.percentile(gains, [0, 10])
        print(f"σ {sigma}: {least:.2f} / {tenth:.2f} / {np.mean(gains):.2f} dB")


if __name__ == "__main__":
    main()
