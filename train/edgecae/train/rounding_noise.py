"""Noise in the place of int8's rounding, so that a float network learns to do with 8 bits.

Rounding has no gradient, and a network that is trained through it (QAT) is expensive to train and
moves little. Rounding to a fine grid is much like adding uniform noise as wide as its step, which
costs next to nothing and leaves the gradient as it is (Défossez et al., "Differentiable Model
Compression via Pseudo Quantization Noise", 2022, section 3, there for weights). The width follows
from the range of a tensor, so that ranges that only a few values need are paid for, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.train._tf import keras, tf
from edgecae.train.architectures import Architecture
from edgecae.train.equalize import equalize
from edgecae.train.quantize import needs_range
from edgecae.train.weights import load_weights

__all__ = ["RoundingNoise", "factors", "with_rounding_noise"]

POOL = 2**21
"""Random numbers that are drawn once. Each tensor of each step begins at another of the first half:
drawing them anew for every value would take as long as the network."""

STEPS = 255
"""Of 8 bits, from the lowest value to the highest."""

Numbers = Callable[[Any, Any], Any]
"""Gives as many uniform numbers between −½ and ½ as asked for, by a seed of two integers."""


class RoundingNoise(keras.layers.Layer):
    """Add uniform noise, as wide as a step of 8 bits over the range of the tensor, while training.

    Zero stays: it is exact in int8. The state is a counter among the weights, as with
    :class:`edgecae.train.layers.Dropout`.

    Args:
        factors: what equalization multiplies each channel with before it is rounded.
        strength: width of the noise in steps.
        numbers: where it comes from.
    """

    def __init__(
        self, factors: NDArray[np.float32], strength: float, numbers: Numbers, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.factors, self.strength, self.numbers = factors, strength, numbers

    def build(self, input_shape: Any) -> None:
        """Create the counter that the random numbers are keyed by."""
        self.counter = self.add_weight(
            name="counter",
            shape=(),
            dtype=tf.int32,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """See the class; N×H×W×C."""
        if not training:
            return inputs
        highest, lowest = (
            tf.cast(reduce(inputs, (0, 1, 2)), tf.float32) * self.factors
            for reduce in (tf.reduce_max, tf.reduce_min)
        )
        span = tf.maximum(tf.reduce_max(highest), 0.0) - tf.minimum(tf.reduce_min(lowest), 0.0)
        width = tf.cast(self.strength * span / STEPS / self.factors, inputs.dtype)
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context is not None else 0
        seed = tf.stack([tf.identity(self.counter), tf.cast(replica, tf.int32)])
        self.counter.assign_add(1)
        noise = tf.reshape(self.numbers(tf.size(inputs), seed), tf.shape(inputs))
        return inputs + tf.cast(noise, inputs.dtype) * width * tf.cast(inputs != 0, inputs.dtype)


def _numbers(dtype: Any) -> Numbers:
    """See :data:`Numbers`; drawn now."""
    drawn = tf.random.stateless_uniform((POOL,), (0, 0), -0.5, 0.5)
    pool = tf.Variable(tf.cast(drawn, dtype), trainable=False, dtype=dtype)
    half = POOL // 2

    def numbers(count: Any, seed: Any) -> Any:
        begin = tf.random.stateless_uniform((), seed, 0, half, tf.int32)
        return tf.tile(pool[begin : begin + half], [-(-count // half)])[:count]

    return numbers


def factors(
    architecture: Architecture,
    values: Mapping[str, Any],
    batches: Iterable[NDArray[np.float32]],
) -> dict[str, NDArray[np.float32]]:
    """What equalization would multiply each channel with, by layer.

    Args:
        architecture: which network.
        values: its float weights by name.
        batches: noisy pictures, N×H×W×3 in [0, 1], of the noise that it was trained for.
    """
    network = architecture.build(training=False)
    load_weights(network, values)
    return equalize(network, architecture.links, batches)


def with_rounding_noise(
    network: Any, factors: Mapping[str, NDArray[np.float32]], strength: float
) -> Any:
    """The same network, of the very same layers, with noise after all that int8 rounds.

    Args:
        network: functional, float; of it nothing but its weights should be used afterwards.
        factors: of :func:`factors`; ones for what is not in it.
        strength: see :class:`RoundingNoise`.
    """
    sources: dict[str, Numbers] = {}
    made: dict[int, Any] = {}
    for layer in network.layers:
        outputs = layer.output
        if isinstance(layer, keras.layers.InputLayer):
            made[id(outputs)] = outputs
            continue
        several = isinstance(layer.input, list)
        result = layer([made[id(x)] for x in layer.input] if several else made[id(layer.input)])
        if needs_range(layer):
            dtype = layer.compute_dtype
            if dtype not in sources:
                sources[dtype] = _numbers(dtype)
            each = factors.get(layer.name, np.ones(result.shape[-1], np.float32))
            name, policy = f"{layer.name}_rounding", layer.dtype_policy
            result = RoundingNoise(each, strength, sources[dtype], name=name, dtype=policy)(result)
        made[id(outputs)] = result
    return keras.Model(network.input, made[id(network.output)], name=network.name)
