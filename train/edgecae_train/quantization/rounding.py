"""Rounding of kernels to 8 bits so that what they compute changes least.

The error of an output channel over pictures is a quadratic form of its kernel's rounding errors,
with the second moments of its inputs as the matrix: neighbouring pixels and channels are alike, so
errors of opposite sign cancel. Weights are rounded one after the other, and what each lacks is made
up for by those that follow (Frantar et al., "GPTQ: Accurate Post-Training Quantization for
Generative Pre-trained Transformers", 2023, section 3, after LeCun's optimal brain surgeon).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import keras

__all__ = ["MIN_KERNEL", "patches", "round_depthwise", "round_kernel", "second_moments"]

MIN_KERNEL = 1e-3
"""What counts as the largest magnitude of an output channel's kernel that is smaller, or zero.

A bias has the scale of its input times that of its channel's kernel, in 32 bits: those of channels
that weight decay has all but closed would not fit.
"""

DAMPING = 0.01
"""Added to the diagonal of the moments, as a share of its mean: the sample is finite."""

SAMPLES = 1500
"""Patches taken from each batch."""


def patches(
    inputs: NDArray[np.float32], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What a convolution reads at ``SAMPLES`` places chosen at random.

    Args:
        inputs: of the convolution, N×H×W×C.
        height: of its kernel; zeros lie beyond the edges, as with ``same`` padding.
        width: of its kernel.
        rng: chooses.

    Returns:
        ``SAMPLES`` × height × width × C.
    """
    count, rows, columns, _ = inputs.shape
    above, left = height // 2, width // 2
    padded = np.pad(inputs, ((0, 0), (above, above), (left, left), (0, 0)))
    index, row, column = (rng.integers(0, end, SAMPLES) for end in (count, rows, columns))
    taps = [padded[index, row + a, column + b] for a in range(height) for b in range(width)]
    return np.stack(taps, 1).reshape(SAMPLES, height, width, -1)


def second_moments(
    layer: keras.layers.Layer, inputs: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Mean products of what each weight of a convolution is multiplied with.

    Args:
        layer: ``Conv2D`` or ``DepthwiseConv2D``.
        inputs: of the layer, N×H×W×C.
        rng: chooses the places.

    Returns:
        K×K where K = height · width · C, in the order of the kernel; of a depthwise convolution
        C×K×K with K = height · width, since its channels don't mix.
    """
    height, width = layer.kernel_size
    taken = patches(inputs, height, width, rng).astype(np.float64)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        each = taken.reshape(SAMPLES, -1, taken.shape[-1]).transpose(2, 1, 0)
        return np.asarray(each @ each.transpose(0, 2, 1) / SAMPLES)
    flat = taken.reshape(SAMPLES, -1)
    return np.asarray(flat.T @ flat / SAMPLES)


def round_kernel(kernel: NDArray[np.float32], moments: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round a kernel to its 8-bit grid so that its outputs change least.

    Args:
        kernel: H×W×input×output.
        moments: of :func:`second_moments`.

    Returns:
        The kernel on its grid, symmetric, one scale for each output channel: what the QAT network
        leaves as it is. The largest weight of a channel stays, which keeps the scale.
    """
    weights = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    largest = np.abs(weights).max(0)
    scale = np.maximum(largest, MIN_KERNEL) / 127
    stays = np.where(largest >= MIN_KERNEL, np.abs(weights).argmax(0), -1)
    kept = np.sign(weights[stays, np.arange(len(stays))]) * 127
    damped = moments + np.eye(len(moments)) * (DAMPING * np.diag(moments).mean() + 1e-9)
    order = np.argsort(-np.diag(damped))  # those that count most have most left to adjust
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    rounded = np.empty_like(weights)
    left = weights[order]
    for row, place in enumerate(order):
        steps = np.clip(np.rint(left[row] / scale), -127, 127)
        rounded[place] = np.where(stays == place, kept, steps) * scale
        error = (left[row] - rounded[place]) / upper[row, row]
        left[row + 1 :] -= np.outer(upper[row, row + 1 :], error)
    return rounded.reshape(kernel.shape).astype(np.float32)


def round_depthwise(
    kernel: NDArray[np.float32], moments: NDArray[np.float64]
) -> NDArray[np.float32]:
    """:func:`round_kernel` of a depthwise kernel, H×W×C×1, each channel by its own moments."""
    channels = [
        round_kernel(kernel[:, :, [channel]], moments[channel])
        for channel in range(kernel.shape[2])
    ]
    return np.concatenate(channels, axis=2)
