"""The optimizers that a recipe can name."""

from __future__ import annotations

from typing import Any

from edgecae_train._tf import keras, tf

__all__ = ["OPTIMIZERS", "Adam", "Muon", "orthogonalize"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration that drives all singular values to about 1, from Muon's author."""


MOMENTUM = 0.95

LAST = "to_image"
"""Layer whose kernel maps to pixels: its outputs are no features of equal worth."""


def orthogonalize(matrix: Any, steps: int = 5) -> Any:
    """Replace the singular values of a matrix, rows × columns, by about 1 each.

    Newton-Schulz in the Gram matrix of the shorter side, so that only the first and the last
    product touch the longer one.

    Args:
        matrix: float32, with static shape.
        steps: iterations; after 5, singular values that were not tiny lie in about [0.7, 1.2].
    """
    a, b, c = NEWTON_SCHULZ
    rows, columns = matrix.shape
    tall = rows > columns
    x = matrix / (tf.norm(matrix) + 1e-7)
    gram = tf.matmul(x, x, transpose_a=tall, transpose_b=not tall)
    total = None
    one = tf.eye(gram.shape[0])
    for step in range(steps):
        square = gram @ gram
        factor = a * one + b * gram + c * square
        total = factor if total is None else factor @ total
        if step < steps - 1:
            gram = gram @ (factor @ factor)
    return x @ total if tall else total @ x


def _hidden_kernel(variable: Any) -> bool:
    """Whether a variable is the kernel of a convolution between features."""
    shape = variable.shape
    return len(shape) == 4 and shape[-1] != 1 and LAST not in variable.name


class Adam(keras.optimizers.Adam):
    """Adam whose weight decay, if any, concerns kernels of hidden convolutions alone."""

    def _use_weight_decay(self, variable: Any) -> bool:
        return _hidden_kernel(variable)


class Muon(Adam):
    """Momentum whose step is made orthogonal for kernels of convolutions; Adam for the rest.

    A kernel H×W×input×output counts as a matrix (H·W·input)×output. (K. Jordan et al., "Muon: an
    optimizer for hidden layers in neural networks", 2024; the step has the root mean square of
    Adam's, as in Liu et al., "Muon is scalable for LLM training", 2025, so that both kinds of
    weights share one rate.) The last convolution, depthwise kernels and everything that is not a
    kernel have Adam's step.
    """

    def update_step(self, gradient: Any, variable: Any) -> None:
        """Update one variable."""
        if not _hidden_kernel(variable):
            super().update_step(gradient, variable)
            return
        rate = tf.cast(self.learning_rate, variable.dtype)
        mean = self._momentums[self._index_dict[self._var_key(variable)]]
        mean.assign(MOMENTUM * mean + (1 - MOMENTUM) * gradient)
        ahead = MOMENTUM * mean + (1 - MOMENTUM) * gradient  # Nesterov's
        columns = variable.shape[-1]
        matrix = tf.reshape(ahead, [-1, columns])
        size = max(matrix.shape)
        step = orthogonalize(matrix) * (0.2 * size**0.5)
        variable.assign_sub(rate * tf.reshape(step, variable.shape))


OPTIMIZERS: dict[str, Any] = {"muon": Muon, "adam": Adam}
"""Classes by the name that a recipe uses; made from a learning rate and ``weight_decay``."""
