"""Flat colours in training: patches of them, and what the loss sees of their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import TINY

from edgecae import noise
from edgecae.errors import RecipeError
from edgecae_train import evaluate, loop, recipe
from edgecae_train.data import flat
from edgecae_train.data.batches import Batches, Builtin
from edgecae_train.phase import TOLERANCE, Phase
from edgecae_train.recipe import Recipe

NOISE = noise.parse("gaussian:20-55")


def test_patches_have_one_colour_or_a_few() -> None:
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(100):
        patch = flat.patch(rng, 32)
        assert (patch.shape, patch.dtype) == ((32, 32, 3), np.uint8)
        counts.append(len(np.unique(patch.reshape(-1, 3), axis=0)))
    assert 30 < counts.count(1) < 80
    assert max(counts) <= 1 + flat.MAX_AREAS
    again = flat.patch(np.random.default_rng(0), 32)
    np.testing.assert_array_equal(again, flat.patch(np.random.default_rng(0), 32))


def test_the_share_of_flat_patches_and_of_those_without_noise() -> None:
    noisy, clean = Batches(Builtin(0, window=1), NOISE, 64, 16, seed=0, flat=1.0).at(0)
    assert all(len(np.unique(c.reshape(-1, 3), axis=0)) <= 1 + flat.MAX_AREAS for c in clean)
    alike = (noisy == clean).all(axis=(1, 2, 3)).mean()
    assert 0.3 < alike < 0.7
    photos, drawn = (Batches(Builtin(0, window=1), NOISE, 64, 16, seed=0, flat=f) for f in (0, 0.3))
    same = (photos.at(0)[1] == drawn.at(0)[1]).all(axis=(1, 2, 3)).mean()
    assert 0.5 < same < 0.9


def test_the_loss_leaves_out_margins_and_what_a_flat_colour_may_be_off() -> None:
    from edgecae_train import devices
    from edgecae_train._tf import keras, tf

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
            phase = Phase(off(by), off(by), strategy, "mse", "adam", 0.0, 0.0, **settings)
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
