"""Put a fusion front before a still model's file: a recurrent video model, int8 throughout.

What the front computes is :func:`edgecae_train.architectures.fusion.fused`::

    k ← σ(ln k + q)        z ← z + k · (y − z)

While q is 0, k is 1/2, 1/3, 1/4 … down to 9/256; q is 8.5 at most, which makes 0.99 of 9/256.

z has more than 8 bits, since a step of k = 1/32 is lost in them: ``state_high`` is z in whole
levels, and ``state_low`` what is left of it, in eighths of a level. With the smallest gain, a
difference of less than two levels moves z by less than half an eighth: noise carries z over that,
and where there is none, z stays within 1.5 levels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.denoise.states import RUNNING_MEAN
from edgecae.errors import ModelFileError
from edgecae.tflite import model_file, writer
from edgecae.tflite.graph import DENOISED, FRAME, decode, from_model
from edgecae.tflite.operators import RELU6, SAME
from edgecae.tflite.receptive_field import halo
from edgecae_train.gate_layers import (
    AMPLIFIED,
    BLOCK,
    DIFFERENCE,
    GAIN,
    MAGNITUDE,
    MAX_Q,
    STATE,
    Layer,
)

__all__ = ["attach"]

HALF = 0.5
"""Of the gain, so that it has the scale of differences."""
RELU = 1
"""TFLite's number of it."""


@dataclass(frozen=True)
class _Scale:
    """Quantization of a tensor: value = scale · (integer − zero)."""

    scale: float
    zero: int


LEVEL = 1 / 255
_FRAME = _Scale(LEVEL, -128)
_SIGNED = _Scale(2 * LEVEL, 0)
"""−1 to 1: differences of frames."""
_FINE = _Scale(LEVEL / 8, 0)
"""Eighths of a level, up to 16 levels."""
_WHOLE = _Scale(LEVEL, 0)
_GAIN = _Scale(1 / 256, -128)
_GAIN_USED = _Scale(1 / 255, -128)
"""The same integers stand for slightly more, so that the largest is a gain of 1."""
_RELU6 = _Scale(6 / 255, -128)
_Q = _Scale(MAX_Q / 255, -128)
_UP = _Scale(6 / 127, 0)
_LOG = _Scale(3.54 / 255, 127)
"""−3.54 to 0: logarithms of gains down to 1/34."""
_LOGIT = _Scale(8.31 / 255, -128 + round(3.54 / 8.31 * 255))
"""−3.54 to 4.77. A gain stops falling where the rounded step is none any more; with these two
ranges, that is at 9/256."""


class _Front:
    """Adds operations to a model, at half the resolution of a frame and below.

    Attributes:
        channels: of each tensor that was added, by its index.
        scales: likewise.
        reductions: how many times lower than the blocks it is, likewise.
    """

    def __init__(self, model: Any, shape: tuple[int, ...]) -> None:
        self.model, self.height, self.width = model, shape[1], shape[2]
        self.channels: dict[int, int] = {}
        self.scales: dict[int, _Scale] = {}
        self.reductions: dict[int, int] = {}

    def adopt(self, index: int, channels: int, scale: _Scale) -> int:
        """Take up a tensor of the model, at half the resolution of a frame."""
        self.channels[index], self.scales[index] = channels, scale
        self.reductions[index] = 1
        return index

    def tensor(self, name: str, channels: int, scale: _Scale, reduction: int = 1) -> int:
        """Add a tensor whose sides are those of the blocks divided by ``reduction``."""
        shape = [1, self.height // reduction, self.width // reduction, channels]
        index = writer.add_tensor(
            self.model,
            name,
            "int8",
            shape,
            signature=[1, -1, -1, channels],
            scale=[scale.scale],
            zero=scale.zero,
        )
        self.adopt(index, channels, scale)
        self.reductions[index] = reduction
        return index

    def apply(
        self,
        op: str,
        inputs: Sequence[int],
        name: str,
        scale: _Scale,
        channels: int | None = None,
        times: int = 1,
        **options: Any,
    ) -> int:
        """Add an operation and its result, ``times`` as high as its first input."""
        first = inputs[0]
        count = self.channels[first] if channels is None else channels
        out = self.tensor(name, count, scale, self.reductions[first] // times)
        table, version = _OPERATIONS[op]
        writer.add_operator(self.model, op, inputs, out, table, version, **options)
        return out

    def concatenate(self, inputs: Sequence[int], name: str) -> int:
        """Put tensors of one quantization together along their channels."""
        if len(inputs) == 1:
            return inputs[0]
        scale = self.scales[inputs[0]]
        if any(self.scales[index] != scale for index in inputs):
            raise ModelFileError(f"{name} have different scales: they can't be put together")
        channels = sum(self.channels[index] for index in inputs)
        return self.apply("CONCATENATION", inputs, name, scale, channels, axis=3)

    def convolve(
        self,
        source: int,
        name: str,
        kernel: NDArray[Any],
        bias: NDArray[Any],
        scale: _Scale,
        stride: int = 1,
        activation: int = 0,
    ) -> int:
        """Add a convolution with its float weights, a scale for each output channel."""
        given = self.scales[source]
        weights = np.transpose(np.asarray(kernel, np.float64), (3, 0, 1, 2))
        steps = np.maximum(np.abs(weights).max((1, 2, 3)), 1e-6) / 127
        rounded = np.rint(weights / steps[:, None, None, None]).astype(np.int8)
        sums = steps * given.scale
        taps = writer.add_tensor(
            self.model, f"{name}/kernel", "int8", rounded.shape, data=rounded, scale=steps.tolist()
        )
        addends = writer.add_tensor(
            self.model,
            f"{name}/bias",
            "int32",
            (len(steps),),
            data=np.rint(np.asarray(bias, np.float64) / sums).astype(np.int32),
            scale=sums.tolist(),
        )
        reduction = self.reductions[source] * stride
        if self.height % reduction or self.width % reduction:
            raise ModelFileError(f"the model's stored size has no part of 1/{2 * reduction}")
        out = self.tensor(name, len(steps), scale, reduction)
        writer.add_operator(
            self.model,
            "CONV_2D",
            [source, taps, addends],
            out,
            "Conv2DOptions",
            3,
            padding=SAME,
            stride_w=stride,
            stride_h=stride,
            activation=activation,
        )
        return out


_OPERATIONS = {
    "ADD": ("AddOptions", 2),
    "CONCATENATION": ("ConcatenationOptions", 2),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", 1),
    "LEAKY_RELU": ("LeakyReluOptions", 2),
    "LOG": ("", 2),
    "LOGISTIC": ("", 2),
    "MUL": ("MulOptions", 2),
    "QUANTIZE": ("QuantizeOptions", 2),
    "SUB": ("SubOptions", 2),
}
"""Table of options, and the version that takes int8."""


def attach(
    still: bytes, layers: Sequence[Layer], weights: Mapping[str, NDArray[Any]], **about: Any
) -> bytes:
    """Put a fusion front before a still model.

    Args:
        still: an int8 model file whose first operation is a space-to-depth by 2 of the frame.
        layers: of the gate, in order.
        weights: float, by the names that a layer describes; others are left alone.
        about: fields of :class:`edgecae.tflite.metadata.Metadata` that are others than the still
            model's. ``stride``, ``halo``, ``border`` and ``states`` follow from the graph and the
            still model; ``quality`` is empty unless given.

    Returns:
        A model file with the inputs ``frame``, ``state_high`` (z in levels, H/2×W/2×12),
        ``state_low`` (its rest, alike) and ``state_gain`` (k, H/2×W/2×1), and the outputs
        ``denoised`` and the new states.

    Raises:
        ModelFileError: ``still`` is no model file of edgecae, or none that a front fits, or layers
            and weights do not go together.
    """
    graph = decode(still)
    metadata = model_file.check(graph)
    fold = graph.operators[0]
    if (
        graph.half
        or graph.states
        or "float32" in graph.dtypes
        or not graph.open_size
        or fold.name != "SPACE_TO_DEPTH"
        or fold.options.block_size != BLOCK
        or sum(graph.frame in op.inputs for op in graph.operators) != 1
    ):
        raise ModelFileError(
            f"{metadata.name} takes no fusion front: it is not an int8 model for frames of any "
            f"size that begins with a space-to-depth by {BLOCK}"
        )
    model = writer.copy_model(graph.model)
    subgraph = model.subgraphs[0]
    rest = subgraph.operators[1:]
    del subgraph.operators[1:]
    front = _Front(model, fold.output.shape)
    noisy = front.adopt(fold.output.index, fold.output.shape[3], _FRAME)
    states, after = _recursion(front, noisy, layers, weights)
    for op in rest:
        op.inputs = np.array([after[0] if i == noisy else i for i in op.inputs], np.int32)
    subgraph.operators += rest
    writer.set_ends(model, [graph.frame.index, *states], [graph.denoised.index, *after])
    writer.sign(model, (FRAME, DENOISED), RUNNING_MEAN)
    channels = fold.output.shape[3]
    stride = math.lcm(metadata.stride, BLOCK * max(front.reductions.values()))
    # As its still model has, and not that of the larger stride, which is a matter of the gate.
    usual, border = (tiling.border(each, metadata.halo) for each in (BLOCK, metadata.stride))
    values = {
        "quality": {},
        **about,
        "stride": stride,
        "halo": halo(from_model(model)),
        "border": 0 if border == usual else border,
        "states": {
            "state_high": [BLOCK, channels, "frame"],
            "state_low": [BLOCK, channels, 0.0],
            "state_gain": [BLOCK, 1, 255 / 256],
        },
    }
    writer.set_metadata(model, dataclasses.replace(metadata, **values))
    made = writer.encode(model)
    model_file.check(decode(made))
    return made


def _recursion(
    front: _Front, noisy: int, layers: Sequence[Layer], weights: Mapping[str, NDArray[Any]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Add one step of the recursion; return the states before and after it, z first."""
    apply, count = front.apply, front.channels[noisy]
    high = front.tensor("state_high", count, _FRAME)
    low = front.tensor("state_low", count, _FINE)
    gain = front.tensor("state_gain", 1, _GAIN)
    # Odd differences round to one side in _SIGNED, which would move the mean of many frames by half
    # a level. So what is added up, and what the gate sees, is exact up to 127 levels.
    away = apply("SUB", [noisy, high], "difference_wide", _SIGNED)
    near = apply("SUB", [noisy, high], "difference", _WHOLE)
    given = {DIFFERENCE: near, STATE: high}
    if any(MAGNITUDE in layer.inputs for layer in layers):
        # XNNPACK has no ABS in int8; a leaky ReLU with a slope of −1 below zero is the same.
        given[MAGNITUDE] = apply("LEAKY_RELU", [near], "magnitude", _WHOLE, alpha=-1.0)
    if any(GAIN in layer.inputs for layer in layers):
        half = writer.add_tensor(
            front.model, "half", "int8", (1,), data=np.array([127], np.int8), scale=[HALF / 127]
        )
        given[GAIN] = apply("MUL", [gain, half], "half_gain", _WHOLE)
    q = _gate(front, given, layers, weights)
    logarithm = apply("LOG", [gain], "log_gain", _LOG)
    logit = apply("ADD", [logarithm, q], "logit", _LOGIT)
    new_gain = apply("LOGISTIC", [logit], "gain", _GAIN)
    # One gain for each channel: a convolution is quicker than to multiply by a broadcast tensor.
    ones = np.full((1, 1, 1, count), 256 / 255)
    each = front.convolve(new_gain, "gain_each", ones, np.zeros(count), _GAIN_USED)
    # k · (y − z) in eighths of a level, which hold up to 16 levels, and what is beyond them.
    fine = apply("MUL", [each, near], "step", _FINE)
    coarse = apply("MUL", [each, away], "step_coarse", _SIGNED)
    held = apply("QUANTIZE", [coarse], "step_held", _FINE)
    beyond = apply("SUB", [coarse, held], "step_beyond", _SIGNED)
    total = apply("ADD", [low, fine], "low_sum", _FINE)
    carry = apply("QUANTIZE", [total], "carry", _WHOLE)
    new_low = apply("SUB", [total, carry], "low_rest", _FINE)
    carried = apply("ADD", [high, carry], "high_sum", _FRAME)
    new_high = apply("ADD", [carried, beyond], "high_next", _FRAME)
    return (high, low, gain), (new_high, new_low, new_gain)


_FACTORS = {DIFFERENCE: AMPLIFIED, MAGNITUDE: AMPLIFIED, GAIN: 1 / HALF}
"""What a gate sees is in the file's tensors times these."""


def _factors(front: _Front, names: Sequence[str], inputs: Sequence[int]) -> NDArray[np.float64]:
    """What the weights of each input channel are multiplied by."""
    factors = [
        np.full(front.channels[index], _FACTORS.get(name, 1.0))
        for name, index in zip(names, inputs, strict=True)
    ]
    return np.concatenate(factors)


def _gate(
    front: _Front,
    made: dict[str, int],
    layers: Sequence[Layer],
    weights: Mapping[str, NDArray[Any]],
) -> int:
    """Add the gate; return q, one channel for each block."""
    made = dict(made)
    out = -1
    for layer in layers:
        try:
            kernel, bias = weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]
            inputs = [made[name] for name in layer.inputs]
            skip = made[layer.skip] if layer.skip else None
        except KeyError as error:
            raise ModelFileError(f"the gate's layer {layer.name} lacks {error}") from None
        source = front.concatenate(inputs, f"{layer.name}/inputs")
        read = front.channels[source]
        if kernel.shape[2:3] == (read,):
            kernel = kernel * _factors(front, layer.inputs, inputs)[:, None]
        if kernel.ndim != 4 or kernel.shape[2] != read or bias.shape != kernel.shape[3:]:
            raise ModelFileError(
                f"the gate's layer {layer.name} reads {read} channels, and its weights are "
                f"{kernel.shape} and {bias.shape}"
            )
        if skip is None:
            scale, activation = (_Q, RELU) if layer is layers[-1] else (_RELU6, RELU6)
            out = front.convolve(
                source, layer.name, kernel, bias, scale, layer.stride, activation=activation
            )
        else:
            signed = front.convolve(source, f"{layer.name}/low", kernel, bias, _UP, layer.stride)
            up = front.apply(
                "DEPTH_TO_SPACE", [signed], f"{layer.name}/up", _UP,
                len(bias) // 4, times=2, block_size=2,
            )  # fmt: skip
            out = front.apply("ADD", [skip, up], layer.name, _RELU6, activation=RELU6)
        made[layer.name] = out
    if out < 0 or (front.channels[out], front.reductions[out], front.scales[out]) != (
        BLOCK**2,
        BLOCK,
        _Q,
    ):
        raise ModelFileError("the gate's last layer has not 4 channels at a quarter of a frame")
    return front.apply("DEPTH_TO_SPACE", [out], "q", _Q, 1, times=2, block_size=2)
