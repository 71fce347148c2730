"""Whether a fitted model is better than the shipped one, on pictures that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecae import atomic
from edgecae.denoise.denoiser import Denoiser
from edgecae.quality import psnr
from edgecae_train.samples import comparison

__all__ = ["MAX_WORSE", "MIN_GAIN", "Gain", "draw", "judge", "verdict"]

MAX_WORSE = 0.02
"""dB that a fitted model may be worse than the shipped one, by any figure."""

MIN_GAIN = 0.05
"""dB that it must gain by some figure, to be worth a file of its own."""

MAX_ROWS = 3
SIDE = 256
"""Of the picture before and after: rows, and the side of a part, pixels."""

Pixels = NDArray[np.uint8]
Pairs = Sequence[tuple[Pixels, Pixels]]


@dataclass(frozen=True)
class Gain:
    """Mean PSNR over pairs, dB.

    Attributes:
        on: what was measured on, in words.
        pictures: how many.
        noisy: of the noisy pictures.
        shipped: of the shipped model's results.
        fitted: of the fitted model's.
    """

    on: str
    pictures: int
    noisy: float
    shipped: float
    fitted: float

    @property
    def gain(self) -> float:
        """What the fitted model is better, dB."""
        return self.fitted - self.shipped

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        numbers = ("noisy", "shipped", "fitted", "gain")
        rounded = {name: round(getattr(self, name), 3) for name in numbers}
        return {"on": self.on, "pictures": self.pictures, **rounded}


def judge(shipped: Path, fitted: Path, pairs: Mapping[str, Pairs], threads: int = 2) -> list[Gain]:
    """Measure two model files on noisy pictures, whose targets are known.

    Args:
        shipped: the file to compare with.
        fitted: the other.
        pairs: noisy pictures and targets, uint8, H×W×3, by what they are in words.
        threads: of the interpreter.
    """
    measured: list[dict[str, float]] = []
    for file in (shipped, fitted):
        with Denoiser(file, threads=threads) as denoiser:
            measured.append(
                {
                    on: float(np.mean([psnr(clean, denoiser.process(noisy)) for noisy, clean in p]))
                    for on, p in pairs.items()
                }
            )
    return [
        Gain(on, len(p), float(np.mean([psnr(clean, noisy) for noisy, clean in p])),
             measured[0][on], measured[1][on])
        for on, p in pairs.items()
    ]  # fmt: skip


def verdict(gains: Sequence[Gain]) -> tuple[bool, str]:
    """Say whether the fitted model is kept, and why, in a sentence."""
    worst, best = (chosen(gains, key=lambda each: each.gain) for chosen in (min, max))
    if worst.gain < -MAX_WORSE:
        return False, (
            f"the fitted model is {-worst.gain:.2f} dB worse on {worst.on}: what it learned from "
            "is not what is there, or too little"
        )
    if best.gain < MIN_GAIN:
        return False, (
            f"the shipped model is as good: the fitted one gains {best.gain:.2f} dB at most, so "
            "such noise is among what the shipped one knows"
        )
    return True, f"the fitted model gains {best.gain:.2f} dB on {best.on}"


def draw(path: Path, shipped: Path, fitted: Path, pairs: Pairs, last: str) -> None:
    """Write a picture: noisy, by the shipped model, by the fitted one, and the target.

    Args:
        path: a PNG file; replaced if it is there.
        shipped: a model file.
        fitted: another.
        pairs: noisy pictures and targets, of which the first few are shown.
        last: what the targets are, in words.
    """
    rows = []
    with Denoiser(shipped, threads=2) as before, Denoiser(fitted, threads=2) as after:
        for noisy, target in pairs[:MAX_ROWS]:
            forms = {
                "noisy": noisy, "shipped": before.process(noisy), "fitted": after.process(noisy)
            }  # fmt: skip
            size = min(SIDE, *noisy.shape[:2])
            top, left = ((side - size) // 2 for side in noisy.shape[:2])
            window = np.s_[top : top + size, left : left + size]
            captioned = [
                (f"{name}: {psnr(target, pixels):.2f} dB", pixels[window].copy())
                for name, pixels in forms.items()
            ]
            rows.append(comparison([*captioned, (last, target[window].copy())]))
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    with atomic.writing(path) as temporary:
        sheet.save(temporary, format="PNG")
