"""The report: one HTML page that needs nothing else, with tables, plots and crops to look at."""

from __future__ import annotations

import base64
import importlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edgecae import atomic
from edgecae.bench import methods, peers, plots
from edgecae.bench.peers.base import Pixels
from edgecae.bench.quality import Quality, Strip, shown_frames
from edgecae.bench.results import Results
from edgecae.errors import SettingError
from edgecae.tflite.macs import CONVOLUTIONS

__all__ = ["render_page", "require_writable", "write_page"]

TEMPLATE = Path(__file__).parent / "report.html"


def require_writable(path: Path, overwrite: bool) -> None:
    """Refuse before anything is measured for a report that can't be made.

    Raises:
        SettingError: jinja2 or matplotlib is not installed.
        SinkError: there is a file and it is not to be replaced, or no such folder.
    """
    _require_packages()
    atomic.check(path, overwrite)


def _require_packages() -> None:
    for name in ("jinja2", "matplotlib"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise SettingError(f"a report needs {name}: pip install 'edgecae[report]'") from error


def _png(pixels: Pixels) -> str:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _means(results: Results, sigma: float) -> dict[str, float]:
    """Mean PSNR over the sets, dB, of methods that were measured on all."""
    found: dict[str, list[float]] = {}
    for row in results.quality:
        if row.sigma == sigma and row.psnr is not None:
            found.setdefault(row.method, []).append(row.psnr)
    sets = len({row.set for row in results.quality})
    return {name: float(np.mean(each)) for name, each in found.items() if len(each) == sets}


def _shown(results: Results) -> float | None:
    sigmas = {row.sigma for row in results.quality}
    return min(sigmas, key=lambda sigma: abs(sigma - 25), default=None)


def _plots(results: Results) -> list[tuple[str, str]]:
    """Caption and SVG of each plot that there are figures for."""
    sigma = _shown(results)
    if sigma is None:
        return []
    means = _means(results, sigma)
    floor = means.pop(methods.NOISY, None)
    level = f"σ {sigma:g}, {', '.join(dict.fromkeys(row.set for row in results.quality))}"

    def draw(costs: dict[str, float], axis: str, caption: str) -> list[tuple[str, str]]:
        points = [
            plots.Point(name, costs[name], psnr, name not in peers.PEERS)
            for name, psnr in means.items()
            if name in costs
        ]
        return [(caption, plots.pareto_plot(points, axis, floor))] if points else []

    made: list[tuple[str, str]] = []
    if results.latency:
        cases = Counter((r.width, r.height, r.threads) for r in results.latency)
        most = max(cases.values())
        width, height, threads = min(case for case, count in cases.items() if count == most)
        times = {
            row.method: row.median_ms
            for row in results.latency
            if (row.width, row.height, row.threads) == (width, height, threads)
        }
        where = f"{width}×{height}, {threads} thread{'s' * (threads > 1)}"
        made += draw(times, f"milliseconds a frame of {where}", f"Quality over time: {level}")
    cost = {name: macs / 1000 for name, macs in results.macs_per_pixel.items()}
    return made + draw(cost, "kMAC per pixel", f"Quality over multiply-accumulates: {level}")


def _curves(rows: Sequence[Quality]) -> list[tuple[str, str]]:
    """Caption and SVG of PSNR over time, for each clip, at the σ nearest to 25."""
    made: list[tuple[str, str]] = []
    for name in dict.fromkeys(row.set for row in rows if row.over_time):
        sigma = min((row.sigma for row in rows if row.set == name), key=lambda s: abs(s - 25))
        curves = {
            row.method: row.over_time.psnr
            for row in rows
            if row.over_time and (row.set, row.sigma) == (name, sigma)
        }
        made.append((f"PSNR over time: σ {sigma:g}, {name}", plots.time_plot(curves)))
    return made


def _tables(rows: Sequence[Quality]) -> list[dict[str, object]]:
    tables: list[dict[str, object]] = []
    for name in dict.fromkeys(row.set for row in rows):
        of_set = [row for row in rows if row.set == name]
        cells = {(row.method, row.sigma): row for row in of_set}
        best = {
            sigma: max(row.psnr or 0 for row in of_set if row.sigma == sigma)
            for sigma in dict.fromkeys(row.sigma for row in of_set)
        }
        tables.append(
            {
                "set": name,
                "images": of_set[0].images,
                "best": best,
                "methods": list(dict.fromkeys(row.method for row in of_set)),
                "cells": cells,
                "floats": [row for row in of_set if row.float_method],
                "frames": shown_frames(of_set[0].images),
                "clips": [row for row in of_set if row.over_time],
            }
        )
    return tables


def render_page(results: Results, strip: Strip | None = None) -> str:
    """Render the page.

    Args:
        results: what was measured.
        strip: crops of a picture.

    Raises:
        SettingError: jinja2 or matplotlib is not installed.
    """
    _require_packages()
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    psnr = {
        row.method: row.psnr
        for row in results.quality
        if strip and (row.set, row.sigma) == (strip.set, strip.sigma)
    }
    filters: dict[str, Callable[..., str]] = {
        "db": lambda value: "∞" if value is None else f"{value:.2f}",
    }
    environment.filters.update(filters)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        tables=_tables(results.quality),
        plots=_plots(results),
        curves=_curves(results.quality),
        strip=strip,
        crops=[(n, _png(p), psnr.get(n)) for n, p in strip.crops.items()] if strip else [],
        peers=[peers.PEERS[n] for n in peers.PEERS if any(r.method == n for r in results.latency)
               or any(r.method == n for r in results.quality)],
        tuned=peers.read_tuned()["command"],
        convolutions=CONVOLUTIONS,
    )  # fmt: skip


def write_page(path: Path, page: str, overwrite: bool = False) -> None:
    """Write a page, whole or not at all.

    Raises:
        SinkError: there is a file and it is not to be replaced, or it can't be written.
    """
    atomic.write_text(path, page, overwrite)
