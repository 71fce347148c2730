"""Measure models and their peers on sets that take hours: a run can be stopped, and goes on.

    python benchmarks/evaluate.py --results results.jsonl --set kodak24/ noisy small cbm3d

The 8-bit protocol and the methods are those of ``edgecae bench`` (:mod:`edgecae.bench.quality`,
:mod:`edgecae.bench.methods`). With ``:raw``, a float network gets noise that is neither rounded nor
clipped (the protocol of most papers). What ``--results`` holds already is not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import models
from edgecae.bench import methods, peers
from edgecae.bench.peers.base import Pixels
from edgecae.bench.quality import read_set
from edgecae.noise import gaussian
from edgecae.quality import psnr

__all__ = ["SIGMAS", "ScoredMethod", "find_scored", "mean_psnr", "read_psnr", "table"]

SIGMAS = (0, 5, 15, 25, 50)
"""σ of the noise that the figures of the docs are measured at."""

RAW = ":raw"


@dataclass(frozen=True)
class ScoredMethod:
    """A way to denoise, with what measures it on one picture.

    Attributes:
        name: as it was asked for.
        key: changes when what it computes may have changed.
        quality: takes a clean frame, σ and the generator of the noise; returns PSNR in dB.
    """

    name: str
    key: str
    quality: Callable[[Pixels, int, np.random.Generator], float]


def _raw(path: Path) -> Callable[[Pixels, int, np.random.Generator], float]:
    from edgecae.denoise import tiling
    from edgecae_train import evaluate

    network, stride = evaluate.float_network(path)

    def quality(clean: Pixels, sigma: int, rng: np.random.Generator) -> float:
        height, width = clean.shape[:2]
        border = tiling.border(stride, tiling.BORDER)
        plane = np.empty((*tiling.padded_size(height, width, stride, border), 3), np.float32)
        inside = np.s_[border : border + height, border : border + width]
        plane[inside] = clean + sigma * rng.standard_normal(clean.shape)
        tiling.pad_edges(plane, height, width, border, border)
        result = np.asarray(network(plane[None] / 255, training=False))[0][inside]
        error = 255.0 * result.astype(np.float64) - clean
        return float(10 * np.log10(255.0**2 / np.mean(error**2)))

    return quality


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def find_scored(name: str) -> ScoredMethod:
    """Look up a method by the name that the command line uses."""
    if name.endswith((RAW, methods.FLOAT)):
        from edgecae_train import shipped

        path = shipped.find_weights(name.rpartition(":")[0])
        if name.endswith(RAW):
            return ScoredMethod(name, _digest(path), _raw(path))
        key = _digest(path)
    elif name in peers.PEERS:
        settings = peers.read_tuned()["settings"].get(name, "")
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    else:
        key = "" if name == methods.NOISY else _digest(models.find_model(name))
    method = methods.find_method(name)

    def quality(clean: Pixels, sigma: int, rng: np.random.Generator) -> float:
        (result,) = methods.denoise_frames(method, [gaussian(sigma).add(clean, rng)], sigma, 1)
        return psnr(clean, result)

    return ScoredMethod(name, key, quality)


def read_psnr(path: Path) -> dict[tuple[Any, ...], float]:
    """PSNR in dB by method, its key, set, σ and index of the picture; empty without a file."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(r["method"], r["key"], r["set"], r["sigma"], r["index"]): r["psnr"] for r in rows}


def mean_psnr(
    methods: Iterable[ScoredMethod], sets: Iterable[Path], sigmas: Iterable[int], results: Path
) -> dict[tuple[str, str, int], float]:
    """Mean PSNR in dB by method, set and σ; every image's is appended to ``results`` at once."""
    known = read_psnr(results)
    means = {}
    sigmas = list(sigmas)
    for folder in sets:
        clean = [frame for group in read_set(folder).groups for frame in group]
        for method in methods:
            for sigma in sigmas:
                rng, values = np.random.default_rng(0), []
                for index, picture in enumerate(clean):
                    at = (method.name, method.key, folder.name, sigma, index)
                    if at in known:
                        rng.standard_normal(picture.shape)
                    else:
                        known[at] = method.quality(picture, sigma, rng)
                        row = dict(zip(("method", "key", "set", "sigma", "index"), at, strict=True))
                        with results.open("a") as file:
                            file.write(json.dumps({**row, "psnr": round(known[at], 5)}) + "\n")
                    values.append(known[at])
                means[method.name, folder.name, sigma] = float(np.mean(values))
    return means


def table(means: dict[tuple[str, str, int], float]) -> str:
    """The means as a Markdown table: one line a set and method, one column a σ."""
    sigmas = sorted({sigma for _, _, sigma in means})
    lines = [
        "| set | method | " + " | ".join(f"σ {sigma}" for sigma in sigmas) + " |",
        "|---|---|" + "---|" * len(sigmas),
    ]
    for method, folder in dict.fromkeys((method, folder) for method, folder, _ in means):
        cells = [f"{means[method, folder, s]:.2f}" for s in sigmas]
        lines.append(f"| {folder} | {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="JSON lines, read and extended")
    parser.add_argument(
        "--sigma", type=int, action="append", help="0, 5, 15, 25 and 50 if left out"
    )
    parser.add_argument("--set", type=Path, action="append", required=True, help="folder or clip")
    parser.add_argument("methods", nargs="+")
    options = parser.parse_args()
    methods = [find_scored(name) for name in options.methods]
    print(table(mean_psnr(methods, options.set, options.sigma or SIGMAS, options.results)))


if __name__ == "__main__":
    main()
