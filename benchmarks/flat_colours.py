"""How far flat colours without noise are off: ``python benchmarks/flat_colours.py [MODEL ...]``.

Frames of 16×16, of 17 levels in each channel.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

from edgecae import Denoiser, models

SIDE = 16
LEVELS = np.linspace(0, 255, 17).round().astype(np.uint8)
ALLOWED = 2


def main(names: list[str]) -> None:
    """Print the table."""
    colours = list(itertools.product(LEVELS, repeat=3))
    print(f"| of {len(colours)} | 2 levels off | more | largest |")
    print("|---|---|---|---|")
    for name in names:
        with Denoiser(name) as denoiser:
            frames = (np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in colours)
            off = np.array([np.abs(denoiser.process(f).astype(int) - f).max() for f in frames])
        allowed, more = int((off == ALLOWED).sum()), int((off > ALLOWED).sum())
        print(f"| `{name}` | {allowed} | {more} | {off.max()} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or models.still_names())
