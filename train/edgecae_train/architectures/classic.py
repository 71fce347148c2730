"""The convolutional autoencoder that edgecae grew from: the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecae_train._tf import keras
from edgecae_train.architectures.layers import Dropout, UnitInterval, unit_start

__all__ = ["Classic"]


@dataclass(frozen=True)
class Classic:
    """Encoder of convolution and max pooling, decoder of transposed convolutions.

    Encoder: 3×3 convolution, ReLU, 2×2 max pooling, twice. Decoder: transposed convolution of
    stride 2, ReLU, nearest-neighbour up-sampling by 2, transposed convolution, sigmoid. There are
    no skips: all of the picture goes through the bottleneck of ``filters[1]`` channels at a
    quarter of the resolution.

    That holds more numbers than the picture. With a ``latent`` it holds fewer, and the two halves
    are a compressor: one more 3×3 convolution makes the latent, bounded to [0, 1] so that all of
    its int8 values are in use, and the decoder starts from it.

    Attributes:
        filters: output channels of the two encoder convolutions; the first transposed
            convolution has ``filters[0]``.
        dropout: share of bottleneck units dropped in training, where there is no latent: of its
            few channels each counts.
        latent: channels of the latent; 0: none.
    """

    filters: tuple[int, int] = (32, 64)
    dropout: float = 0.1
    latent: int = 0

    loss = "mse"
    kind = "classic"
    stride = 4
    links = ()

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:  # noqa: ARG002
        """See :class:`edgecae_train.architectures.Architecture`."""
        layers = keras.layers
        first, second = self.filters
        inputs = layers.Input((None, None, 3), name="noisy")
        x = UnitInterval(name="frame")(inputs)
        for index, filters in enumerate((first, second), start=1):
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=f"encode{index}", dtype=policy
            )(x)
            x = layers.MaxPooling2D(2, name=f"pool{index}", dtype=policy)(x)
        if self.latent:
            x = layers.Conv2D(
                self.latent, 3, padding="same", name="to_latent", dtype=policy, **unit_start()
            )(x)
            x = UnitInterval(name="latent", dtype=policy)(x)
        elif training and self.dropout:
            x = Dropout(self.dropout, name="dropout", dtype=policy)(x)
        x = layers.Conv2DTranspose(
            first, 3, strides=2, padding="same", activation="relu", name="decode1", dtype=policy
        )(x)
        x = layers.UpSampling2D(2, interpolation="nearest", name="upsample", dtype=policy)(x)
        x = layers.Conv2DTranspose(3, 3, padding="same", name="decode2", dtype="float32")(x)
        x = layers.Activation("sigmoid", name="sigmoid", dtype="float32")(x)
        outputs = UnitInterval(name="denoised", dtype="float32")(x)
        return keras.Model(inputs, outputs, name=self.kind)
