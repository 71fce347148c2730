"""The network at half the resolution: what stands still around it, and what training moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgecae.errors import RecipeError
from edgecae_train import channels, weights
from edgecae_train._tf import keras, tf
from edgecae_train.architectures import half_resolution
from edgecae_train.architectures.unet import UNet

pytestmark = pytest.mark.slow

FINE = UNet((8, 12), (0, 1), (1,))
BOTH = UNet((8, 12), (0, 1), (1,), coarse=(8, 12))


def _blocks(picture: np.ndarray) -> np.ndarray:
    return np.asarray(tf.nn.space_to_depth(picture, 2))


def _means(picture: np.ndarray) -> np.ndarray:
    count, height, width, colours = picture.shape
    return picture.reshape(count, height // 2, 2, width // 2, 2, colours).mean(axis=(2, 4))


def _result(layer: Any, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(layer.input, layer.output)(inputs))


def _model(architecture: UNet, values: Mapping[str, np.ndarray] | None = None) -> Any:
    keras.utils.set_random_seed(4)
    model = architecture.build(training=False)
    if values is not None:
        weights.load_weights(model, values)
    return model


def _values(model: Any) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in weights.named_weights(model).items()}


@pytest.mark.parametrize("name", ["coarse_mean", "coarse_noisy_mean"])
def test_it_reads_the_means_of_four_pixels(name: str) -> None:
    picture = np.random.default_rng(0).random((1, 16, 24, 3), np.float32)
    found = _result(BOTH.build().get_layer(name), _blocks(picture))
    np.testing.assert_allclose(found, _means(picture), atol=1e-6)


def test_it_can_start_as_another_network() -> None:
    """Then it makes the change that the other one makes to the means of the first one's result."""
    assert BOTH.second == UNet((8, 12), (0, 1), (1,))
    fine, other = _model(FINE), _model(BOTH.second)
    rng = np.random.default_rng(3)
    for model in (fine, other):  # near to what leaves a picture as it is: nothing is clipped
        kernel = model.get_layer("to_image").kernel
        value = rng.normal(0, 3e-3, kernel.shape)
        value[1, 1, -12:] += np.eye(12)
        kernel.assign(value)
    picture = 0.4 + 0.1 * rng.random((1, 48, 64, 3), np.float32)
    start = channels.Start(FINE, _values(fine), half_resolution.started(_values(other)))
    both = _model(BOTH, channels.fitted(start, BOTH, [(picture, picture)]))
    before = np.asarray(fine(picture))
    result = np.asarray(both(picture))
    means = _means(before)
    change = np.asarray(other(means)) - means
    # Means of what was enlarged bilinearly: an eighth of each neighbour, along each side.
    near = np.array([1 / 8, 3 / 4, 1 / 8], np.float32)
    kernel = np.outer(near, near)[..., None, None] * np.eye(3, dtype=np.float32)
    expected = np.asarray(tf.nn.conv2d(change, kernel, 1, "SAME"))
    inside = np.s_[:, 1:-1, 1:-1]
    assert np.abs(change).max() > 0.01
    assert half_resolution.trained_part(_values(both)).keys() == start.second.keys()
    np.testing.assert_allclose(_means(result - before)[inside], expected[inside], atol=1e-5)


def test_a_change_is_enlarged_bilinearly() -> None:
    """A plane stays a plane, at the centres of the pixels that it has then."""
    layer = BOTH.build().get_layer("coarse_enlarged")
    rows, columns = np.mgrid[:8, :10] + 0.5
    change = (0.1 * rows - 0.2 * columns)[None, ..., None] * np.array([1, 2, -1], np.float32)
    large = np.asarray(tf.nn.depth_to_space(_result(layer, change.astype(np.float32)), 2))
    rows, columns = (np.mgrid[:16, :20] + 0.5) / 2
    expected = (0.1 * rows - 0.2 * columns)[None, ..., None] * np.array([1, 2, -1])
    np.testing.assert_allclose(large[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-5)


def test_what_takes_means_and_enlarges_is_not_trained() -> None:
    model = BOTH.build()
    fixed = {v.name for name in half_resolution.FIXED for v in model.get_layer(name).weights}
    trained = {v.name for v in model.trainable_variables}
    assert len(fixed) == 6
    assert {v.name for v in model.weights} - trained == fixed


def test_all_that_is_trained_gets_a_gradient_after_one_step() -> None:
    """The network makes no change at first, but it must be able to begin."""
    keras.utils.set_random_seed(1)
    model = BOTH.build()
    rng = np.random.default_rng(1)
    noisy, clean = (rng.random((2, 32, 32, 3), np.float32) for _ in range(2))
    optimizer = keras.optimizers.Adam(1e-3)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(noisy, training=True) - clean))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    assert all(np.abs(np.asarray(gradient)).max() > 0 for gradient in gradients)


def test_it_has_the_same_stride_or_a_larger_one() -> None:
    assert FINE.stride == 4
    assert BOTH.stride == 8
    assert UNet((8, 12, 16), (0, 0, 1), (1, 0), coarse=(8, 12)).stride == 8


@pytest.mark.parametrize("numbers", [{"coarse": (8,)}, {"coarse": (8, 12), "factor": 4}])
def test_a_second_network_that_cannot_be_is_refused(numbers: dict) -> None:
    with pytest.raises(RecipeError, match="half the resolution"):
        UNet((8, 12), (0, 1), (1,), **numbers)
