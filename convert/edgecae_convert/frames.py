"""Networks of other frames than edgecae's: gray ones, and those whose values are not in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import tf

__all__ = ["FrameNetwork", "one_channel"]


class FrameNetwork(tf.Module):
    """A network that is called with RGB in [0, 1], whatever it takes itself.

    A colour frame goes through a network of gray frames channel by channel.

    Args:
        network: N×H×W×``channels`` to the same, called with ``training``.
        channels: 1 or 3.
        value_range: what black and white are to it.
    """

    def __init__(
        self, network: Any, channels: int = 3, value_range: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        super().__init__()
        self.network, self.channels = network, channels
        self.low, self.span = value_range[0], value_range[1] - value_range[0]

    def __call__(self, frame: Any, training: bool = False) -> Any:
        """Denoise N×H×W×3 in [0, 1]; float32."""
        if self.channels == 3:
            return self.single(frame, training)
        planes = (frame[..., channel : channel + 1] for channel in range(3))
        return tf.concat([self.single(each, training) for each in planes], 3)

    def single(self, frame: Any, training: bool = False) -> Any:
        """Denoise N×H×W×``channels`` in [0, 1]; float32.

        Multiplied and not divided, added and only where it is needed: TFLite computes this in int8.
        """
        if self.span != 1:
            frame = frame * self.span
        if self.low:
            frame = frame + self.low
        result = tf.cast(self.network(frame, training=training), tf.float32)
        if self.low:
            result = result - self.low
        return result * (1 / self.span) if self.span != 1 else result


def one_channel(pictures: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Take red of the first picture, 1×H×W×3, green of the next, and so on: 1×H×W×1."""
    for number, picture in enumerate(pictures):
        yield np.ascontiguousarray(picture[..., number % 3, None])
