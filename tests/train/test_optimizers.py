from __future__ import annotations

import numpy as np
import pytest

from edgecae_train._tf import keras, tf
from edgecae_train.optimizers import OPTIMIZERS, Muon, orthogonalize

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (12, 12)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = tf.constant(np.random.default_rng(0).standard_normal(shape) * 7, tf.float32)
    values = np.linalg.svd(orthogonalize(matrix).numpy(), compute_uv=False)
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert np.all(orthogonalize(tf.zeros((9, 4))).numpy() == 0)


def test_kernels_step_orthogonally_and_the_rest_as_adam_does() -> None:
    rng = np.random.default_rng(0)
    shapes = {"conv/kernel": (3, 3, 4, 8), "to_image/kernel": (3, 3, 4, 8), "conv/bias": (8,)}
    gradients = [tf.constant(rng.standard_normal(s), tf.float32) for s in shapes.values()]

    def stepped(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
        variables = [tf.Variable(tf.zeros(s), name=n) for n, s in shapes.items()]
        optimizer.build(variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {name: v.numpy() for name, v in zip(shapes, variables, strict=True)}

    muon, adam = stepped(Muon(0.1)), stepped(OPTIMIZERS["adam"](0.1))
    np.testing.assert_allclose(muon["conv/bias"], adam["conv/bias"])
    np.testing.assert_allclose(muon["to_image/kernel"], adam["to_image/kernel"])
    step = muon["conv/kernel"].reshape(36, 8)
    values = np.linalg.svd(step, compute_uv=False) / (0.1 * 0.2 * 6)
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert np.sum(step * gradients[0].numpy().reshape(36, 8)) < 0


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_weight_decay_takes_from_hidden_kernels_alone(name: str) -> None:
    shapes = {
        "conv/kernel": (3, 3, 4, 8),
        "to_image/kernel": (3, 3, 4, 8),
        "block/depthwise_kernel": (3, 3, 4, 1),
        "conv/bias": (8,),
    }
    variables = [tf.Variable(tf.ones(s), name=n) for n, s in shapes.items()]
    optimizer = OPTIMIZERS[name](0.1, weight_decay=0.5)
    optimizer.build(variables)
    optimizer.apply_gradients([(tf.zeros_like(v), v) for v in variables])
    assert [float(v.numpy().max()) for v in variables] == pytest.approx([0.95, 1, 1, 1])
