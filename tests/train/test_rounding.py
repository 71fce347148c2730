from __future__ import annotations

import numpy as np
import pytest

from edgecae_train._tf import keras, tf
from edgecae_train.quantization.quantize import WeightQuantizer
from edgecae_train.quantization.rounding import round_depthwise, round_kernel, second_moments

pytestmark = pytest.mark.slow


def _pictures(channels: int) -> np.ndarray:
    """Inputs whose neighbouring values are alike, as those of convolutions are, N×H×W×C."""
    rng = np.random.default_rng(0)
    mixed = rng.random((4, 40, 40, channels)) @ rng.uniform(0, 1, (channels, channels))
    return (mixed + np.roll(mixed, 1, 1) + np.roll(mixed, 1, 2)).astype(np.float32)


def _nearest(kernel: np.ndarray) -> np.ndarray:
    step = np.abs(kernel).max((0, 1, 2)) / 127
    return np.rint(kernel / step) * step


def test_a_rounded_kernel_is_on_its_grid_and_its_outputs_change_less_than_by_the_nearest() -> None:
    inputs = _pictures(12)
    layer = keras.layers.Conv2D(10, 3, padding="same")
    kernel = np.random.default_rng(1).normal(0, 0.1, (3, 3, 12, 10)).astype(np.float32)
    moments = second_moments(layer, inputs, np.random.default_rng(2))
    assert moments.shape == (108, 108)
    rounded = round_kernel(kernel, moments)
    np.testing.assert_allclose(WeightQuantizer(True)(rounded, False, {}), rounded, atol=1e-6)
    np.testing.assert_allclose(np.abs(rounded).max((0, 1, 2)), np.abs(kernel).max((0, 1, 2)))

    def error(k: np.ndarray) -> float:
        return float(np.square(tf.nn.conv2d(inputs, k - kernel, 1, "VALID")).mean())

    assert error(rounded) < 0.3 * error(_nearest(kernel))


def test_depthwise_kernels_are_rounded_channel_by_channel() -> None:
    inputs = _pictures(6)
    layer = keras.layers.DepthwiseConv2D(3, padding="same")
    kernel = np.random.default_rng(1).normal(0, 0.1, (3, 3, 6, 1)).astype(np.float32)
    moments = second_moments(layer, inputs, np.random.default_rng(2))
    assert moments.shape == (6, 9, 9)
    rounded = round_depthwise(kernel, moments)
    np.testing.assert_allclose(WeightQuantizer(True)(rounded, False, {}), rounded, atol=1e-6)

    def error(k: np.ndarray) -> float:
        by_one = [1, 1, 1, 1]
        return float(np.square(tf.nn.depthwise_conv2d(inputs, k - kernel, by_one, "VALID")).mean())

    nearest = _nearest(kernel.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    assert error(rounded) < 0.5 * error(nearest)


@pytest.mark.parametrize("scale", [0.0, 1e-6])
def test_what_is_closed_stays_closed(scale: float) -> None:
    kernel = np.full((1, 1, 4, 2), scale, np.float32)
    kernel[..., 1] = 0.5
    rounded = round_kernel(kernel, np.zeros((4, 4)))  # and nothing is ever read
    np.testing.assert_array_equal(rounded[..., 0], 0)
    np.testing.assert_allclose(rounded[..., 1], 0.5)
