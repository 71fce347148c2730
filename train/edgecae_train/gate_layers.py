"""The layers of a gate, as data: what says in a recurrent model where the history is forgotten.

The float network is built from them in :mod:`.architectures.gate`, and the int8 one in
:mod:`edgecae_convert.fusion`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AMPLIFIED",
    "BLOCK",
    "DIFFERENCE",
    "GAIN",
    "MAGNITUDE",
    "MAX_Q",
    "STATE",
    "Layer",
    "pyramid",
]

DIFFERENCE, MAGNITUDE, STATE, GAIN = "difference", "magnitude", "state", "gain"
"""What a gate sees, all at half the resolution of a frame: y − z (12 channels, at most 127/255
either way) times ``AMPLIFIED``, its absolute value likewise, z before this frame (12 channels, 0 to
1), and k before it (1 channel, 0 to 1)."""

BLOCK = 2
"""Side of the blocks of pixels that have one gain."""

AMPLIFIED = 8.0
"""Differences are small numbers; kernels of a usual size learn more from larger ones."""

MAX_Q = 8.5
"""The largest q: makes a gain of 0.99 of the smallest one."""


@dataclass(frozen=True)
class Layer:
    """A layer of a gate: a convolution (same padding) and ReLU6.

    The last layer has 4 channels and half the resolution of the blocks: depth-to-space makes q of
    them. It has a ReLU, and holds values up to ``MAX_Q``.

    Attributes:
        name: of its weights, ``NAME/kernel`` (height×width×inputs×outputs) and ``NAME/bias``.
        inputs: what it reads: earlier layers, or :data:`DIFFERENCE`, :data:`MAGNITUDE`,
            :data:`STATE` and :data:`GAIN`; several are put together along their channels, but for
            the state, which stands alone.
        stride: of the convolution.
        skip: an earlier layer of twice the height: the convolution has no activation then, its
            result goes through depth-to-space by 2, and is added to that layer before the ReLU6.
        channels: of the layer.
        size: side of the kernel.
    """

    name: str
    inputs: tuple[str, ...]
    stride: int = 1
    skip: str = ""
    channels: int = 4
    size: int = 1


def pyramid(width: int, low: int) -> tuple[Layer, ...]:
    """The layers of a gate that looks from blocks of 4 pixels up to a neighbourhood of 32 and more.

    Whether a block differs by motion or by noise alone is told by how much its surroundings do.

    Args:
        width: channels at a quarter of the resolution.
        low: channels below.
    """
    return (
        Layer("gate_change", (DIFFERENCE, MAGNITUDE, GAIN), 2, channels=width, size=2),
        Layer("gate_scene", (STATE,), 2, channels=4, size=2),
        Layer("gate_8", ("gate_change", "gate_scene"), 2, channels=low, size=3),
        Layer("gate_16", ("gate_8",), 2, channels=low, size=3),
        Layer("gate_16_conv", ("gate_16",), channels=low, size=3),
        Layer("gate_32", ("gate_16_conv",), 2, channels=low, size=3),
        Layer("gate_32_conv", ("gate_32",), channels=low, size=3),
        Layer("gate_up_16", ("gate_32_conv",), skip="gate_16_conv", channels=low),
        Layer("gate_up_8", ("gate_up_16",), skip="gate_8", channels=low),
        Layer("gate_up_4", ("gate_up_8",), skip="gate_change", channels=width),
        Layer("gate_q", ("gate_up_4",)),
    )
