"""Measure models on folders of clean images and on clips, in the 8-bit protocol.

    python benchmarks/evaluate.py --model small --float RUN/float.weights.h5 FOLDER_OR_CLIP ...

noisy = round(clip(clean + σ·n, 0, 255)), n from ``numpy.random.default_rng(0)`` made anew for each
set and σ, images in sorted order; PSNR over all pixels and channels of an image, then the mean.
Milliseconds are the median of ``process`` alone, with the threads that ``--threads`` says.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from edgecae import noise
from edgecae.quality import psnr
from edgecae.runtime import Denoiser, sources
from edgecae.train import evaluate, weights

SIGMAS = (5, 15, 25, 50)


def float_denoiser(path: Path) -> evaluate.Denoise:
    """The float network of a weights file, for frames of any size."""
    architecture, _, values = weights.read_weights(path)
    network = architecture.build(training=False)
    weights.load_weights(network, values)
    return evaluate.keras_denoiser(network, architecture.stride)


def main() -> None:
    """Print one line for each set and σ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--float", dest="weights", type=Path, help="weights of the float twin")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("sets", nargs="+")
    options = parser.parse_args()
    reference = float_denoiser(options.weights) if options.weights else None
    with Denoiser(options.model, options.threads) as denoiser:
        print(f"{options.model}, {denoiser.backend}, {options.threads} threads")
        print(f"{'set':<24}{'sigma':>6}{'noisy':>9}{'float':>9}{'int8':>9}{'drop':>8}{'ms':>8}")
        for name in options.sets:
            with sources.open_source(name) as source:
                clean = [frame.pixels for frame in source]
            for sigma in SIGMAS:
                rng, level = np.random.default_rng(0), noise.gaussian(sigma)
                rows, times = [], []
                for picture in clean:
                    noisy = level.add(picture, rng)
                    begin = time.perf_counter()
                    result = denoiser.process(noisy)
                    times.append(time.perf_counter() - begin)
                    twin = psnr(picture, reference(noisy)) if reference else float("nan")
                    rows.append((psnr(picture, noisy), twin, psnr(picture, result)))
                before, twin, after = np.mean(rows, axis=0)
                print(
                    f"{Path(name).name:<24}{sigma:>6}{before:>9.2f}{twin:>9.2f}{after:>9.2f}"
                    f"{twin - after:>8.3f}{np.median(times) * 1000:>8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
