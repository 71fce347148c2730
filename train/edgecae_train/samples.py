"""Pictures of a run: the curves, and a sheet of samples before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edgecae import atomic
from edgecae.quality import psnr
from edgecae_train.evaluate import Denoise, HeldOut

__all__ = ["comparison", "curves", "samples"]

Pixels = NDArray[np.uint8]
_BAND = 18


def _write(path: Path, image: Image.Image) -> None:
    with atomic.writing(path) as temporary:
        image.save(temporary, format="PNG")


def curves(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Draw loss and validation PSNR over the steps of both phases."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    loss, quality = figure.subplots(1, 2)
    offset = 0
    for phase in dict.fromkeys(row["phase"] for row in history):
        rows = [row for row in history if row["phase"] == phase]
        steps = [offset + row["step"] for row in rows]
        loss.plot(steps, [row["loss"] or math.nan for row in rows], marker=".", label=phase)
        for key in rows[0]:
            if key.startswith("psnr "):
                quality.plot(steps, [r[key] for r in rows], marker=".", label=f"{phase} {key[5:]}")
        offset = steps[-1]
    loss.set(title="training loss", xlabel="step", yscale="log")
    quality.set(title="validation PSNR (dB)", xlabel="step")
    for axes in (loss, quality):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    _write(path, Image.fromarray(pixels).convert("RGB"))


def comparison(columns: Sequence[tuple[str, Pixels]]) -> Image.Image:
    """Set pictures of the same size side by side, each below its caption."""
    height, width = columns[0][1].shape[:2]
    sheet = Image.new("RGB", (len(columns) * width, height + _BAND), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (caption, pixels) in enumerate(columns):
        sheet.paste(Image.fromarray(pixels), (index * width, _BAND))
        draw.text((index * width + 4, 3), caption, fill="black")
    return sheet


def samples(path: Path, images: HeldOut, denoise: Denoise, count: int = 4, side: int = 192) -> None:
    """Write a sheet with clean, noisy and denoised crops of the first held-out images."""
    rows = []
    specs = list(images.pairs)
    for index in range(min(count, images.count)):
        spec = specs[index % len(specs)]
        noisy, clean = images.pairs[spec][index]
        result = denoise(noisy)
        if clean.ndim == 4:  # of a clip, the last frame
            noisy, clean, result = noisy[-1], clean[-1], result[-1]
        size = min(side, *clean.shape[:2])
        top, left = ((length - size) // 2 for length in clean.shape[:2])
        window = np.s_[top : top + size, left : left + size]
        rows.append(
            comparison(
                [
                    ("clean", clean[window]),
                    (f"{spec}: {psnr(clean, noisy):.2f} dB", noisy[window]),
                    (f"denoised: {psnr(clean, result):.2f} dB", result[window]),
                ]
            )
        )
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height for r in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    _write(path, sheet)
