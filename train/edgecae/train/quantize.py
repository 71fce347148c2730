"""Quantization-aware training: the network with the rounding of its int8 twin in it.

Every rounding is stated here, none is left to a framework's defaults:

- weights: 8 bits, symmetric, one scale per output channel (transposed convolutions: per kernel),
  taken from the weights as they are;
- activations: 8 bits, one range per tensor, set by :func:`calibrate` on the float network and
  fixed from then on (tfmot's own observers start at [−6, 6] and drift towards the truth with a
  decay of 0.999 a step, which costs more than the quantization itself);
- the frame, the result and whatever else passes a ``UnitInterval``: exactly [0, 1], scale 1/255;
- biases: left alone, TFLite keeps them as int32 at the scale of the accumulators.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, sections 2 and 3; the wrapper layers are tensorflow-model-optimization's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.train._tf import keras, tf, tfmot
from edgecae.train.architectures import Architecture
from edgecae.train.layers import UnitInterval
from edgecae.train.weights import copy_weights

__all__ = ["Ranges", "calibrate", "quantize"]

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest value of the activations, by layer name."""

SIGMOID_RANGE = (0.0, 255.0 / 256.0)
"""TFLite fixes the result of its int8 sigmoid at scale 1/256, zero point −128."""


class WeightQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Symmetric 8-bit rounding of a kernel.

    Args:
        per_channel: one scale for each index of the last axis, which counts the output channels of
            a convolution; else one for all. (A transposed convolution's output channels are not
            its last axis, and the converter refuses a per-channel rounding of any other.)
    """

    def __init__(self, per_channel: bool) -> None:
        self.per_channel = per_channel

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002
        """No variables: the range follows from the weights."""
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Round ``inputs``; the range is the largest magnitude, so there is nothing to track."""
        axes = (0, 1, 2) if self.per_channel else None
        limit = tf.maximum(tf.stop_gradient(tf.reduce_max(tf.abs(inputs), axis=axes)), 1e-6)
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
        return [] if self.kernel is None else [(layer.kernel, self.kernel)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """See tfmot's ``QuantizeConfig``."""
        if quantize_weights:
            (layer.kernel,) = quantize_weights

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


_PER_CHANNEL = {keras.layers.Conv2D: True, keras.layers.Conv2DTranspose: False}


def _bounded_next(layer: Any) -> bool:
    """Whether all that reads ``layer`` is a ``UnitInterval``, which then does the rounding."""
    readers = [node.outbound_layer for node in layer.outbound_nodes]
    return bool(readers) and all(isinstance(reader, UnitInterval) for reader in readers)


def _needs_range(layer: Any) -> bool:
    computes = isinstance(layer, keras.layers.Add) or type(layer) in _PER_CHANNEL
    return computes and not _bounded_next(layer)


def calibrate(model: Any, batches: Iterable[NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """Find the range of every activation that the int8 network rounds.

    Args:
        model: the float network, trained, in float32.
        batches: noisy pictures, N×H×W×3 in [0, 1], of the noise that it was trained for.

    Returns:
        Lowest and highest value seen, by layer name; each range holds zero.
    """
    watched = [layer for layer in model.layers if _needs_range(layer)]
    if not watched:
        return {}
    taps = keras.Model(model.input, [layer.output for layer in watched])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def extremes(batch: Any) -> Any:
        outputs = tf.nest.flatten(taps(batch, training=False))
        return [(tf.reduce_min(x), tf.reduce_max(x)) for x in outputs]

    low = np.zeros(len(watched))
    high = np.zeros(len(watched))
    for batch in batches:
        seen = np.array([[float(a), float(b)] for a, b in extremes(tf.constant(batch))])
        low, high = np.minimum(low, seen[:, 0]), np.maximum(high, seen[:, 1])
    high = np.maximum(high, low + 1e-3)  # a layer that is all zero still needs a scale
    return {
        layer.name: (float(a), float(b)) for layer, a, b in zip(watched, low, high, strict=True)
    }


def quantize(architecture: Architecture, ranges: Ranges | None = None, source: Any = None) -> Any:
    """Build the QAT network of an architecture.

    Args:
        architecture: which network.
        ranges: what :func:`calibrate` found; left out where weights that hold the ranges are
            loaded afterwards.
        source: a float network of the same architecture, whose weights are copied by name.

    Returns:
        A Keras model that computes in float32 what the int8 file computes in integers.
    """
    float_model = architecture.build(training=False)

    def clone(layer: Any) -> Any:
        if isinstance(layer, UnitInterval):
            return UnitInterval.from_config({**layer.get_config(), "quantized": True})
        output: tuple[float, float] | None = None
        if _needs_range(layer):
            output = (0.0, 1.0) if ranges is None else ranges[layer.name]
        elif isinstance(layer, keras.layers.Activation):
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
    return model
