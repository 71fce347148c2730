"""How coarse noise is: what share of its power lies at which scale, of brightness and of colour.

    python benchmarks/grain.py PICTURE ...
    python benchmarks/grain.py --photos held-out/ --noise camera:level=5-20

Of a picture without a clean one, its quietest 64×64 pixels count, one part in thirty, less a
smooth surface through each. With ``--noise``, it is the noise that is made on photos.

A line has σ on the 0–255 scale and the shares of power that 2×2, 4×4, 8×8 and 16×16 means take
away, and what they leave: white noise has 75, 19, 5, 1 and 0 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import noise
from edgecae.media import images
from edgecae_train.data.batches import LUMA

SIDE = 64
SHARE = 30
"""One part in so many is looked at."""
LEVELS = 4

Plane = NDArray[np.float64]


def planes(picture: NDArray[np.floating]) -> tuple[Plane, Plane]:
    """Brightness, and red less brightness; both H×W."""
    luma = picture @ LUMA
    return luma, picture[..., 0] - luma


def shares(plane: Plane) -> list[float]:
    """Of the power of a plane whose sides are multiples of 16."""
    found, whole = [], np.square(plane).mean()
    for _ in range(LEVELS):
        height, width = plane.shape
        smaller = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
        found.append((np.square(plane).mean() - np.square(smaller).mean()) / whole)
        plane = smaller
    return [*found, np.square(plane).mean() / whole]


def quietest(picture: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """Parts of a picture whose brightness differs least from a surface of degree 2, less that."""
    rows, columns = np.mgrid[:SIDE, :SIDE].reshape(2, -1) / SIDE - 0.5
    powers = [rows**a * columns**b for a in range(3) for b in range(3 - a)]
    surface = np.stack(powers, axis=1)
    smooth = surface @ np.linalg.pinv(surface)
    parts = []
    for top in range(0, picture.shape[0] - SIDE + 1, SIDE // 2):
        for left in range(0, picture.shape[1] - SIDE + 1, SIDE // 2):
            part = picture[top : top + SIDE, left : left + SIDE].reshape(-1, 3).astype(float)
            if 25 < (part @ LUMA).mean() < 230:
                parts.append((part - smooth @ part).reshape(SIDE, SIDE, 3))
    parts.sort(key=lambda part: float(np.std(part @ LUMA)))
    yield from parts[: max(3, len(parts) // SHARE)]


def line(name: str, parts: Sequence[NDArray[np.floating]]) -> str:
    """A row of the table: σ and shares of some parts of a picture, of brightness and of colour."""
    cells = []
    for each in zip(*(planes(part) for part in parts), strict=True):
        sigma = np.mean([plane.std() for plane in each])
        power = 100 * np.mean([shares(plane) for plane in each], axis=0)
        cells.append(f"{sigma:.1f} | {' '.join(f'{share:.0f}' for share in power)}")
    return f"| {name} | {' | '.join(cells)} |"


@click.command(help=__doc__)
@click.argument("pictures", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--noise", "specs", multiple=True)
def main(pictures: tuple[Path, ...], photos: Path | None, specs: tuple[str, ...]) -> None:
    """Print a table."""
    print("| | brightness, σ | shares, % | red less brightness, σ | shares, % |")
    print("|---|---|---|---|---|")
    for path in pictures:
        if parts := list(quietest(images.read(path).pixels)):
            print(line(path.stem, parts), flush=True)
    clean = [images.read(path).pixels for path in sorted(photos.iterdir())] if photos else []
    for spec in specs:
        found: list[NDArray[np.floating]] = []
        for number, photo in enumerate(clean):
            height, width = (side // 16 * 16 for side in photo.shape[:2])
            photo = photo[:height, :width]
            noisy = noise.parse(spec).add(photo, np.random.default_rng(number))
            found.append(noisy.astype(float) - photo)
        print(line(f"`{spec}`", found), flush=True)


if __name__ == "__main__":
    main()
