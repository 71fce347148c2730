"""The float network of a gate (:mod:`edgecae_train.gate_layers`)."""

from __future__ import annotations

from typing import Any

from edgecae_train._tf import keras, tf
from edgecae_train.architectures.layers import DepthToSpace, LeakyReLU6
from edgecae_train.gate_layers import BLOCK, DIFFERENCE, GAIN, MAGNITUDE, MAX_Q, STATE, Layer

__all__ = ["build"]

_CHANNELS = {DIFFERENCE: 12, MAGNITUDE: 12, STATE: 12, GAIN: 1}


def build(layers: tuple[Layer, ...], leak: Any = None) -> Any:
    """Build the float network of a gate.

    Args:
        layers: in order, with names that differ.
        leak: a scalar variable, the slope of activations outside their bounds while training; None:
            they are what the int8 model has.

    Returns:
        A functional Keras model of ``[difference, magnitude, state, gain]``, each N×H/2×W/2×C (see
        :data:`DIFFERENCE`), to q, N×H/2×W/2×1.
    """
    inputs = {name: keras.Input((None, None, n), name=name) for name, n in _CHANNELS.items()}
    made = dict(inputs)
    relu6 = tf.nn.relu6 if leak is None else LeakyReLU6(leak)
    for layer in layers:
        read = [made[name] for name in layer.inputs]
        x = keras.layers.Concatenate(name=f"{layer.name}_inputs")(read) if read[1:] else read[0]
        last = layer is layers[-1]
        start = {
            "kernel_initializer": keras.initializers.VarianceScaling(0.1),
            "bias_initializer": keras.initializers.Constant(0.1),
        }
        x = keras.layers.Conv2D(
            4 * layer.channels if layer.skip else layer.channels,
            layer.size,
            layer.stride,
            "same",
            name=layer.name,
            **(start if last else {"kernel_initializer": "he_normal"}),
        )(x)
        if layer.skip:
            x = DepthToSpace(2, name=f"{layer.name}_up")(x)
            x = keras.layers.Add(name=f"{layer.name}_add")([x, made[layer.skip]])
        if not last:
            x = keras.layers.Activation(relu6, name=f"{layer.name}_relu6")(x)
        made[layer.name] = x
    q = DepthToSpace(BLOCK, name="gate_blocks")(made[layers[-1].name])
    slope = 0.0 if leak is None else leak

    def bounded(x: Any) -> Any:
        inside = tf.clip_by_value(x, 0.0, MAX_Q)
        return inside + slope * (x - inside)

    q = keras.layers.Activation(bounded, name="gate_bounded")(q)
    return keras.Model(list(inputs.values()), q, name="gate")
