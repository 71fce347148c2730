"""The strength of the noise in one frame, white or not."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.frame_statistics import MIN_SIDE, frame_statistics
from edgecae.noise.white import white_sigma

__all__ = ["MAX_AWAY", "NOTHING", "Network", "estimate", "from_statistics", "read_network"]

NOTHING = 0.3
"""σ that a frame without noise is taken for, before it is taken off; rounding has this much."""

MAX_AWAY = 4.0
"""Standard deviations that a statistic counts for, at most."""

Floats = NDArray[np.float32]


class Network(NamedTuple):
    """A network of three layers, from statistics to the logarithm of σ by that of white noise.

    Attributes:
        mean: of the statistics, N.
        scale: their standard deviations, N.
        kernels: inputs×outputs of each layer.
        biases: of each.
    """

    mean: Floats
    scale: Floats
    kernels: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __call__(self, statistics: Floats) -> float:
        """Return the logarithm for the statistics of a frame."""
        values = np.clip((statistics - self.mean) / self.scale, -MAX_AWAY, MAX_AWAY)
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ kernel + bias, 0)
        return float((values @ self.kernels[-1] + self.biases[-1])[0])


def read_network(file: Path | None = None) -> Network:
    """Read a network.

    Args:
        file: an ``.npz`` of ``benchmarks/estimator.py``; None: the one that ships.
    """
    with np.load(file or Path(__file__).with_name("estimator.npz")) as content:
        arrays = {name: content[name].astype(np.float32) for name in content.files}
    layers = range(sum(name.startswith("kernel") for name in arrays))
    return Network(
        arrays["mean"],
        arrays["scale"],
        tuple(arrays[f"kernel_{layer}"] for layer in layers),
        tuple(arrays[f"bias_{layer}"] for layer in layers),
    )


_shipped = functools.cache(read_network)


def from_statistics(statistics: Floats, network: Network) -> float:
    """Estimate the noise of a frame from its statistics; σ on the 0–255 scale."""
    sigma = math.exp(float(statistics[-1]) + network(statistics))
    return math.sqrt(max(0.0, sigma**2 - NOTHING**2))


def estimate(frame: NDArray[np.uint8]) -> float:
    """Estimate the noise of a frame, whatever made it.

    A small network reads statistics of the frame (:mod:`.frame_statistics`). It learned from photos
    with white noise, white noise in 4:2:0 video, and noise as cameras leave it (``camera:``), so it
    knows noise that neighbouring pixels share. Of such a noise, what JPEG and encoders do to it
    and to the picture is a part; but a clean photo that was stored as JPEG is clean.

    Looks at some 100 000 pixels, whatever the size, in 5 to 20 ms.

    Args:
        frame: uint8, H×W×3, H×W×1 or H×W, 0–255.

    Returns:
        Standard deviation over all pixels and channels, on the 0–255 scale. Of frames with a side
        below :data:`.frame_statistics.MIN_SIDE`, that of white noise.
    """
    if min(frame.shape[:2]) < MIN_SIDE:
        return white_sigma(frame)
    return from_statistics(frame_statistics(frame), _shipped())
