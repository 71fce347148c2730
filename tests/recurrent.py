"""Recurrent models for tests: a fusion front before a shipped model, its gate made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import models
from edgecae_convert.fusion import DIFFERENCE, GAIN, STATE, Layer, attach

__all__ = ["STILL_SCENE", "WATCHFUL", "video_model"]

Gate = tuple[Sequence[Layer], Mapping[str, NDArray[Any]]]


def _convolution(name: str, kernel: NDArray[Any], bias: Any = 0.0) -> dict[str, NDArray[Any]]:
    return {
        f"{name}/kernel": kernel,
        f"{name}/bias": np.broadcast_to(np.float64(bias), kernel.shape[-1:]),
    }


def _still_scene() -> Gate:
    """q is always 0: the plain mean of all frames."""
    layers = [Layer("q", (DIFFERENCE, GAIN), 2)]
    return layers, _convolution("q", np.zeros((2, 2, 13, 4)))


def _watchful() -> Gate:
    """q grows with the mean difference of a neighbourhood, from 8 levels on.

    It looks at 12×12 pixels for each block of 2×2, so that noise hardly counts.
    """
    mean = np.full((6, 6, 12, 1), 1 / (6 * 6 * 12))
    either = np.concatenate([20 * mean, -20 * mean], axis=3)
    above = np.full((1, 1, 2, 4), 8.0)
    zero = np.zeros((2, 2, 12, 4))
    layers = [
        Layer("changed", (DIFFERENCE,), 2),
        Layer("seen", (STATE,), 2),
        Layer("coarse", ("changed", "seen"), 2),
        Layer("both", ("coarse",), skip="changed"),
        Layer("q", ("both",)),
    ]
    weights = {
        **_convolution("changed", either),
        **_convolution("seen", zero),
        **_convolution("coarse", np.zeros((3, 3, 6, 4))),
        **_convolution("both", np.zeros((1, 1, 4, 8))),
        **_convolution("q", above, -8 * 20 * 8 / 255),
    }
    return layers, weights


STILL_SCENE, WATCHFUL = _still_scene(), _watchful()


@cache
def _model(still: str, watchful: bool) -> bytes:
    content = models.find_model(still).read_bytes()
    return attach(content, *(WATCHFUL if watchful else STILL_SCENE), name=f"{still}-video")


def video_model(still: str = "nano", watchful: bool = False) -> bytes:
    """A recurrent model file; its gate is :data:`WATCHFUL` or :data:`STILL_SCENE`."""
    return _model(still, watchful)
