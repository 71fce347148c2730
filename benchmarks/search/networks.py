"""Networks that were compared on the way to the shipped ones: the U-Net with more switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecae_train._tf import keras, tf
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.layers import DepthToSpace, SpaceToDepth, UnitInterval, unit_start
from edgecae_train.architectures.unet import to_frame

__all__ = ["Candidate", "kmacs"]


def _master(variable: Any) -> Any:
    """The float32 variable behind one that mixed precision casts when it is read."""
    return getattr(variable, "_variable", variable)


class CollapsibleConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is a sum of linear branches while it trains.

    Branches: itself, the identity (RepVGG, DiracNets) where input and output are alike, and with
    ``expand`` > 0 a k×k convolution to that many channels followed by a 1×1 one (SESR). They are
    summed as kernels in each step, which costs next to nothing beside the convolution.
    """

    def __init__(self, *args: Any, expand: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expand = expand

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        inputs = int(input_shape[-1])
        self.identity = inputs == self.filters and self.strides == (1, 1)
        if self.expand:
            self.first = self.add_weight(
                name="first",
                shape=(*self.kernel_size, inputs, self.expand),
                initializer="he_normal",
            )
            self.second = self.add_weight(
                name="second",
                shape=(self.expand, self.filters),
                initializer=keras.initializers.VarianceScaling(0.1),
            )

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        total = _master(self.kernel)
        if self.expand:
            total = total + tf.einsum("hwim,mo->hwio", _master(self.first), _master(self.second))
        if self.identity:
            middle = [[side // 2, side - 1 - side // 2] for side in self.kernel_size]
            one = tf.eye(self.filters)[None, None]
            total = total + tf.pad(one, [*middle, [0, 0], [0, 0]])
        return super().convolution_op(inputs, tf.cast(total, kernel.dtype))


@dataclass(frozen=True)
class Candidate:
    """A U-Net to compare; see :class:`edgecae_train.architectures.unet.UNet`.

    Attributes:
        channels: width of each level, finest first.
        down: blocks of each level on the way down, besides the convolution that enters it.
        up: blocks of each level but the lowest on the way up.
        block: ``plain``; ``residual``: x + conv(relu(conv(x))); ``bottleneck``: 3×3 to half the
            channels, 1×1 back, added; ``pointwise``: 3×3, then 1×1; ``separable``: 1×1 to twice
            the channels, depthwise 3×3, 1×1 back, added.
        collapsible: expansion of collapsible blocks; 0: only their identity; −1: none.
        activation: of every block.
        factor: of space-to-depth.
        features: channels that the last convolution reads beside the image; 0: of the finest level.
        loss: see :mod:`edgecae_train.recipe`.
    """

    channels: tuple[int, ...] = (24, 40, 64)
    down: tuple[int, ...] = (0, 1, 2)
    up: tuple[int, ...] = (1, 1)
    block: str = "plain"
    collapsible: int = -1
    activation: str = "relu6"
    factor: int = 2
    features: int = 0
    loss: str = "charbonnier"

    kind = "candidate"

    links = ()

    @property
    def stride(self) -> int:
        """H and W must be multiples of this."""
        return int(self.factor * 2 ** (len(self.channels) - 1))

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:  # noqa: ARG002
        """See :class:`edgecae_train.architectures.Architecture`."""
        layers = keras.layers
        kernels = {"kernel_initializer": "he_normal"}

        def conv(x: Any, width: int, name: str, size: int = 3, **kwargs: Any) -> Any:
            options = {"activation": self.activation, "padding": "same", **kernels, **kwargs}
            if self.collapsible >= 0 and size == 3:
                options["expand"] = self.collapsible
                return CollapsibleConv2D(width, size, name=name, dtype=policy, **options)(x)
            return layers.Conv2D(width, size, name=name, dtype=policy, **options)(x)

        def block(x: Any, width: int, name: str, **last: Any) -> Any:
            def add(y: Any) -> Any:
                y = layers.Add(name=f"{name}_add", dtype=policy)([x, y])
                act = layers.Activation(self.activation, name=f"{name}_act", dtype=policy)
                return act(y) if self.activation == "relu6" else y

            if last:
                return conv(x, width, name, **last)
            if self.block == "residual":
                y = conv(x, width, f"{name}_a")
                return add(conv(y, width, f"{name}_b", activation=None))
            if self.block == "bottleneck":
                y = conv(x, width // 2, f"{name}_a")
                return add(conv(y, width, f"{name}_b", size=1, activation=None))
            if self.block == "pointwise":
                y = conv(x, width, f"{name}_a")
                return conv(y, width, f"{name}_b", size=1)
            if self.block == "separable":
                y = conv(x, 2 * width, f"{name}_a", size=1)
                y = layers.DepthwiseConv2D(
                    3, padding="same", activation=self.activation, name=f"{name}_b", dtype=policy
                )(y)
                return add(conv(y, width, f"{name}_c", size=1, activation=None))
            return conv(x, width, name)

        inputs = layers.Input((None, None, 3), name="noisy")
        frame = UnitInterval(name="frame")(inputs)
        image = x = SpaceToDepth(self.factor, name="space_to_depth")(frame)
        skips = []
        for level, width in enumerate(self.channels):
            if level:
                skips.append(x)
            x = conv(x, width, f"down{level}_enter", strides=2 if level else 1)
            for index in range(self.down[level]):
                x = block(x, width, f"down{level}_{index}")
        for level in reversed(range(len(skips))):
            width = self.channels[level]
            x = conv(x, 4 * width, f"up{level}_enter", size=1, activation=None)
            x = DepthToSpace(2, name=f"up{level}_depth_to_space", dtype=policy)(x)
            x = layers.Add(name=f"up{level}_add", dtype=policy)([x, skips[level]])
            for index in range(self.up[level]):
                ends = level == 0 and index == self.up[level] - 1
                last = unit_start() if ends else {}
                wide = self.features or width if ends else width
                x = block(x, wide, f"up{level}_{index}", **last)
        outputs = to_frame(x, image, self.factor, policy)
        return keras.Model(inputs, outputs, name=self.kind)


def kmacs(candidate: Architecture) -> float:
    """Thousands of multiply-accumulates a pixel, of the convolutions."""
    side = candidate.stride * 2
    model = candidate.build()
    probe = keras.Model(model.input, [layer.output for layer in model.layers])
    shapes = probe.compute_output_shape((1, side, side, 3))
    total = 0.0
    for layer, shape in zip(model.layers, shapes, strict=True):
        if isinstance(layer, keras.layers.Conv2D):
            weights = int(layer.kernel.shape.num_elements())
            total += weights * shape[1] * shape[2]
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            total += int(layer.depthwise_kernel.shape.num_elements()) * shape[1] * shape[2]
    return total / side**2 / 1000
