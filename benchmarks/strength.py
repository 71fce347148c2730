"""Constants of ``--strength auto``: ``python benchmarks/strength.py --photos FOLDER``.

Derives those of :mod:`edgecae.denoise.blend` from the middle of every ninth photo of a folder,
which shall be one for training, each by the criterion that its comment there names. Then, with the
constants as they are now, prints what ``--strength auto`` gains in dB against the better of frame
and result: the least, the tenth percentile and the mean, for white noise, white noise in 4:2:0
video, and noise as cameras leave it. Noise is rounded and clipped.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, noise
from edgecae.media import images
from edgecae.quality import psnr

MODELS = ("nano", "small", "base")
SIZE = 480, 640
SIGMAS = (1, 2, 3, 5, 7, 10)
KINDS = {
    "white": "gaussian:{}",
    "4:2:0": "camera:level={},rest=0,chroma=1",
    "camera": "camera:level={}",
}


@dataclass(frozen=True)
class PhotoCase:
    """One photo with one noise, through one model; all but PSNR on the 0–255 scale.

    Attributes:
        kind: of the noise; empty: none.
        sigma: of the noise, 0 without; of a camera, before it is made smaller or stored.
        error: of the result.
        lost: the part of what was taken away that was no noise, by least squares.
        auto: PSNR of ``--strength auto``, dB.
        better: PSNR of the noisy photo or of the result, dB.
    """

    kind: str
    sigma: int
    error: float
    lost: float
    auto: float
    better: float


def _middle(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a photo, at most :data:`SIZE`."""
    top, left = (
        (side - min(side, most)) // 2 for side, most in zip(photo.shape, SIZE, strict=False)
    )
    return np.ascontiguousarray(photo[top : top + SIZE[0], left : left + SIZE[1]])


def denoise_photos(denoiser: Denoiser, paths: list[Path]) -> list[PhotoCase]:
    """Denoise all photos with all noises by one model."""
    found = []
    for seed, path in enumerate(paths):
        photo = _middle(images.read(path).pixels)
        rng = np.random.default_rng(seed)
        for kind, sigma in [("", 0), *itertools.product(KINDS, SIGMAS)]:
            noisy = noise.parse(KINDS[kind].format(sigma)).add(photo, rng) if kind else photo
            denoiser.strength = 1
            result = denoiser.process(noisy)
            denoiser.reset()
            denoiser.strength = None
            auto = psnr(photo, denoiser.process(noisy))
            own, wrong = noisy.astype(float) - photo, result.astype(float) - photo
            away = float(np.mean((own - wrong) ** 2))
            share = float(np.mean(own * (own - wrong))) / max(away, 1e-9)
            lost = away * (1 - min(1.0, max(0.0, share)))
            error = float(np.mean(wrong**2))
            better = max(psnr(photo, noisy), psnr(photo, result))
            found.append(PhotoCase(kind, sigma, error, lost, auto, better))
    return found


def derive(cases: dict[str, list[PhotoCase]]) -> None:
    """Print the constants."""
    clean = {name: [c for c in of if c.sigma == 0] for name, of in cases.items()}
    weak = {
        name: [c for c in of if (c.kind, c.sigma) == ("white", 5)] for name, of in cases.items()
    }
    left = [
        noisy.error - plain.error
        for name in MODELS
        for plain, noisy in zip(clean[name], weak[name], strict=True)
    ]
    print(f"ERROR_AT_SIGMA_5 {np.median(left):.1f}")
    lost = [
        case.lost / np.mean([plain.error for plain in clean[name]])
        for name, of in cases.items()
        for case in of
        if 1 <= case.sigma <= 3
    ]
    print(f"LOST {np.median(lost):.2f}")
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
    print("| noise | " + " | ".join(f"σ {sigma}" for sigma in SIGMAS) + " |")
    print("|---|" + "---|" * len(SIGMAS))
    for kind in KINDS:
        cells = []
        for sigma in SIGMAS:
            gains = [c.auto - c.better for c in every_case if (c.kind, c.sigma) == (kind, sigma)]
            least, tenth = np.percentile(gains, [0, 10])
            cells.append(f"{least:.2f} / {tenth:.2f} / {np.mean(gains):.2f}")
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
