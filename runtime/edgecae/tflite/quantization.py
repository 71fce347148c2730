"""Numbers that integers of a tensor stand for: value = scale · (integer − zero point)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.tflite.graph import Tensor

__all__ = ["dequantize", "quantize", "representable"]


def dequantize(tensor: Tensor, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the numbers that stored values stand for.

    Args:
        tensor: whose values they are, with one scale or one for each channel; without a scale they
            stand for themselves.
        values: as stored, of the tensor's rank.
    """
    if not len(tensor.scale):
        return np.asarray(values, np.float64)
    scale, zero = _along_axis(tensor, values.ndim)
    return (np.asarray(values, np.float64) - zero) * scale


def quantize(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any]:
    """Return what a tensor stores for numbers: the nearest integers that its type has.

    Args:
        tensor: whose values they become; without a scale they stay floats, of its type.
        values: floats, of the tensor's rank.
    """
    kind = np.dtype(tensor.dtype)
    if not len(tensor.scale):
        return np.asarray(values, kind)
    scale, zero = _along_axis(tensor, values.ndim)
    limits = np.iinfo(kind)
    rounded = np.rint(np.asarray(values, np.float64) / scale + zero)
    return np.clip(rounded, limits.min, limits.max).astype(kind)


def representable(tensor: Tensor) -> tuple[float, float] | None:
    """Return the lowest and the highest number that a tensor of one scale holds.

    None for floats.
    """
    if not len(tensor.scale):
        return None
    limits = np.iinfo(tensor.dtype)
    scale, zero = float(tensor.scale[0]), int(tensor.zero[0])
    return (limits.min - zero) * scale, (limits.max - zero) * scale


def _along_axis(tensor: Tensor, rank: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scales and zero points in a shape that goes with values of a rank."""
    shape = [1] * rank
    if len(tensor.scale) > 1:
        shape[tensor.axis] = -1
    elif not rank:
        shape = []
    return tensor.scale.astype(np.float64).reshape(shape), tensor.zero.reshape(shape)
