"""How far flat colours without noise are off: ``python benchmarks/flat_colours.py [MODEL ...]``.

Frames of 16×16: all colours of 0, 128 and 255 and 40 random ones, and 300 other random ones.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

from edgecae import Denoiser, models

SIDE = 16
ALLOWED = 2
"""Levels."""


def main(names: list[str]) -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    ends = [*itertools.product((0, 128, 255), repeat=3), *rng.integers(0, 256, (40, 3))]
    random = np.random.default_rng(1).integers(0, 256, (300, 3))
    print(f"| | largest of {len(ends)} | of {len(random)}, more than {ALLOWED} off | largest |")
    print("|---|---|---|---|")
    for name in names:
        with Denoiser(name) as denoiser:
            few, many = (
                [
                    int(np.abs(denoiser.process(frame).astype(int) - frame).max())
                    for frame in (np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in colours)
                ]
                for colours in (ends, random)
            )
        off = sum(error > ALLOWED for error in many)
        print(f"| `{name}` | {max(few)} | {off} | {max(many)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or models.still_names())
