"""Quantization-aware training: the network with the rounding of its int8 twin in it.

Every rounding is stated here, none is left to a framework's defaults:

- weights: 8 bits, symmetric, one scale per output channel (transposed convolutions: per kernel;
  tfmot's own scheme has one per kernel for depthwise ones, too, which costs those most),
  taken from the weights as they are; they start where :mod:`.rounding` puts them;
- activations: 8 bits, one range per tensor, set by :func:`calibrate` on the float network and
  fixed from then on (tfmot's own observers start at [−6, 6] and drift towards the truth with a
  decay of 0.999 a step, which costs more than the quantization itself);
- the frame, the result and whatever else passes a ``UnitInterval``: exactly [0, 1], scale 1/255;
- biases: left alone, TFLite keeps them as int32 at the scale of the accumulators.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, sections 2 and 3; the wrapper layers are tensorflow-model-optimization's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import keras, tf, tfmot
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.layers import UnitInterval
from edgecae_train.quantization.equalize import equalize
from edgecae_train.quantization.rounding import (
    MIN_KERNEL,
    round_depthwise,
    round_kernel,
    second_moments,
)
from edgecae_train.weights import copy_weights, load_weights, named_weights

__all__ = ["Calibration", "calibrate", "post_training", "quantize"]

log = logging.getLogger(__name__)

TAIL = 5e-6
"""Share of an activation's values that lie beyond each end of its range."""

MIN_RANGE = 0.05
"""Of an activation: one that is all zero still needs a scale, and one of its neighbours' order."""

SIGMOID_RANGE = (0.0, 255.0 / 256.0)
"""TFLite fixes the result of its int8 sigmoid at scale 1/256, zero point −128."""


class WeightQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Symmetric 8-bit rounding of a kernel.

    Args:
        per_channel: one scale for each output channel; else one for all. The converter takes a
            per-channel rounding along the last axis alone: that is where a convolution has its
            output channels, and a depthwise one once its kernel, H×W×C×1, is reshaped, but not a
            transposed one.
    """

    def __init__(self, per_channel: bool) -> None:
        self.per_channel = per_channel

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002
        """No variables: the range follows from the weights."""
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Round ``inputs``; the range is the largest magnitude, so there is nothing to track."""
        shape = inputs.shape
        if self.per_channel and shape[-1] == 1:
            depthwise = tf.reshape(inputs, (*shape[:2], 1, shape[2]))
            return tf.reshape(self(depthwise, training, weights), shape)
        axes = (0, 1, 2) if self.per_channel else None
        limit = tf.maximum(tf.stop_gradient(tf.reduce_max(tf.abs(inputs), axis=axes)), MIN_KERNEL)
        rounding = (
            tf.quantization.fake_quant_with_min_max_vars_per_channel
            if self.per_channel
            else tf.quantization.fake_quant_with_min_max_vars
        )
        return rounding(inputs, -limit, limit, num_bits=8, narrow_range=True)

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the quantizer."""
        return {"per_channel": self.per_channel}


class RangeQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """8-bit rounding of an activation over a range that stays as it was set."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = float(low), float(high)

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002
        """Keep the range in two variables, so that weights of a QAT run carry it."""

        def bound(which: str, value: float) -> Any:
            return layer.add_weight(
                name=f"{name}_{which}",
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )

        return {"min": bound("min", self.low), "max": bound("max", self.high)}

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Clip to the range and round to 256 levels, one of which is exactly zero."""
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, weights["min"], weights["max"], num_bits=8
        )

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the quantizer."""
        return {"low": self.low, "high": self.high}


class LayerConfig(tfmot.quantization.keras.QuantizeConfig):
    """What tfmot rounds of one layer: its kernel, its output, either or both."""

    def __init__(self, kernel: WeightQuantizer | None, output: tuple[float, float] | None) -> None:
        self.kernel = kernel
        self.output = output

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """See tfmot's ``QuantizeConfig``."""
        return [] if self.kernel is None else [(getattr(layer, _kernel(layer)), self.kernel)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """See tfmot's ``QuantizeConfig``."""
        if quantize_weights:
            setattr(layer, _kernel(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        """See tfmot's ``QuantizeConfig``: activations are rounded as the layer's output."""
        return []

    def set_quantize_activations(  # tfmot's name and arguments
        self,
        layer: Any,  # noqa: ARG002
        quantize_activations: list[Any],
    ) -> None:
        """See tfmot's ``QuantizeConfig``."""
        assert not quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        """See tfmot's ``QuantizeConfig``."""
        return [] if self.output is None else [RangeQuantizer(*self.output)]

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the configuration."""
        return {"kernel": self.kernel, "output": self.output}


_PER_CHANNEL = {
    keras.layers.Conv2D: True,
    keras.layers.DepthwiseConv2D: True,
    keras.layers.Conv2DTranspose: False,
}

_ROUNDED = {keras.layers.Conv2D: round_kernel, keras.layers.DepthwiseConv2D: round_depthwise}


def _kernel(layer: Any) -> str:
    """Name of a convolution's kernel."""
    return "depthwise_kernel" if isinstance(layer, keras.layers.DepthwiseConv2D) else "kernel"


def _is_sigmoid(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Activation) and layer.activation is (
        keras.activations.sigmoid
    )


def _bounded_next(layer: Any) -> bool:
    """Whether all that reads ``layer`` bounds it, in the same operation, and does the rounding."""
    readers = [node.outbound_layer for node in layer.outbound_nodes]
    bounds = (UnitInterval, keras.layers.Activation)
    return bool(readers) and all(
        isinstance(reader, bounds) and not _is_sigmoid(reader) for reader in readers
    )


def _needs_range(layer: Any) -> bool:
    computes = isinstance(layer, keras.layers.Add | keras.layers.Activation) or (
        type(layer) in _PER_CHANNEL
    )
    return computes and not _bounded_next(layer) and not _is_sigmoid(layer)


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` saw of a float network at work.

    Attributes:
        ranges: lowest and highest value of each activation that is rounded, by layer name; each
            range holds zero and all but the ``TAIL`` at each end of what was seen: a rare outlier
            is cheaper clipped than paid for with everybody's step.
        moments: of what each convolution reads, by its name: see
            :func:`edgecae_train.quantization.rounding.second_moments`.
    """

    ranges: Mapping[str, tuple[float, float]]
    moments: Mapping[str, NDArray[np.float64]]


def calibrate(model: Any, batches: Iterable[NDArray[np.float32]]) -> Calibration:
    """Watch a float network at work.

    Args:
        model: the float network, trained, in float32.
        batches: noisy pictures, N×H×W×3 in [0, 1], of the noise that it was trained for.
    """
    ranged = [layer for layer in model.layers if _needs_range(layer)]
    rounded = [layer for layer in model.layers if type(layer) in _ROUNDED]
    taps = keras.Model(
        model.input, [layer.output for layer in ranged] + [layer.input for layer in rounded]
    )
    edges = np.array([TAIL, 1 - TAIL])
    rng = np.random.default_rng(0)
    ends: list[list[NDArray[np.float64]]] = []
    moments: list[NDArray[np.float64]] = []
    for batch in batches:
        seen = taps.predict_on_batch(batch)
        ends.append([np.quantile(x, edges) for x in seen[: len(ranged)]])
        read = zip(rounded, seen[len(ranged) :], strict=True)
        found = [second_moments(layer, inputs, rng) for layer, inputs in read]
        moments = [a + b for a, b in zip(moments, found, strict=True)] if moments else found
    low, high = np.mean(ends, axis=0).T
    low = np.minimum(low, 0.0)
    for layer, span in zip(ranged, high - low, strict=True):
        if span < MIN_RANGE:
            log.warning(
                "%s: its results lie within %g, whatever the picture: it is dead or nearly so, and "
                "what leads there is lost to the network. A lower learning rate may keep it",
                layer.name,
                MIN_RANGE,
            )
    high = np.maximum(high, low + MIN_RANGE)
    return Calibration(
        {layer.name: (float(a), float(b)) for layer, a, b in zip(ranged, low, high, strict=True)},
        {layer.name: m / len(ends) for layer, m in zip(rounded, moments, strict=True)},
    )


def quantize(
    architecture: Architecture, calibration: Calibration | None = None, source: Any = None
) -> Any:
    """Build the QAT network of an architecture.

    Args:
        architecture: which network.
        calibration: of ``source``; left out, like ``source``, where QAT weights, which hold the
            ranges, are loaded afterwards.
        source: a float network of the same architecture, whose weights are copied by name, those
            of convolutions rounded (transposed ones are left to the network's own rounding).

    Returns:
        A Keras model that computes in float32 what the int8 file computes in integers.
    """
    float_model = architecture.build(training=False)

    def clone(layer: Any) -> Any:
        if isinstance(layer, UnitInterval):
            return UnitInterval.from_config({**layer.get_config(), "quantized": True})
        output: tuple[float, float] | None = None
        if _needs_range(layer):
            output = (0.0, 1.0) if calibration is None else calibration.ranges[layer.name]
        elif _is_sigmoid(layer):
            output = SIGMOID_RANGE
        per_channel = _PER_CHANNEL.get(type(layer))
        kernel = None if per_channel is None else WeightQuantizer(per_channel)
        config = layer.get_config()
        config.pop("kernel_initializer", None)  # the weights come from elsewhere
        twin = layer.__class__.from_config(config)
        if output is None and kernel is None:
            return twin
        return tfmot.quantization.keras.QuantizeWrapperV2(
            twin, LayerConfig(kernel, output), name_prefix=""
        )

    model = keras.models.clone_model(float_model, clone_function=clone)
    if source is not None:
        copy_weights(source, model)
        kernels = named_weights(model)
        for layer in float_model.layers:
            if calibration is not None and type(layer) in _ROUNDED:
                kernel = kernels[f"{layer.name}/{_kernel(layer)}"]
                moments = calibration.moments[layer.name]
                kernel.assign(_ROUNDED[type(layer)](kernel.numpy(), moments))
    return model


def post_training(
    architecture: Architecture,
    values: Mapping[str, Any],
    batches: Callable[[], Iterator[NDArray[np.float32]]],
) -> tuple[Any, Any]:
    """Quantize a trained network without training it further: equalize, calibrate, round.

    Where QAT starts, and what post-training quantization (PTQ) ends with.

    Args:
        architecture: which network.
        values: its float weights by name.
        batches: starts anew on noisy pictures, N×H×W×3 in [0, 1], of the noise that the network
            was trained for; called twice.

    Returns:
        The float network, equalized, and its QAT form, rounded and with its ranges set.
    """
    network = architecture.build(training=False)
    load_weights(network, values)
    equalize(network, architecture.links, batches())
    return network, quantize(architecture, calibrate(network, batches()), network)
