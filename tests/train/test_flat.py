"""Flat colours in training: what the loss and the validation see of their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import TINY

from edgecae.errors import RecipeError
from edgecae_train import devices, evaluate, loop, recipe
from edgecae_train._tf import keras, tf
from edgecae_train.phase import TOLERANCE, Phase, picture_loss
from edgecae_train.recipe import Recipe

pytestmark = pytest.mark.slow


def test_the_loss_leaves_out_margins_and_what_a_flat_colour_may_be_off() -> None:
    def off(by: float) -> Any:
        """A network that adds ``by``."""
        inputs = keras.layers.Input((None, None, 3))
        bias = keras.initializers.Constant(by)
        layer = keras.layers.Conv2D(
            3, 1, kernel_initializer="zeros", bias_initializer=bias, name="conv"
        )
        return keras.Model(inputs, layer(inputs) + inputs)

    clean = np.full((2, 16, 16, 3), 100, np.uint8)
    noisy = clean.copy()
    noisy[1] += 10
    strategy = devices.choose("one").strategy

    def loss(by: float, **settings: Any) -> float:
        with strategy.scope():
            network = off(by)
            measured = picture_loss(network, "mse", **settings)
            phase = Phase(network, off(by), strategy, measured, "adam", 0.0, 0.0)
        return float(phase.step((tf.constant(noisy), tf.constant(clean)), 1e-9, 0))

    assert loss(3 / 255) == pytest.approx((9 + 169) / 2 / 255**2, rel=1e-3)
    beyond = 4 * (3 / 255 - TOLERANCE)
    got = loss(3 / 255, flat_weight=4.0)
    assert got == pytest.approx((beyond**2 + (13 / 255) ** 2) / 2, rel=1e-3)
    assert loss(0.5 / 255, flat_weight=4.0) == pytest.approx((10.5 / 255) ** 2 / 2, rel=1e-3)
    noisy[:, :4] = 255
    assert loss(3 / 255, margin=4) < loss(3 / 255)


def test_flat_colours_are_measured() -> None:
    assert evaluate.flat_psnr(lambda frame: frame) == pytest.approx(58.92, abs=0.01)
    assert evaluate.flat_psnr(lambda frame: frame ^ 2) == pytest.approx(42.02, abs=0.01)


def test_a_run_with_flat_colours_validates_them(photos: Path, tmp_path: Path) -> None:
    changes = TINY | {"data": str(photos), "model": "nano", "flat": 0.5, "float.margin": 4}
    changes |= {"float.steps": 2, "qat.steps": 0, "float.flat_weight": 3.0}
    loop.train(recipe.with_changes(Recipe(), changes), tmp_path / "run")
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert header.endswith("psnr flat")
    changes["float.margin"] = 16
    with pytest.raises(RecipeError, match="leaves nothing of a patch of 32"):
        loop.train(recipe.with_changes(Recipe(), changes), tmp_path / "other")
