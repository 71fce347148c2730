"""Which packer of the standard library suits latents, in which order of their numbers?

    python benchmarks/latents.py FOLDER --encoder encoder.tflite [--sigma 0 25]

Prints bits per pixel, the mean over the pictures of FOLDER, for each packer and filter.
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae.bench import quality
from edgecae.codec.autoencoder import Encoder

__all__ = ["ORDERS", "PACKERS"]

Latent = NDArray[np.int8]


def _planar(latent: Latent) -> Latent:
    return np.ascontiguousarray(latent.transpose(2, 0, 1))


def _delta(latent: Latent) -> Latent:
    """Channel by channel, each number less its left neighbour, modulo 256."""
    planes = _planar(latent).view(np.uint8)
    return np.diff(planes, axis=2, prepend=np.uint8(0)).view(np.int8)


ORDERS: dict[str, Callable[[Latent], Latent]] = {
    "interleaved": lambda latent: latent,
    "planar": _planar,
    "planar, delta": _delta,
}


def _lzma(context: int) -> Callable[[bytes], bytes]:
    """LZMA2 that takes that many bits of the byte before for context, and no position."""
    filter_ = {"id": lzma.FILTER_LZMA2, "preset": 9, "lc": context, "lp": 0, "pb": 0}
    return lambda content: lzma.compress(content, lzma.FORMAT_RAW, filters=[filter_])


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "zlib 9": lambda content: zlib.compress(content, 9),
    "bz2 9": lambda content: bz2.compress(content, 9),
    "lzma, preset 9": lambda content: lzma.compress(content, preset=9),
    "lzma, lc 0, pb 0": _lzma(0),
    "lzma, lc 3, pb 0": _lzma(3),
    "lzma, lc 4, pb 0": _lzma(4),
}


def main(folder: Path, encoder: Encoder, sigmas: list[float]) -> None:
    """Print the table."""
    clean = quality.read_set(folder)
    print(f"{'bits per pixel':<40}" + "".join(f"{f'σ {sigma:g}':>12}" for sigma in sigmas))
    latents = {
        sigma: [
            (encoder.encode(picture), picture.shape[0] * picture.shape[1])
            for group in quality.noisy_groups(clean, sigma)
            for picture in group
        ]
        for sigma in sigmas
    }
    for order, arrange in ORDERS.items():
        for packer, pack in PACKERS.items():
            rates = [
                np.mean([8 * len(pack(arrange(each).tobytes())) / size for each, size in found])
                for found in latents.values()
            ]
            print(f"{order + ', ' + packer:<40}" + "".join(f"{rate:>12.3f}" for rate in rates))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.0, 25.0])
    asked = parser.parse_args()
    main(asked.folder, Encoder(asked.encoder), asked.sigma)
