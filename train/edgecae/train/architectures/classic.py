"""The convolutional autoencoder that edgecae grew from: the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecae.train._tf import keras
from edgecae.train.layers import Dropout, UnitInterval

__all__ = ["Classic"]


@dataclass(frozen=True)
class Classic:
    """Encoder of convolution and max pooling, decoder of transposed convolutions.

    Encoder: 3×3 convolution, ReLU, 2×2 max pooling, twice. Decoder: transposed convolution of
    stride 2, ReLU, nearest-neighbour up-sampling by 2, transposed convolution, sigmoid. There are
    no skips: all of the picture goes through the bottleneck of ``filters[1]`` channels at a
    quarter of the resolution.

    Attributes:
        filters: output channels of the two encoder convolutions; the first transposed
            convolution has ``filters[0]``.
        dropout: share of bottleneck units dropped in training.
    """

    filters: tuple[int, int] = (32, 64)
    dropout: float = 0.1

    loss = "mse"
    kind = "classic"
    stride = 4
    links = ()

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:  # noqa: ARG002
        """See :class:`edgecae.train.architectures.Architecture`."""
        layers = keras.layers
        first, second = self.filters
        inputs = layers.Input((None, None, 3), name="noisy")
        x = UnitInterval(name="frame")(inputs)
        for index, filters in enumerate((first, second), start=1):
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=f"encode{index}", dtype=policy
            )(x)
            x = layers.MaxPooling2D(2, name=f"pool{index}", dtype=policy)(x)
        if training and self.dropout:
            x = Dropout(self.dropout, name="dropout", dtype=policy)(x)
        x = layers.Conv2DTranspose(
            first, 3, strides=2, padding="same", activation="relu", name="decode1", dtype=policy
        )(x)
        x = layers.UpSampling2D(2, interpolation="nearest", name="upsample", dtype=policy)(x)
        x = layers.Conv2DTranspose(3, 3, padding="same", name="decode2", dtype="float32")(x)
        x = layers.Activation("sigmoid", name="sigmoid", dtype="float32")(x)
        outputs = UnitInterval(name="denoised", dtype="float32")(x)
        return keras.Model(inputs, outputs, name=self.kind)
