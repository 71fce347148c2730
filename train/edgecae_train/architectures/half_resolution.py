"""A second network at half the resolution of a first one's result, and what it changes there.

Noise that cameras leave is coarse, above all that of colour: they blur it. To a network at full
resolution it looks like the picture. In means of 2×2 pixels it is finer (Lebrun, Colom and Morel,
"The noise clinic: a blind image denoising algorithm", 2015, who denoise each scale in its turn).

It reads the means of the noisy frame, too: where the two are alike, there was no noise. The change
of the means is enlarged bilinearly and added. The layers that take means and enlarge are
convolutions whose kernels stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import keras
from edgecae_train.architectures.layers import DepthToSpace, SpaceToDepth, UnitInterval

__all__ = ["FIXED", "PREFIX", "changed", "started", "to_half", "trained_part"]

PREFIX = "coarse_"
"""Of the names of all layers of the second network and around it."""

_MEAN, _NOISY_MEAN, _ENLARGED = (f"{PREFIX}{name}" for name in ("mean", "noisy_mean", "enlarged"))
FIXED = (_MEAN, _NOISY_MEAN, _ENLARGED)
"""The layers that are not trained."""

BLOCK = 2
"""Side of a block of pixels: of the first network's result, and of the second's input."""

COLOURS = 3


def _means() -> NDArray[np.float32]:
    """Kernel that makes a block of pixels their mean, 1×1×12×3."""
    kernel = np.zeros((1, 1, BLOCK**2 * COLOURS, COLOURS), np.float32)
    for colour in range(COLOURS):
        kernel[..., colour::COLOURS, colour] = 1 / BLOCK**2
    return kernel


def _bilinear() -> NDArray[np.float32]:
    """Kernel that makes a pixel a block, by bilinear interpolation, 3×3×3×12."""
    kernel = np.zeros((3, 3, COLOURS, BLOCK**2 * COLOURS), np.float32)
    first, second = np.array([[0.25, 0.75, 0], [0, 0.75, 0.25]])
    for place, (rows, columns) in enumerate(
        ((first, first), (first, second), (second, first), (second, second))
    ):
        for colour in range(COLOURS):
            kernel[:, :, colour, COLOURS * place + colour] = np.outer(rows, columns)
    return kernel


def _fixed(name: str, kernel: NDArray[np.float32]) -> Any:
    """A convolution that is not trained."""
    return keras.layers.Conv2D(
        kernel.shape[-1],
        kernel.shape[0],
        padding="same",
        name=name,
        dtype="float32",
        kernel_initializer=keras.initializers.Constant(kernel.tolist()),
        trainable=False,
    )


def to_half(blocks: Any, image: Any) -> Any:
    """The first network's result and the noisy frame at half their resolution, in blocks of pixels.

    Args:
        blocks: the result, N×H/2×W/2×12 in [0, 1].
        image: the noisy frame, alike.

    Returns:
        N×H/4×W/4×24 in [0, 1], of each pixel of a block the result's colours, then the frame's.
    """
    means = []
    for name, each in ((_MEAN, blocks), (_NOISY_MEAN, image)):
        mean = _fixed(name, _means())(each)
        bound = UnitInterval(straight_through=True, name=f"{name}_bounded", dtype="float32")
        means.append(bound(mean))
    both = keras.layers.Concatenate(name=f"{PREFIX}frames", dtype="float32")(means)
    return SpaceToDepth(BLOCK, name=f"{PREFIX}space_to_depth")(both)


def changed(blocks: Any, x: Any, small: Any, policy: str) -> Any:
    """The first network's result with the change that the second makes.

    At the start it makes none: the kernel of its last convolution is zero.

    Args:
        blocks: N×H/2×W/2×12 in [0, 1].
        x: the last features of the second network, N×H/4×W/4×C.
        small: what it reads, of :func:`to_half`.
        policy: Keras dtype policy of the hidden layers.

    Returns:
        N×H/2×W/2×12 in [0, 1].
    """
    layers = keras.layers
    features = UnitInterval(name=f"{PREFIX}features", dtype=policy)(x)
    joined = layers.Concatenate(name=f"{PREFIX}features_and_image", dtype="float32")(
        [features, small]
    )
    change = layers.Conv2D(
        BLOCK**2 * COLOURS,
        3,
        padding="same",
        name=f"{PREFIX}to_image",
        dtype="float32",
        kernel_initializer="zeros",
    )(joined)
    change = DepthToSpace(BLOCK, name=f"{PREFIX}depth_to_space", dtype="float32")(change)
    change = _fixed(_ENLARGED, _bilinear())(change)
    both = layers.Add(name=f"{PREFIX}added", dtype="float32")([blocks, change])
    return UnitInterval(straight_through=True, name=f"{PREFIX}denoised", dtype="float32")(both)


def started(values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Weights of the second network that make it do what another network does with a frame.

    Args:
        values: weights by name of a network for frames, as wide as the second one.

    Returns:
        Weights by name, of all layers of the second network but those that are fixed.
    """
    made = {f"{PREFIX}{name}": np.array(value) for name, value in values.items()}
    for name in ("down0_enter", "to_image"):
        key = f"{PREFIX}{name}/kernel"
        features = made[key].shape[2] - BLOCK**2 * COLOURS
        wide = (*made[key].shape[:2], features + 2 * BLOCK**2 * COLOURS, made[key].shape[3])
        kernel = np.zeros(wide, np.float32)
        kernel[:, :, :features] = made[key][:, :, :features]
        for place in range(BLOCK**2):
            old, new = (features + place * step for step in (COLOURS, 2 * COLOURS))
            kernel[:, :, new : new + COLOURS] = made[key][:, :, old : old + COLOURS]
            if name == "to_image":  # the change, not the frame
                colours = np.arange(COLOURS)
                kernel[1, 1, new + colours, place * COLOURS + colours] -= 1
        made[key] = kernel
    return made


def trained_part(values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights of the second network, without those that are fixed.

    Args:
        values: weights by name of a network that has a second one.
    """
    return {
        name: np.array(value)
        for name, value in values.items()
        if name.startswith(PREFIX) and name.split("/")[0] not in FIXED
    }
