"""Draw ``docs/pictures``: what each shipped model makes of pictures that are hard for it.

    python benchmarks/pictures.py

Columns are the clean crop, the noisy one, and the models. ``before-after``, of the first page, is a
picture that is not hard, and what ``small`` makes of it. The crops are those of ``tests/data``
(public domain), which no model learned from. ``camera-noise`` shows each part of the noise
``camera:`` alone, beside white noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser
from edgecae.media import images
from edgecae.media.images import Picture
from edgecae.noise import gaussian, parse
from edgecae.quality import psnr

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
MODELS = ("nano", "small", "base")
SIDE, ZOOM, GAP = 104, 2, 4

Pixels = NDArray[np.uint8]


def white(clean: Pixels, sigma: float) -> Pixels:
    """The noise that the models were trained for, or more of it."""
    return gaussian(sigma).add(clean, np.random.default_rng(0))


def wide(clean: Pixels, sigma: float) -> Pixels:
    """Noise as wide as demosaicing and scaling make it: each value the mean of 2×2."""
    n = np.random.default_rng(0).standard_normal((clean.shape[0] + 1, clean.shape[1] + 1, 3))
    n = (n[1:, 1:] + n[:-1, 1:] + n[1:, :-1] + n[:-1, :-1]) / 2
    return np.asarray(np.rint(np.clip(clean + sigma * n, 0, 255)), np.uint8)


CASES = {
    "fine-texture": ("uniform", white, 50),
    "wide-noise": ("face", wide, 25),
    "too-much-noise": ("badge", white, 90),
}
"""By name: crop, kind of noise, σ."""


CAMERA_PARTS = ("", "bayer", "denoise", "scale", "sharpen", "raw", "jpeg", "video", "chroma")
CAMERA_SEED = 2
"""Of the first draws in which every part does something that one can see."""


def camera_part(clean: Pixels, part: str) -> Pixels:
    """Noise of one part of ``camera:`` alone; of no part, it is white."""
    shares = ",".join(f"{name}={int(name == part)}" for name in CAMERA_PARTS if name)
    model = parse(f"camera:level=20,{shares}")
    return model.add(clean, np.random.default_rng(CAMERA_SEED))


def strip(name: str, pictures: list[Pixels], zoom: int) -> None:
    """Write pictures side by side."""
    tiles = [
        np.pad(picture.repeat(zoom, 0).repeat(zoom, 1), ((0, 0), (0, GAP), (0, 0)),
               constant_values=255)
        for picture in pictures
    ]  # fmt: skip
    images.write(FOLDER / f"{name}.png", Picture(np.concatenate(tiles, axis=1)[:, :-GAP]))


def portrait() -> list[Pixels]:
    """The crop of the first page: clean, noisy, and as the default model leaves it."""
    clean = images.read(ROOT / "tests" / "data" / "face.png").pixels
    noisy = white(clean, 25)
    with Denoiser() as denoiser:
        return [clean, noisy, denoiser.process(noisy)]


def main() -> None:
    """Write one PNG for each case and print PSNR in dB."""
    FOLDER.mkdir(exist_ok=True)
    clean, *shown = portrait()
    print("before-after", *(f"{psnr(clean, picture):.2f}" for picture in shown))
    strip("before-after", shown, ZOOM)
    face = images.read(ROOT / "tests" / "data" / "face.png").pixels[-SIDE:, :SIDE]
    parts = [camera_part(face, part) for part in CAMERA_PARTS]
    sheet = [np.concatenate(parts[first : first + 3], axis=1) for first in (0, 3, 6)]
    strip("camera-noise", [np.concatenate(sheet)], ZOOM)
    for name, (crop, noise, sigma) in CASES.items():
        clean = images.read(ROOT / "tests" / "data" / f"{crop}.png").pixels
        noisy = noise(clean, sigma)
        shown = [clean, noisy]
        for model in MODELS:
            with Denoiser(model) as denoiser:
                shown.append(denoiser.process(noisy).copy())
        quality = [f"{psnr(clean, result):.2f}" for result in shown[1:]]
        print(name, *quality)
        strip(name, [picture[:SIDE, :SIDE] for picture in shown], ZOOM)


if __name__ == "__main__":
    main()
