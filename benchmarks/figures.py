"""Make the figures that the models' cards and the docs show, and write them where they are shown.

    python benchmarks/figures.py --results results.jsonl kodak24/ cbsd68/

measures every shipped model and some peers (see ``evaluate.py``), writes
``runtime/edgecae/models/figures.json`` and fills the tables of README.md and docs. With
``--model NAME``, once or more, it measures these models alone and keeps the other rows, times
included. ``--tables`` only fills the tables, from that and from ``benchmarks/reference/``. CBM3D
takes hours: its rows are those that ``evaluate.py`` has completed in
``benchmarks/reference/cbm3d.jsonl``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from evaluate import SIGMAS as ALL_SIGMAS
from evaluate import find_scored, mean_psnr, read_psnr

from edgecae import atomic, models
from edgecae.bench import latency, methods, results
from edgecae.bench.case import Case
from edgecae.device import machine
from edgecae.tflite import model_file

__all__ = ["fill", "main"]

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "runtime" / "edgecae" / "models" / "figures.json"
PAGES = tuple(ROOT / name for name in ("README.md", "docs/models.md", "docs/bench.md"))
REFERENCE = ROOT / "benchmarks" / "reference"
SIGMAS = {"8-bit": ALL_SIGMAS, "float": (15, 25, 50)}
TITLES = {"kodak24": "Kodak24", "cbsd68": "CBSD68"}
IMAGES = {"kodak24": 24, "cbsd68": 68}
PEERS = ("bilateral", "nlmeans")
"""That the tables show; ``edgecae bench --peers`` has more."""


def milliseconds() -> dict[str, dict[str, float]]:
    """Median time of a frame of 480×640, by model and threads."""
    cases = [Case(name, 640, 480, threads) for name in models.names() for threads in (1, 2)]
    (rows,), failed = latency.measure_latencies(cases, 3, [sys.executable])
    if failed:
        sys.exit(f"not measured: {failed}")
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row is not None:
            found.setdefault(row.method, {})[str(row.threads)] = round(row.median_ms, 2)
    return found


def cpu() -> str:
    """The CPU's name and what it has for int8."""
    return str(machine.read_this_machine().cpu)


def _psnr(
    sets: list[Path], kept_in: Path, only: list[str]
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    names = models.still_names()
    by_protocol = {
        "8-bit": ["noisy", *names, *(f"{name}:float" for name in names), *PEERS],
        "float": [f"{name}:raw" for name in names],
    }
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    known = models.figures()["psnr"] if only else {}
    for protocol, wanted in by_protocol.items():
        for name in wanted:
            if only and name.partition(":")[0] not in only:
                row_of = name.removesuffix(":raw")
                for folder, rows in known[protocol].items():
                    found.setdefault(protocol, {}).setdefault(folder, {})[row_of] = rows[row_of]
                continue
            # A peer is told σ, and at σ 0 has nothing to do.
            sigmas = [s for s in SIGMAS[protocol] if s or name not in (*PEERS, "noisy")]
            means = mean_psnr([find_scored(name)], sets, sigmas, kept_in)
            for (_, folder, sigma), value in means.items():
                row = found.setdefault(protocol, {}).setdefault(folder, {})
                row.setdefault(name.removesuffix(":raw"), {})[str(sigma)] = round(value, 3)
    return found


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cost(_: dict[str, Any], measured: dict[str, Any]) -> str:
    rows = []
    for name in models.names():
        file = model_file.read(models.find_model(name))
        times = measured["milliseconds"][name]
        rows.append(
            [
                f"`{name}`",
                f"{file.macs_per_pixel / 1000:.2f}",
                f"{file.macs_per_pixel_padded / 1000:.2f}",
                f"{file.parameters:,}",
                f"{len(file.content):,}",
                f"{times['1']:.1f}",
                f"{times['2']:.1f}",
            ]
        )
    head = ["model", "kMAC per pixel", "padded", "parameters", "bytes", "ms, 1 thread", "2 threads"]
    made = measured["made_with"]
    where = f"Times on {made['cpu']}, LiteRT {made['ai-edge-litert']}."
    return f"{_table(head, rows)}\n\n{where}"


def cbm3d(folder: str) -> dict[str, float]:
    """Mean PSNR of CBM3D on a set by σ, where every picture of it has been measured."""
    found: dict[str, list[float]] = {}
    for (_, _, of, sigma, _), psnr in read_psnr(REFERENCE / "cbm3d.jsonl").items():
        if of == folder:
            found.setdefault(str(sigma), []).append(psnr)
    complete = {s: values for s, values in found.items() if len(values) == IMAGES[folder]}
    return {sigma: float(np.mean(values)) for sigma, values in complete.items()}


def _with_cbm3d(psnr: dict[str, Any]) -> dict[str, Any]:
    """The figures of the 8-bit protocol, by set and method, and what there is of CBM3D."""
    found = {folder: dict(methods) for folder, methods in psnr.items()}
    for folder, by_method in found.items():
        if kept := cbm3d(folder):
            by_method["cbm3d"] = kept
    return found


def _quality(options: dict[str, Any], measured: dict[str, Any]) -> str:
    """One table: a protocol and a set; ``brief`` leaves the float networks out."""
    protocol, folder = options["protocol"], options["set"]
    by_set = measured["psnr"][protocol]
    methods = (_with_cbm3d(by_set) if protocol == "8-bit" else by_set)[folder]
    rows = []
    for name, quality in methods.items():
        base, _, form = name.partition(":")
        if form and "brief" in options:
            continue
        label = base
        if base in models.names():
            label = f"`{base}`" + (" float" if form or protocol == "float" else "")
        cells = [f"{quality[str(s)]:.2f}" if str(s) in quality else "" for s in SIGMAS[protocol]]
        rows.append([label, *cells])
    return _table([TITLES[folder], *(f"σ {s}" for s in SIGMAS[protocol])], rows)


def _mean_of_six(_: dict[str, Any], measured: dict[str, Any]) -> str:
    """Mean over both sets and σ 15, 25 and 50, and the loss of int8 at each σ."""
    psnr = _with_cbm3d(measured["psnr"]["8-bit"])

    def mean(name: str) -> float:
        return float(np.mean([psnr[f][name][s] for f in psnr for s in ("15", "25", "50")]))

    rows = []
    for name in psnr["kodak24"]:
        everywhere = all(s in psnr[f].get(name, {}) for f in psnr for s in ("15", "25", "50"))
        if ":" in name or not everywhere:
            continue
        twin, loss = f"{name}:float", [""] * 4
        if twin in psnr["kodak24"]:
            loss = [
                f"{max((psnr[f][twin][s] - psnr[f][name][s] for f in psnr), default=0):.3f}"
                for s in ("5", "15", "25", "50")
            ]
        label = f"`{name}`" if name in models.names() else name
        rows.append([label, f"{mean(name):.2f}", *loss])
    head = ["", "mean of six", *(f"int8 loses, σ {s}" for s in (5, 15, 25, 50))]
    return _table(head, sorted(rows, key=lambda row: float(row[1])))


def _reference(options: dict[str, Any]) -> results.Results:
    return results.read_results(REFERENCE / f"{options['machine']}.json")


def _peers(options: dict[str, Any], _: dict[str, Any]) -> str:
    """All that was measured on a machine: quality on one set, time with one and two threads."""
    found = _reference(options)
    (sigma,) = {row.sigma for row in found.quality}
    (folder,) = {row.set for row in found.quality}
    times = {(row.method, row.threads): row for row in found.latency}
    rows = []
    for row in sorted(found.quality, key=lambda row: -(row.psnr or 0)):
        shipped = row.method in models.names()
        if row.method.endswith(methods.FLOAT):
            continue
        time = [times.get((row.method, threads)) for threads in (1, 2)]
        macs = found.macs_per_pixel.get(row.method)
        rows.append(
            [
                f"`{row.method}`" if shipped else row.method,
                f"{row.psnr:.2f}",
                f"{row.ssim:.3f}",
                *("" if each is None else f"{each.median_ms:.1f}" for each in time),
                "" if macs is None else f"{macs / 1000:.2f}",
            ]
        )
    head = ["", "PSNR, dB", "SSIM", "ms, 1 thread", "2 threads", "kMAC per pixel"]
    where = f"{TITLES[folder]} at σ {sigma:g}; a frame of 640×480 on {found.conditions}."
    return f"{_table(head, rows)}\n\n{where}"


def _roofline(options: dict[str, Any], _: dict[str, Any]) -> str:
    """How near models come to what a machine can do, with one thread."""
    rows = []
    for roof in _reference(options).roofline:
        if roof.threads == 1:
            others = ", ".join(f"{op.lower()} {share:.1%}" for op, share in roof.others.items())
            rows.append(
                [
                    f"`{roof.model}`",
                    f"{roof.model_ms:.2f}",
                    f"{roof.floor_ms:.2f}",
                    f"{roof.over_floor:.2f}",
                    f"{roof.floor_over_ideal:.2f}",
                    others,
                ]
            )
    head = [
        "",
        "whole, ms",
        "floor, ms",
        "whole / floor",
        "floor / best rate",
        "all but convolutions",
    ]
    return _table(head, rows)


TABLES: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "cost": _cost,
    "quality": _quality,
    "summary": _mean_of_six,
    "peers": _peers,
    "roofline": _roofline,
}

_PLACE = re.compile(r"(<!-- figures: (?P<what>[^>]*) -->).*?(\n<!-- end -->)", re.DOTALL)


def fill(text: str, measured: dict[str, Any]) -> str:
    """Put tables between ``<!-- figures: KIND OPTION=VALUE … -->`` and ``<!-- end -->``."""

    def table(match: re.Match[str]) -> str:
        kind, *options = match["what"].split()
        values = dict(option.partition("=")[::2] for option in options)
        return f"{match[1]}\n{TABLES[kind](values, measured)}{match[3]}"

    return _PLACE.sub(table, text)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--tables", action="store_true", help="only fill the tables")
    parser.add_argument("--times", action="store_true", help="measure times alone")
    parser.add_argument("--model", action="append", default=[], help="measure these alone")
    parser.add_argument("sets", nargs="*", type=Path)
    options = parser.parse_args()
    if not options.tables:
        before = models.figures()
        packages = ["ai-edge-litert", "numpy"]
        if not options.times:
            packages += ["bm3d", "opencv-python-headless", "tensorflow"]
        if options.model:  # times are of one day and one machine
            times = {name: before["milliseconds"][name] for name in models.names()}
            made_with = before["made_with"]
        else:
            times = milliseconds()
            made_with = before["made_with"] | {
                "cpu": cpu(),
                "python": platform.python_version(),
                **{package: importlib.metadata.version(package) for package in packages},
            }
        measured = {
            "made_with": made_with,
            "milliseconds": times,
            "psnr": before["psnr"]
            if options.times
            else _psnr(options.sets, options.results, options.model),
        }
        atomic.write_text(FIGURES, json.dumps(measured, indent=1) + "\n")
    for page in PAGES:
        filled = fill(page.read_text(encoding="utf-8"), models.figures())
        atomic.write_text(page, filled)


if __name__ == "__main__":
    main()
