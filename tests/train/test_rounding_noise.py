"""Noise in the place of rounding: as wide as it should be, and gone where nothing is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training import TINY

from edgecae.errors import RecipeError
from edgecae.train import loop, recipe, rounding_noise, weights
from edgecae.train._tf import keras, tf
from edgecae.train.architectures.unet import UNet
from edgecae.train.quantize import needs_range

SMALL = UNet((8, 16), (1, 2), (2,), block="separable")
PICTURES = [np.random.default_rng(i).random((2, 32, 32, 3), np.float32) for i in range(2)]


def uniform(count: object, seed: object) -> object:
    return tf.random.stateless_uniform((count,), seed, -0.5, 0.5)


def test_the_noise_is_a_step_of_each_channel_wide() -> None:
    factors = np.array([1, 4, 0.5], np.float32)
    layer = rounding_noise.RoundingNoise(factors, 2.0, uniform)
    inputs = np.random.default_rng(0).uniform(-1, 3, (4, 64, 64, 3)).astype(np.float32)
    inputs[:, :8] = 0
    inputs[..., 0] *= 2
    added = layer(inputs, training=True).numpy() - inputs
    ranges = [(x * f).max() - (x * f).min() for x, f in zip(inputs.T, factors, strict=True)]
    assert max(ranges) == pytest.approx(16, rel=0.01)  # the second channel sets the steps
    width = 2 * 16 / 255 / factors
    noisy = added[:, 8:]
    np.testing.assert_allclose(noisy.std((0, 1, 2)), width / 12**0.5, rtol=0.03)
    np.testing.assert_allclose(np.abs(noisy).max((0, 1, 2)), width / 2, rtol=0.03)
    assert np.abs(noisy.mean((0, 1, 2)) / width).max() < 0.01
    assert not added[:, :8].any()
    again = layer(inputs, training=True).numpy() - inputs
    assert abs(np.corrcoef(added[:, 8:].ravel(), again[:, 8:].ravel())[0, 1]) < 0.02
    assert (layer(inputs).numpy() == inputs).all()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_everything_that_is_rounded_gets_it(policy: str) -> None:
    keras.utils.set_random_seed(0)
    plain = SMALL.build()
    values = {name: v.numpy() for name, v in weights.named_weights(plain).items()}
    factors = rounding_noise.factors(SMALL, values, PICTURES)
    rounded = {layer.name for layer in plain.layers if needs_range(layer)}
    assert {"down0_block0_project", "down1_block1_relu6", "up0_enter"} <= rounded <= {*factors}
    network = SMALL.build(policy)
    weights.load_weights(network, values)
    before = network(PICTURES[0], training=False).numpy()
    noisy = rounding_noise.with_rounding_noise(network, factors, 1.0)
    kinds = [x for x in noisy.layers if isinstance(x, rounding_noise.RoundingNoise)]
    assert {layer.name.removesuffix("_rounding") for layer in kinds} == rounded
    assert weights.named_weights(noisy).keys() == values.keys()
    assert (noisy(PICTURES[0], training=False).numpy() == before).all()
    differs = noisy(PICTURES[0], training=True).numpy() - before
    assert 1e-5 < differs.std() < 0.05
    assert len(noisy.trainable_variables) == len(plain.trainable_variables)


def test_a_run_with_it_is_resumed_as_if_nothing_had_happened(photos: Path, tmp_path: Path) -> None:
    changes = {**TINY, "data": str(photos), "model": "nano", "qat.steps": 0, "deterministic": True}
    settings = recipe.with_changes(recipe.Recipe(), {**changes, "float.rounding": 2.0})
    keras.utils.set_random_seed(1)
    start = {n: v.numpy() for n, v in weights.named_weights(UNet((16, 24, 32), (0, 0, 1), (1, 0))
             .build()).items()}  # fmt: skip
    with pytest.raises(RecipeError, match="--init"):
        loop.train(settings, tmp_path / "none")

    class KilledError(Exception):
        pass

    def kill(event: loop.Event) -> None:
        if event.step == 15:
            raise KilledError

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    loop.train(settings, whole, start=start)
    with pytest.raises(KilledError):
        loop.train(settings, broken, start=start, report=kill)
    loop.train(recipe.read(broken / "recipe.toml"), broken, resume=True)
    expected, got = (weights.read_weights(each / "float.weights.h5")[2] for each in (whole, broken))
    assert all((expected[name] == got[name]).all() for name in expected)
    without = recipe.with_changes(settings, {"float.rounding": 0.0})
    loop.train(without, tmp_path / "without", start=start)
    other = weights.read_weights(tmp_path / "without" / "float.weights.h5")[2]
    assert any((expected[name] != other[name]).any() for name in expected)


def test_qat_has_none() -> None:
    with pytest.raises(RecipeError, match="QAT rounds"):
        recipe.with_changes(recipe.Recipe(), {"qat.rounding": 1.0})
