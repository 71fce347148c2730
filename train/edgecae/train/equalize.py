"""Cross-layer equalization: one activation range that suits every channel.

An int8 activation has one scale for all its channels, set by the largest. What a channel falls
short of it is lost to rounding. As ReLU passes positive factors, a channel can be made larger where
it is computed and smaller where it is read, and the network computes what it did before. (ReLU6
does so below 6: no channel is made larger than the largest one was. The last features are made to
fill their bound.) (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019, section 4.1, who balance the ranges of *weights*; these have a scale per channel
here, activations don't.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.train._tf import keras
from edgecae.train.links import Link
from edgecae.train.weights import named_weights

__all__ = ["align", "equalize"]

LARGEST_FACTOR = 16.0
HEADROOM = 0.6
"""How much of a bound the channels are made to fill; pictures may hold more than those seen."""

DEAD = 1e-5
"""Norm of a channel's kernel, as a share of the largest, from which on it counts as none."""

TAIL = 1e-4
"""Share of a channel's magnitudes that its range leaves out."""


def _ranges(
    model: Any, names: Sequence[str], batches: Iterable[NDArray[np.float32]]
) -> dict[str, NDArray[np.float64]]:
    """Magnitude of each channel of some layers' outputs."""
    taps = keras.Model(model.input, [model.get_layer(name).output for name in names])
    found = []
    for batch in batches:
        outputs = taps.predict_on_batch(batch)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        found.append([np.quantile(np.abs(x), 1 - TAIL, axis=(0, 1, 2)) for x in outputs])
    return {name: np.mean([f[index] for f in found], axis=0) for index, name in enumerate(names)}


def equalize(model: Any, links: Sequence[Link], batches: Iterable[NDArray[np.float32]]) -> None:
    """Rescale the channels of a float network in place so that each fills its tensor's range.

    Args:
        model: the float network, trained.
        links: of its architecture.
        batches: noisy pictures, N×H×W×3 in [0, 1], of the noise that it was trained for.
    """
    names = sorted({name for link in links for name in link.seen})
    if not names:
        return
    ranges = _ranges(model, names, batches)
    variables = named_weights(model)
    for link in links:
        reach = np.max([ranges[name] for name in link.seen], axis=0)
        # A channel that reaches its bound is not made smaller: it would no longer be cut off.
        top = reach.max() if link.bound is None else HEADROOM * link.bound
        floor = top / LARGEST_FACTOR + 1e-9
        factor = np.maximum((top + 1e-9) / np.maximum(reach, floor), 1.0).astype(np.float32)
        _rescale(variables, link, factor)


def align(model: Any, links: Sequence[Link], like: Mapping[str, NDArray[np.float32]]) -> None:
    """Rescale the channels of a float network in place to those of weights that came from it.

    For comparing the two tensor by tensor: the network computes what it did before. QAT weights
    start as the equalized float ones and move little, so that the norms of a channel's kernel in
    both have the factor between them.

    Args:
        model: the float network, trained.
        links: of its architecture.
        like: QAT weights by name, trained from the same float weights.
    """
    variables = named_weights(model)

    def norms(kernel: NDArray[np.float32], channels: int) -> NDArray[np.float64]:
        if kernel.shape[-1] == 1:
            kernel = np.swapaxes(kernel, 2, 3)
        squares = np.square(kernel, dtype=np.float64).sum((0, 1, 2)).reshape(-1, channels)
        return np.asarray(np.sqrt(squares.sum(0)) + 1e-12)

    # What is rescaled for one link changes the norms of the next: once around for each.
    for _ in links:
        for link in links:
            # The first on the way down: those on the way up depend on the link itself, and may
            # have several outputs for a channel.
            kernel = _kernel(variables, link.writers[0])
            channels = variables[kernel].shape[-1]
            channels = variables[kernel].shape[2] if channels == 1 else channels
            here, there = norms(variables[kernel].numpy(), channels), norms(like[kernel], channels)
            # Rounding may have closed a channel that training left next to nothing of.
            alive = np.minimum(here / here.max(), there / there.max()) > DEAD
            factor = np.divide(there, here, out=np.ones_like(here), where=alive)
            _rescale(variables, link, factor.astype(np.float32))


def _kernel(variables: Mapping[str, Any], layer: str) -> str:
    """Name of a convolution's kernel: H×W×input×output, or H×W×channels×1 of a depthwise one."""
    name = f"{layer}/kernel"
    return name if name in variables else f"{layer}/depthwise_kernel"


def _rescale(variables: Mapping[str, Any], link: Link, factor: NDArray[np.float32]) -> None:
    for name in link.writers:
        kernel, bias = variables[_kernel(variables, name)], variables[f"{name}/bias"]
        repeated = np.tile(factor, bias.shape[0] // len(factor))
        bias.assign(bias * repeated)
        kernel.assign(kernel * (repeated[:, None] if kernel.shape[-1] == 1 else repeated))
    for name in link.readers:
        kernel = variables[_kernel(variables, name)]
        others = np.ones(kernel.shape[2] - len(factor), np.float32)
        kernel.assign(kernel / np.concatenate([factor, others])[:, None])
