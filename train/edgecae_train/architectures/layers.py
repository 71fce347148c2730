"""Layers that the architectures share, beside those of Keras."""

from __future__ import annotations

from typing import Any

from edgecae_train._tf import keras, tf

__all__ = ["DepthToSpace", "Dropout", "LeakyReLU6", "SpaceToDepth", "UnitInterval", "unit_start"]


class SpaceToDepth(keras.layers.Layer):
    """Rearrange blocks of pixels into channels: N×H×W×C → N×H/b×W/b×(b²·C)."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return tf.nn.space_to_depth(inputs, self.block)

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the layer."""
        return {**super().get_config(), "block": self.block}


class DepthToSpace(SpaceToDepth):
    """Sub-pixel up-sampling, N×H×W×(b²·C) → N×(b·H)×(b·W)×C (Shi et al., ESPCN, 2016)."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return tf.nn.depth_to_space(inputs, self.block)


class UnitInterval(keras.layers.Layer):
    """Bound a tensor to [0, 1], the range of a frame.

    In the int8 file this is no operation at all: the tensor gets scale 1/255 and zero point −128,
    and whatever computes it saturates there. So ``quantized=True`` (the layer's form in the QAT
    model) rounds to these 256 levels, which also clips.

    Args:
        straight_through: let the gradient pass where the float value is clipped. For a network's
            result, which would learn nothing there; not for features.
        quantized: round to 8 bits over exactly [0, 1].
    """

    def __init__(
        self, straight_through: bool = False, quantized: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.straight_through = straight_through
        self.quantized = quantized

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """See the class."""
        if self.quantized:
            return tf.quantization.fake_quant_with_min_max_args(inputs, 0.0, 1.0, num_bits=8)
        clipped = tf.clip_by_value(inputs, 0.0, 1.0)
        if training and self.straight_through:
            return inputs + tf.stop_gradient(clipped - inputs)
        return clipped

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the layer."""
        config = super().get_config()
        return {
            **config,
            "straight_through": self.straight_through,
            "quantized": self.quantized,
        }


def unit_start() -> dict[str, Any]:
    """How a convolution before a ``UnitInterval`` starts: in the middle of [0, 1], well inside it.

    What it makes is clipped from both sides, and what starts at a bound gets no gradient.
    """
    return {
        "activation": None,
        "bias_initializer": keras.initializers.Constant(0.5),
        "kernel_initializer": keras.initializers.VarianceScaling(2 / 64),
    }


class LeakyReLU6:
    """ReLU6 that lets some of what lies beyond its bounds pass, for training.

    A unit of plain ReLU6 that is at a bound for every picture gets no gradient and stays there;
    with high rates that happens to most units of the lower levels within a thousand steps.

    Args:
        leak: scalar variable, the slope outside [0, 6]; at 0 this is ReLU6.
    """

    def __init__(self, leak: Any) -> None:
        self.leak = leak

    def __call__(self, x: Any) -> Any:
        """Activate a tensor of any shape."""
        inside = tf.nn.relu6(x)
        return inside + tf.cast(self.leak, x.dtype) * (x - inside)


class Dropout(keras.layers.Layer):
    """Dropout whose random state is a weight, so that a checkpoint holds it.

    Keras' own layer draws from a generator outside the model's weights: a resumed run would drop
    other units than the uninterrupted one.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

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
        """Zero a share ``rate`` of the units and scale the others, while training only."""
        if not training or self.rate == 0:
            return inputs
        # Read before the update, and every replica with a mask of its own.
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context is not None else 0
        seed = tf.stack([tf.identity(self.counter), tf.cast(replica, tf.int32)])
        self.counter.assign_add(1)
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the layer."""
        return {**super().get_config(), "rate": self.rate}
