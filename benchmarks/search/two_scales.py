"""What a second pass at half the resolution brings: a model denoises the means of 2×2 pixels of its
own result, and the change is added.

    python benchmarks/search/two_scales.py small --pairs polyu/ --pairs renoir/
    python benchmarks/search/two_scales.py small --photos held-out/ --noise gaussian:10

Noise that is coarse in a picture is fine in a smaller one (Lebrun, Colom and Morel, "The noise
clinic: a blind image denoising algorithm", 2015). PSNR in dB of the noisy pictures, of one pass,
and of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, noise
from edgecae.media import images
from edgecae.quality import psnr
from edgecae_train.data.names import find_pairs

Pixels = NDArray[np.uint8]


def rounded(picture: NDArray[np.floating]) -> Pixels:
    """To levels."""
    levels: Pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return levels


def second_pass(denoiser: Denoiser, result: Pixels) -> Pixels:
    """Denoise a result at half its resolution; an odd last row or column stays."""
    height, width = (side // 2 for side in result.shape[:2])
    even = np.s_[: 2 * height, : 2 * width]
    small = rounded(result[even].reshape(height, 2, width, 2, 3).mean(axis=(1, 3)))
    change = denoiser.process(small) - small.astype(float)
    both = result.astype(float)
    both[even] += change.repeat(2, axis=0).repeat(2, axis=1)
    return rounded(both)


def made(photos: Path, spec: str) -> Iterator[tuple[Pixels, Pixels]]:
    """Photos with noise, and without."""
    for number, path in enumerate(sorted(photos.iterdir())):
        clean = images.read(path).pixels
        yield noise.parse(spec).add(clean, np.random.default_rng(number)), clean


@click.command(help=__doc__)
@click.argument("names", metavar="MODEL", nargs=-1, required=True)
@click.option(
    "--pairs", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--noise", "specs", multiple=True)
def main(
    names: tuple[str, ...], pairs: tuple[Path, ...], photos: Path | None, specs: tuple[str, ...]
) -> None:
    """Print a table."""
    sets: list[tuple[str, list[tuple[Pixels, Pixels]]]] = []
    for folder in pairs:
        found = find_pairs(folder)
        both = [(images.read(each.noisy).pixels, images.read(each.clean).pixels) for each in found]
        sets.append((folder.name, both))
    if photos:
        sets += [(f"`{spec}`", list(made(photos, spec))) for spec in specs]
    print("| | | noisy | one pass | two |\n|---|---|---|---|---|")
    for name in names:
        with Denoiser(name) as denoiser:
            for title, both in sets:
                rows = []
                for noisy, clean in both:
                    result = denoiser.process(noisy)
                    results = noisy, result, second_pass(denoiser, result)
                    rows.append([psnr(clean, each) for each in results])
                cells = " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0))
                print(f"| `{name}` | {title} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
