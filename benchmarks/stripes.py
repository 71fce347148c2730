"""How much contrast of fine stripes comes back: ``python benchmarks/stripes.py [MODEL ...]``.

Gray cosine stripes without noise. A network that takes them for grain wipes them out. Printed is
the share of the contrast that is left, in the worst of 16 directions.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, models

SIDE = 96
PERIODS = (2.2, 2.5, 3, 4, 5, 6, 8, 12)
"""Pixels from stripe to stripe."""
ANGLES = np.arange(16) * np.pi / 16
CONTRASTS = (8, 20, 40)
"""Levels from the middle to either end."""


def stripes(period: float, angle: float, contrast: float) -> NDArray[np.uint8]:
    """A frame of them."""
    down, right = np.mgrid[:SIDE, :SIDE]
    along = right * np.cos(angle) + down * np.sin(angle)
    levels = np.rint(120 + contrast * np.cos(2 * np.pi * along / period)).astype(np.uint8)
    return np.stack([levels] * 3, axis=2)


def share(denoiser: Denoiser, period: float, contrast: float) -> float:
    """Of the contrast, the least of all directions."""
    found = []
    for angle in ANGLES:
        frame = stripes(period, float(angle), contrast)
        clean = frame - frame.mean()
        result = denoiser.process(frame) - frame.mean()
        found.append(float((result * clean).sum() / np.square(clean).sum()))
    return min(found)


def main(names: list[str]) -> None:
    """Print the table."""
    print("| period, pixels | levels | " + " | ".join(map(str, PERIODS)) + " |")
    print("|---|---|" + "---|" * len(PERIODS))
    for name in names:
        with Denoiser(name) as denoiser:
            for contrast in CONTRASTS:
                cells = (f"{share(denoiser, period, contrast):.2f}" for period in PERIODS)
                print(f"| `{name}` | ±{contrast} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or models.still_names())
