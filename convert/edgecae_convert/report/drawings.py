"""The pictures of a report page, as ``data:`` addresses of PNG files."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edgecae_convert.report.analysis import Analysis, TensorError

__all__ = ["bars", "maps", "results", "spans"]

COLOURS = {"activations": "#3b7fb8", "weights": "#c9803a"}
MAX_MAPS = 6
MAX_DB = 100.0
"""Where the bars of an error that is none end."""


def _address(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _rows(count: int) -> tuple[Figure, Any]:
    """A figure for as many rows of text, the first on top."""
    figure = Figure(figsize=(9, 0.8 + 0.19 * count), layout="constrained")
    axes = figure.subplots()
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(labelsize=7)
    axes.margins(y=0.01)
    return figure, axes


def bars(errors: Sequence[TensorError]) -> str:
    """SQNR of each tensor, worst first."""
    figure, axes = _rows(len(errors))
    for kind, colour in COLOURS.items():
        rows = [n for n, each in enumerate(errors) if each.kind == kind]
        values = [min(errors[n].sqnr, MAX_DB) for n in rows]
        axes.barh(rows, values, color=colour, label=kind, height=0.7)
    axes.set_yticks(range(len(errors)), [each.name for each in errors])
    axes.set_xlabel(f"SQNR, dB (cut off at {MAX_DB:g})", fontsize=8)
    axes.legend(fontsize=8)
    return _address(figure)


def spans(errors: Sequence[TensorError]) -> str:
    """What the format of each activation holds, and what was seen."""
    chosen = [each for each in errors if each.kind == "activations"]
    figure, axes = _rows(len(chosen))
    for row, each in enumerate(chosen):
        if each.representable is not None:
            low, high = each.representable
            axes.barh(row, high - low, left=low, color="#bcd6ec", height=0.7)
        axes.plot(each.seen, [row, row], color="#1c2024", linewidth=1.5, marker="|")
    axes.set_yticks(range(len(chosen)), [each.name for each in chosen])
    return _address(figure)


def results(found: Analysis) -> str:
    """Noisy frame, both results and what is between them."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    difference = np.abs(found.rounded - found.exact).mean(-1) * 255
    columns = figure.subplots(1, 4)
    pictures: dict[str, Any] = {"noisy": found.frame, "float": found.exact, "file": found.rounded}
    for axes, (title, picture) in zip(columns, pictures.items(), strict=False):
        shown = picture if picture.dtype == np.uint8 else np.clip(picture, 0, 1)
        axes.imshow(np.broadcast_to(shown, (*shown.shape[:2], 3)))
        axes.set_title(title, fontsize=9)
    _map(figure, columns[3], difference, "difference, levels")
    for axes in columns:
        axes.set_axis_off()
    return _address(figure)


def maps(found: Analysis) -> str:
    """Where the worst activations differ."""
    worst = [each for each in found.errors if each.kind == "activations" and each.mse > 0]
    chosen = worst[:MAX_MAPS]
    columns = 3
    rows = max(1, math.ceil(len(chosen) / columns))
    figure = Figure(figsize=(11, 3.1 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, each in zip(grid, chosen, strict=False):
        _map(figure, axes, found.maps[each.name], f"{each.name}: {each.sqnr:.1f} dB")
    for axes in grid:
        axes.set_axis_off()
    return _address(figure)


def _map(figure: Figure, axes: Any, values: Any, title: str) -> None:
    image = axes.imshow(values, cmap="magma", vmin=0, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    axes.set_title(title, fontsize=8)
