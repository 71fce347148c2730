"""Denoisers that are no networks, for comparison: CBM3D and OpenCV's two edge-preserving filters.

All are told the noise level, which edgecae's models are not.

    python benchmarks/peers.py tune PHOTOS

prints the settings of the two filters that do best on the photos held out of PHOTOS: ``STRENGTHS``.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecae.noise import gaussian
from edgecae.train import data, evaluate

__all__ = ["PEERS", "STRENGTHS"]

Pixels = NDArray[np.uint8]
SIGMAS = (5, 15, 25, 50)

STRENGTHS: dict[str, dict[int, tuple[float, ...]]] = {
    "bilateral": {5: (4.0, 2.0), 15: (4.0, 2.0), 25: (5.0, 1.5), 50: (5.0, 2.0)},
    "nlmeans": {5: (0.5, 1.0, 3), 15: (0.6, 1.0, 3), 25: (0.6, 1.0, 3), 50: (0.6, 1.0, 3)},
}
"""Best settings by filter and σ."""

GRID: dict[str, tuple[tuple[float, ...], ...]] = {
    # sigmaColor as a multiple of σ, sigmaSpace in pixels
    "bilateral": ((1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0), (0.7, 1.0, 1.5, 2.0, 3.0)),
    # h and hColor as multiples of σ, side of a patch
    "nlmeans": ((0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2), (0.5, 1.0, 1.5), (3, 5, 7)),
}


def bilateral(noisy: Pixels, sigma: float, colour: float, space: float) -> Pixels:
    """``cv2.bilateralFilter`` (Tomasi and Manduchi, 1998)."""
    import cv2

    radius = max(1, round(2.5 * space))
    return np.asarray(cv2.bilateralFilter(noisy, 2 * radius + 1, colour * sigma, space), np.uint8)


def nlmeans(noisy: Pixels, sigma: float, h: float, colour: float, patch: float) -> Pixels:
    """``cv2.fastNlMeansDenoisingColored`` (Buades, Coll and Morel, 2005)."""
    import cv2

    bgr = np.ascontiguousarray(noisy[..., ::-1])
    result = cv2.fastNlMeansDenoisingColored(
        bgr, None, h * sigma, h * colour * sigma, int(patch), 21
    )
    return np.asarray(result[..., ::-1], np.uint8)


def cbm3d(noisy: Pixels, sigma: float) -> Pixels:
    """The package ``bm3d`` of BM3D's authors (Dabov et al., 2007; Mäkinen et al., 2020)."""
    import bm3d

    result = bm3d.bm3d_rgb(noisy / 255.0, sigma / 255.0)
    return np.asarray(np.rint(np.clip(result, 0, 1) * 255), np.uint8)


def tuned(filter_: Callable[..., Pixels], name: str) -> Callable[[Pixels, int], Pixels]:
    """A filter with its best settings."""
    return lambda noisy, sigma: filter_(noisy, sigma, *STRENGTHS[name][sigma])


PEERS: dict[str, Callable[[Pixels, int], Pixels]] = {
    "bilateral": tuned(bilateral, "bilateral"),
    "nlmeans": tuned(nlmeans, "nlmeans"),
    "cbm3d": cbm3d,
}
"""By name: noisy frame, uint8 H×W×3, and σ, to the denoised frame."""


def best_settings(
    grid: tuple[tuple[float, ...], ...], quality: Callable[[tuple[float, ...]], float]
) -> tuple[float, ...]:
    """Search a grid one setting after the other, and the first one, a strength, once more."""
    point = tuple(values[len(values) // 2] for values in grid)
    for axis in (*range(len(grid)), 0):
        tried = [(*point[:axis], value, *point[axis + 1 :]) for value in grid[axis]]
        point = max(tried, key=quality)
    return point


def tune(photos: str) -> None:
    """Print the best settings of each filter and σ, by mean PSNR on held-out photos."""
    clean = data.open_images(photos, 112, 0).held_out()
    filters: dict[str, Callable[..., Pixels]] = {"bilateral": bilateral, "nlmeans": nlmeans}
    for name, filter_ in filters.items():
        for sigma in SIGMAS:
            held_out = evaluate.held_out(clean, 1, [gaussian(sigma)])

            @functools.cache
            def quality(
                point: tuple[float, ...],
                filter_: Callable[..., Pixels] = filter_,
                sigma: int = sigma,
                held_out: evaluate.HeldOut = held_out,
            ) -> float:
                (mean,) = held_out.measure(lambda x: filter_(x, sigma, *point)).values()
                return mean

            best = best_settings(GRID[name], quality)
            print(f"{name} {sigma}: {best},  # {quality(best):.2f} dB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["tune"])
    parser.add_argument("photos")
    tune(parser.parse_args().photos)
