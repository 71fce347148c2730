"""What the mirrored border of a frame is for: ``python benchmarks/border.py PHOTOS``.

How far the edges of a flat frame are from its middle, and PSNR near the edges of noisy photos, by
what lies beyond the edge (PHOTOS is a folder).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from tune import evenly

from edgecae import Denoiser, models, noise
from edgecae.denoise import tiling
from edgecae.media import images
from edgecae.quality import psnr

Pixels = NDArray[np.uint8]

SIDE = 136
"""Of a flat frame; a multiple of 8."""
WIDTHS = (0, 8, 16, 24, 48)
"""Pixels of a border."""
BORDERS = {
    "zeros": (0, 0),
    "8, edge repeated": (0, 8),
    "8, mirrored": (8, 0),
    "16, mirrored": (16, 0),
}
"""Pixels that the runtime mirrors, and those that are repeated before."""
RINGS = (2, 16)
"""Outermost pixels that PSNR is of."""
SIGMA = 25
PHOTOS = 10


@contextmanager
def border(width: int) -> Iterator[None]:
    """Let the runtime mirror so many pixels; none beyond a network's halo."""
    before, tiling.BORDER = tiling.BORDER, width
    try:
        yield
    finally:
        tiling.BORDER = before


def edge(model: str, width: int) -> int:
    """Largest difference between the edge and the middle of a flat frame, in levels."""
    rng = np.random.default_rng(1)
    colours = [*itertools.product((0, 128, 255), repeat=3), *rng.integers(0, 256, (40, 3))]
    worst = 0
    with border(width), Denoiser(model) as denoiser:
        for colour in colours:
            result = denoiser.process(np.full((SIDE, SIDE, 3), colour, np.uint8)).astype(int)
            # Some networks repeat a pattern of 8 pixels, which is no error of the edge.
            middle = np.tile(result[64:72, 64:72], (SIDE // 8, SIDE // 8, 1))
            worst = max(worst, int(np.abs(result - middle).max()))
    return worst


def ring_psnr(model: str, photos: list[Pixels], mirrored: int, repeated: int) -> list[float]:
    """PSNR in dB of each of :data:`RINGS`, the mean over photos."""
    found: list[list[float]] = [[] for _ in RINGS]
    rng = np.random.default_rng(0)
    with border(mirrored), Denoiser(model) as denoiser:
        for clean in photos:
            noisy = noise.gaussian(SIGMA).add(clean, rng)
            wide = np.pad(noisy, ((repeated, repeated), (repeated, repeated), (0, 0)), "edge")
            height, width = clean.shape[:2]
            result = denoiser.process(wide)[repeated:, repeated:][:height, :width]
            for values, ring in zip(found, RINGS, strict=True):
                outer = np.ones(clean.shape[:2], bool)
                outer[ring:-ring, ring:-ring] = False
                values.append(psnr(clean[outer], result[outer]))
    return [float(np.mean(values)) for values in found]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Print both tables, for each shipped model of single frames; photos are those of FOLDER."""
    print("| | " + " | ".join(map(str, WIDTHS)) + " |\n|---|" + "---|" * len(WIDTHS))
    for name in models.still_names():
        print(f"| `{name}` | " + " | ".join(str(edge(name, width)) for width in WIDTHS) + " |")
    paths = evenly(sorted(p for p in folder.iterdir() if p.suffix in images.SUFFIXES), PHOTOS)
    # Of whole strides: else the runtime mirrors pixels at the right and the bottom.
    photos = [images.read(path).pixels for path in paths]
    photos = [photo[: photo.shape[0] // 8 * 8, : photo.shape[1] // 8 * 8] for photo in photos]
    print("\n| | " + " | ".join(BORDERS) + " |\n|---|" + "---|" * len(BORDERS))
    for name in models.still_names():
        cells = (ring_psnr(name, photos, *widths) for widths in BORDERS.values())
        print(f"| `{name}` | " + " | ".join(f"{a:.2f}, {b:.2f}" for a, b in cells) + " |")


if __name__ == "__main__":
    main()
