"""An autoencoder made for int8: every convolution at reduced resolution, skips by addition."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from edgecae.errors import RecipeError
from edgecae_train._tf import keras, tf
from edgecae_train.architectures import half_resolution
from edgecae_train.architectures.layers import (
    DepthToSpace,
    LeakyReLU6,
    SpaceToDepth,
    UnitInterval,
    unit_start,
)
from edgecae_train.architectures.links import Link

__all__ = ["BLOCKS", "UNet", "to_blocks", "to_frame"]

BLOCKS = ("plain", "separable")
"""Kinds of blocks, see :class:`UNet`."""


class FeaturesThenImage(keras.initializers.Initializer):
    """Kernel of the last convolution: small over the features, zero over the image.

    Starting the linear path from the image at zero keeps the network from resting at the
    identity, where a narrow one would stay for thousands of steps. Starting the features at
    a quarter of He normal keeps the first steps, in which the image path is found, from closing
    them for good.
    """

    def __init__(self, features: int) -> None:
        self.features = features

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        """Return a kernel of ``shape``, taps H×W×input×output."""
        height, width, inputs, outputs = shape
        learned = keras.initializers.VarianceScaling(2 / 16)(
            (height, width, self.features, outputs), dtype
        )
        zero = tf.zeros((height, width, inputs - self.features, outputs), learned.dtype)
        return tf.concat([learned, zero], axis=2)

    def get_config(self) -> dict[str, Any]:
        """Keras' way to rebuild the initializer."""
        return {"features": self.features}


def to_blocks(x: Any, image: Any, policy: str) -> Any:
    """Build the end of a network: features and noisy frame, both bounded, to the clean frame.

    Args:
        x: the last features, N×H×W×C.
        image: the noisy frame in blocks of pixels (space-to-depth), N×H×W×channels in [0, 1].
        policy: Keras dtype policy of the hidden layers.

    Returns:
        The clean frame in blocks, like ``image``.
    """
    features = UnitInterval(name="features", dtype=policy)(x)
    joined = keras.layers.Concatenate(name="features_and_image", dtype="float32")([features, image])
    x = keras.layers.Conv2D(
        image.shape[-1],
        3,
        padding="same",
        name="to_image",
        dtype="float32",
        kernel_initializer=FeaturesThenImage(int(x.shape[-1])),
    )(joined)
    return UnitInterval(straight_through=True, name="denoised", dtype="float32")(x)


def to_frame(x: Any, image: Any, factor: int, policy: str) -> Any:
    """:func:`to_blocks`, and the frame from the blocks, N×H·factor×W·factor×3."""
    x = to_blocks(x, image, policy)
    return DepthToSpace(factor, name="depth_to_space", dtype="float32")(x)


@dataclass(frozen=True)
class UNet:
    """U-shaped autoencoder between space-to-depth and depth-to-space, predicting the clean frame.

    Down by 3×3 convolutions of stride 2, up by a 1×1 convolution and depth-to-space (sub-pixel),
    skips by addition (Ronneberger et al., U-Net, 2015, with sums for concatenations), ReLU6, no
    batch normalization.

    A block is one 3×3 convolution (``plain``), or (``separable``) a 3×3 depthwise one, 1×1 to
    ``hidden`` channels, 1×1 back, and the sum with what went in (Liu et al., "A ConvNet for the
    2020s", 2022, section 2.4, with one activation more, which bounds the sum): three times as many
    layers for the same number of multiplications.

    The last 3×3 convolution reads the features *and* the noisy frame, both bounded to [0, 1] and so
    quantized with the same scale 1/255: the picture itself reaches the result through the 32-bit
    accumulators of one convolution, whatever 8 bits do to the features.

    What it makes can go through a second such network at half the resolution, which takes away
    noise that is too coarse for the first (:mod:`.half_resolution`).

    Attributes:
        channels: width of each level, finest first.
        down: blocks of each level on the way down, besides the 3×3 convolution that enters it.
        up: blocks of each level but the lowest on the way up; at the finest 1 or more, of which
            the last is a 3×3 convolution to the features that the frame is made of.
        factor: of space-to-depth.
        block: ``plain`` or ``separable``.
        features: how many there are; 0: as many as the finest level is wide.
        hidden: width inside the separable blocks of each level; none: twice the level's.
        coarse: width of each level of the second network, finest first; none: there is no second.
            It has one plain block at its lowest level and one at its finest.
    """

    channels: tuple[int, ...]
    down: tuple[int, ...]
    up: tuple[int, ...]
    factor: int = 2
    block: str = "plain"
    features: int = 0
    hidden: tuple[int, ...] = ()
    coarse: tuple[int, ...] = ()

    loss = "charbonnier"
    kind = "unet"

    def __post_init__(self) -> None:
        """Refuse levels that don't agree.

        Raises:
            RecipeError: a tuple has another number of levels than ``channels``, the finest level
                has no block on the way up, or there is no such kind of block.
        """
        levels = len(self.channels)
        if (len(self.down), len(self.up)) != (levels, levels - 1) or levels < 2 or not self.up[0]:
            raise RecipeError(
                f"a network of {levels} levels needs two or more, as many numbers in down, one "
                f"less in up, the first of which is 1 or more: {self}"
            )
        if self.hidden and len(self.hidden) != levels:
            raise RecipeError(f"hidden is empty or has {levels} numbers, one a level: {self}")
        if self.block not in BLOCKS:
            raise RecipeError(f"a block is {' or '.join(BLOCKS)}, not {self.block!r}")
        if self.coarse and (self.factor != 2 or len(self.coarse) < 2):
            raise RecipeError(
                f"a network at half the resolution needs two levels or more, and a factor of 2 "
                f"before it: {self}"
            )

    @property
    def second(self) -> UNet | None:
        """The network at half the resolution of this one's result."""
        above = len(self.coarse) - 1
        within = (0,) * (above - 1)
        return UNet(self.coarse, (0, *within, 1), (1, *within)) if self.coarse else None

    @property
    def stride(self) -> int:
        """H and W must be multiples of this."""
        own = int(self.factor * 2 ** (len(self.channels) - 1))
        return own if self.second is None else max(own, 2 * self.second.stride)

    @property
    def links(self) -> tuple[Link, ...]:
        """See :class:`edgecae_train.architectures.Architecture`."""
        if self.second is not None:
            second = (link.renamed(half_resolution.PREFIX) for link in self.second.links)
            return (*dataclasses.replace(self, coarse=()).links, *second)
        lowest = len(self.channels) - 1
        last = f"up0_conv{self.up[0] - 1}"
        features = Link((last,), ("to_image",), ("features",), bound=1.0)
        if self.block == "separable":
            return (*self._separable_links(last), features)
        down = [
            [f"down{level}_enter", *(f"down{level}_conv{i}" for i in range(count))]
            for level, count in enumerate(self.down)
        ]
        up = [
            [f"up{level}_enter", *(f"up{level}_conv{i}" for i in range(count))]
            for level, count in enumerate(self.up[:lowest])
        ]
        chains = [*down, *(convs[1:] for convs in up)]
        found = [
            Link((one,), (next_,), (one,)) for chain in chains for one, next_ in pairwise(chain)
        ]
        for level in range(lowest):
            above = f"up{level - 1}_enter"
            reader = up[level][1] if self.up[level] else above
            found.append(
                Link(
                    (down[level][-1], f"up{level}_enter"),
                    (f"down{level + 1}_enter", reader),
                    (down[level][-1], f"up{level}_depth_to_space", f"up{level}_add"),
                )
            )
            if level and self.up[level]:
                found.append(Link((up[level][-1],), (above,), (up[level][-1],)))
        found.append(Link((down[-1][-1],), (f"up{lowest - 1}_enter",), (down[-1][-1],)))
        return (*found, features)

    def _separable_links(self, last: str) -> tuple[Link, ...]:
        """Links of all but the features: two in each block, and the sums of each level."""
        found = []
        for level, below in enumerate(self.down):
            lowest = level == len(self.channels) - 1
            above = 0 if lowest else self.up[level] - (not level)
            blocks = [f"down{level}_block{i}" for i in range(below)]
            blocks += [f"up{level}_block{i}" for i in range(above)]
            for name in blocks:
                within = f"{name}_depthwise", f"{name}_expand", f"{name}_project"
                found += [Link((a,), (b,), (a,)) for a, b in pairwise(within)]
            # All blocks add to the same channels, on the way down and up.
            writers, seen = [f"down{level}_enter"], [f"down{level}_enter"]
            readers = [f"up{level - 1}_enter" if level else last]
            if not lowest:
                writers.append(f"up{level}_enter")
                seen += [f"up{level}_depth_to_space", f"up{level}_add"]
                readers.append(f"down{level + 1}_enter")
            for name in blocks:
                writers.append(f"{name}_project")
                readers.append(f"{name}_depthwise")
                seen += [f"{name}_project", f"{name}_relu6"]
            found.append(Link(tuple(writers), tuple(readers), tuple(seen)))
        return tuple(found)

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:  # noqa: ARG002
        """See :class:`edgecae_train.architectures.Architecture`."""
        layers = keras.layers
        relu6 = "relu6" if leak is None else LeakyReLU6(leak)

        def conv(x: Any, width: int, name: str, size: int = 3, **kwargs: Any) -> Any:
            kwargs = {"activation": relu6, "kernel_initializer": "he_normal", **kwargs}
            return layers.Conv2D(width, size, padding="same", name=name, dtype=policy, **kwargs)(x)

        def separable(x: Any, width: int, hidden: int, name: str) -> Any:
            y = layers.DepthwiseConv2D(
                3,
                padding="same",
                name=f"{name}_depthwise",
                dtype=policy,
                # Each output has 9 inputs; Keras counts those of all channels.
                depthwise_initializer=keras.initializers.VarianceScaling(width),
            )(x)
            y = conv(y, hidden, f"{name}_expand", size=1)
            small = keras.initializers.VarianceScaling(0.1)
            y = conv(y, width, f"{name}_project", 1, activation=None, kernel_initializer=small)
            y = layers.Add(name=f"{name}_add", dtype=policy)([x, y])
            # Without the leak: the channels of a sum have many that keep them alive, and
            # TensorFlow's optimizer of graphs gives up where a sum has another reader.
            return layers.Activation("relu6", name=f"{name}_relu6", dtype=policy)(y)

        def block(net: UNet, x: Any, level: int, name: str, index: int) -> Any:
            width = net.channels[level]
            if net.block == "separable":
                hidden = net.hidden[level] if net.hidden else 2 * width
                return separable(x, width, hidden, f"{name}_block{index}")
            return conv(x, width, f"{name}_conv{index}")

        def last_features(net: UNet, x: Any, at: str = "") -> Any:
            skips = []
            for level, (width, count) in enumerate(zip(net.channels, net.down, strict=True)):
                if level:
                    skips.append(x)
                x = conv(x, width, f"{at}down{level}_enter", strides=2 if level else 1)
                for index in range(count):
                    x = block(net, x, level, f"{at}down{level}", index)
            for level in reversed(range(len(skips))):
                width = net.channels[level]
                x = conv(x, 4 * width, f"{at}up{level}_enter", size=1, activation=None)
                x = DepthToSpace(2, name=f"{at}up{level}_depth_to_space", dtype=policy)(x)
                x = layers.Add(name=f"{at}up{level}_add", dtype=policy)([x, skips[level]])
                last = net.up[level] - (not level)
                for index in range(last):
                    x = block(net, x, level, f"{at}up{level}", index)
                if not level:
                    x = conv(x, net.features or width, f"{at}up0_conv{last}", **unit_start())
            return x

        inputs = layers.Input((None, None, 3), name="noisy")
        frame = UnitInterval(name="frame")(inputs)
        image = SpaceToDepth(self.factor, name="space_to_depth")(frame)
        blocks = to_blocks(last_features(self, image), image, policy)
        if self.second is not None:
            small = half_resolution.to_half(blocks, image)
            features = last_features(self.second, small, half_resolution.PREFIX)
            blocks = half_resolution.changed(blocks, features, small, policy)
        outputs = DepthToSpace(self.factor, name="depth_to_space", dtype="float32")(blocks)
        return keras.Model(inputs, outputs, name=self.kind)
