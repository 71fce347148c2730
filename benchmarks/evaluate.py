"""Measure models and their peers on folders of clean images and on clips, in the 8-bit protocol.

    python benchmarks/evaluate.py --results results.jsonl --set kodak24/ noisy small cbm3d

noisy = round(clip(clean + σ·n, 0, 255)), n from ``numpy.random.default_rng(0)`` made anew for each
set and σ, images in sorted order; PSNR over all pixels and channels of an image, then the mean.
A method is ``noisy``, a peer of ``benchmarks/peers.py``, the name of a shipped model or a model
file (int8), the same with ``:float`` for its float weights, or a file of float weights. With
``:raw``, the float network gets noise that is neither rounded nor clipped (the protocol of most
papers). What ``--results`` holds already is not measured again, so that a run can be stopped.
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
from numpy.typing import NDArray

from edgecae import models
from edgecae.noise import gaussian
from edgecae.quality import psnr
from edgecae.runtime import Denoiser, sources

__all__ = ["Method", "find_method", "measure", "table"]

SIGMAS = (0, 5, 15, 25, 50)
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Method:
    """A way to denoise.

    Attributes:
        name: as it was asked for.
        key: changes when what it computes may have changed.
        quality: clean frame, σ and the noise generator, to PSNR of the result in dB.
    """

    name: str
    key: str
    quality: Callable[[Pixels, int, np.random.Generator], float]


def _on_noisy(denoise: Callable[[Pixels, int], Pixels]) -> Callable[..., float]:
    def quality(clean: Pixels, sigma: int, rng: np.random.Generator) -> float:
        noisy = gaussian(sigma).add(clean, rng)
        return psnr(clean, denoise(noisy, sigma))

    return quality


def _float(path: Path, raw: bool) -> Callable[..., float]:
    from edgecae.runtime.tiling import pad_edges, padded_size
    from edgecae.train import evaluate, weights

    architecture, _, values = weights.read_weights(path)
    network = architecture.build(training=False)
    weights.load_weights(network, values)
    if not raw:
        denoise = evaluate.keras_denoiser(network, architecture.stride)
        return _on_noisy(lambda noisy, _: denoise(noisy))

    def quality(clean: Pixels, sigma: int, rng: np.random.Generator) -> float:
        height, width = clean.shape[:2]
        plane = np.empty((*padded_size(height, width, architecture.stride), 3), np.float32)
        plane[:height, :width] = clean + sigma * rng.standard_normal(clean.shape)
        pad_edges(plane, height, width)
        result = np.asarray(network(plane[None] / 255, training=False))[0, :height, :width]
        error = 255.0 * result.astype(np.float64) - clean
        return float(10 * np.log10(255.0**2 / np.mean(error**2)))

    return quality


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def find_method(name: str, threads: int = 1) -> Method:
    """Look up a method by the name that the command line uses."""
    import peers

    base, _, form = name.partition(":")
    if name == "noisy":
        return Method(name, "", _on_noisy(lambda noisy, _: noisy))
    if name in peers.PEERS:
        peer = peers.PEERS[name]
        strengths = peers.STRENGTHS.get(name, "")
        return Method(name, str(strengths), _on_noisy(peer))
    if form or base.endswith(".h5"):
        from edgecae.train import shipped

        path = shipped.find(base)
        return Method(name, _digest(path), _float(path, form == "raw"))
    denoiser = Denoiser(base, threads)
    return Method(
        name, _digest(models.find(base)), _on_noisy(lambda noisy, _: denoiser.process(noisy))
    )


def _read(path: Path) -> dict[tuple[Any, ...], float]:
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(r["method"], r["key"], r["set"], r["sigma"], r["index"]): r["psnr"] for r in rows}


def measure(
    methods: Iterable[Method], sets: Iterable[Path], sigmas: Iterable[int], results: Path
) -> dict[tuple[str, str, int], float]:
    """Mean PSNR in dB by method, set and σ; every image's is appended to ``results`` at once."""
    known = _read(results)
    means = {}
    sigmas = list(sigmas)
    for folder in sets:
        with sources.open_source(str(folder)) as source:
            clean = [frame.pixels for frame in source]
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
    methods = [find_method(name) for name in options.methods]
    print(table(measure(methods, options.set, options.sigma or SIGMAS, options.results)))


if __name__ == "__main__":
    main()
