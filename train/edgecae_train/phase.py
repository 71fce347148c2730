"""One phase of training: a network, the moving average of its weights, an optimizer, a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train import weights
from edgecae_train._tf import keras, tf
from edgecae_train.optimizers import OPTIMIZERS

__all__ = ["Phase", "loss_of", "picture_loss"]

TOLERANCE = 0.75 / 255
"""Error of a patch without noise that costs nothing where such patches have a weight of their own:
a colour is right when it is, after rounding, off by no more than one level."""


def loss_of(kind: str) -> Callable[[Any], Any]:
    """Loss of an error, N×H×W×3 of a picture in [0, 1]."""
    if kind == "mse":
        return lambda error: tf.reduce_mean(tf.square(error))
    if kind == "l1":
        return lambda error: tf.reduce_mean(tf.abs(error))
    if kind == "rmse":
        return lambda error: tf.reduce_mean(
            tf.sqrt(tf.reduce_mean(tf.square(error), axis=(1, 2, 3)) + 1e-6)
        )
    if kind == "psnr":
        return lambda error: tf.reduce_mean(
            tf.math.log1p(tf.reduce_mean(tf.square(error), axis=(1, 2, 3)) / 1e-6)
        )
    return lambda error: tf.reduce_mean(tf.sqrt(tf.square(error) + 1e-6))


def picture_loss(
    network: Any, kind: str, margin: int = 0, flat_weight: float = 1.0
) -> Callable[..., Any]:
    """Loss of a network for single frames.

    Args:
        network: N×H×W×3 in [0, 1] to the same.
        kind: see :class:`edgecae_train.recipe.PhaseSettings`, as the other two.
        margin: likewise.
        flat_weight: likewise.

    Returns:
        A function of noisy and target, N×H×W×3 in 0–255, and maybe of where the target counts.
    """
    measure = loss_of(kind)

    def loss(noisy: Any, clean: Any, counts: Any = None) -> Any:
        noisy, clean = (tf.cast(x, tf.float32) / 255.0 for x in (noisy, clean))
        error = network(noisy, training=True) - clean
        if counts is not None:
            error *= tf.cast(counts, tf.float32)
        if margin:
            error = error[:, margin:-margin, margin:-margin]
        if flat_weight != 1:
            noiseless = tf.reduce_all(noisy == clean, axis=(1, 2, 3), keepdims=True)
            beyond = error - tf.clip_by_value(error, -TOLERANCE, TOLERANCE)
            error = tf.where(noiseless, flat_weight * beyond, error)
        return measure(error)

    return loss


class Phase:
    """Network, moving average and optimizer of one phase, and the compiled step over them.

    Args:
        network: what is trained.
        averaged: a float32 network of the same weights, which holds their moving average.
        strategy: whose scope the two were made in.
        loss: of ``network``, a function of a batch.
        optimizer_name: ``muon`` or ``adam``.
        clip_norm: see :class:`edgecae_train.recipe.Recipe`.
        average: see :class:`edgecae_train.recipe.PhaseSettings`.
        weight_decay: see :class:`edgecae_train.recipe.PhaseSettings`.
        leak: the variable that ``network`` was built with, if any.
        denoise: ``averaged`` as validation runs it, if it does.
    """

    def __init__(
        self,
        network: Any,
        averaged: Any,
        strategy: Any,
        loss: Callable[..., Any],
        optimizer_name: str,
        clip_norm: float,
        average: float,
        weight_decay: float = 0.0,
        leak: Any = None,
        denoise: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    ) -> None:
        self.network, self.averaged, self.strategy = network, averaged, strategy
        optimizer = OPTIMIZERS[optimizer_name](1e-3, weight_decay=weight_decay or None)
        scaled = any(layer.dtype_policy.name == "mixed_float16" for layer in network.layers[1:])
        # Not among the optimizer's variables: how far the loss is scaled, and since when.
        self._loss_scale: list[Any] = []

        def keep(create: Callable[..., Any], **settings: Any) -> Any:
            variable = create(**settings)
            self._loss_scale.append(variable)
            return variable

        if scaled:
            with tf.variable_creator_scope(keep):
                optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
        optimizer.build(network.trainable_variables)
        self.optimizer = optimizer
        pairs = weights.named_weights(averaged)
        followed = [(pairs[n], v) for n, v in weights.named_weights(network).items()]

        def replica_step(*batch: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(*batch)
                goal = optimizer.get_scaled_loss(value) if scaled else value
            variables = network.trainable_variables
            gradients = tape.gradient(goal, variables)
            if scaled:
                gradients = optimizer.get_unscaled_gradients(gradients)
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
            if clip_norm:
                gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
            optimizer.apply_gradients(
                zip(gradients, variables, strict=True), skip_gradients_aggregation=True
            )
            return value

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def step(decay: Any, *batch: Any) -> Any:
            losses = strategy.run(replica_step, args=batch)
            for mean, variable in followed:
                mean.assign(mean + (1.0 - decay) * (variable - mean))
            return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

        self._step = step
        self.denoise = denoise
        self._average = average
        self._leak = leak

    @property
    def variables(self) -> list[Any]:
        """Everything that a checkpoint must hold, in a fixed order."""
        own = self.optimizer.variables
        return [
            *self.network.weights,
            *self.averaged.weights,
            *(own() if callable(own) else own),
            *sorted(self._loss_scale, key=lambda variable: str(variable.name)),
        ]

    def place(self, batch: tuple[NDArray[np.uint8], ...]) -> tuple[Any, ...]:
        """Hand each replica of this process its equal part of a batch."""
        local = self.strategy.extended.worker_devices
        size = len(batch[0]) // len(local)

        def part(which: int) -> Callable[[Any], Any]:
            def cut(context: Any) -> Any:
                index = context.replica_id_in_sync_group % len(local)
                return tf.constant(batch[which][index * size : (index + 1) * size])

            return cut

        if len(local) == 1 and self.strategy.num_replicas_in_sync == 1:
            return tuple(tf.constant(each) for each in batch)
        spread = self.strategy.experimental_distribute_values_from_function
        return tuple(spread(part(which)) for which in range(len(batch)))

    def step(self, batch: tuple[Any, ...], rate: float, count: int, leak: float = 0.0) -> Any:
        """Train one step.

        Args:
            batch: from :meth:`place`.
            rate: learning rate.
            count: steps done before in this phase; early averages forget faster.
            leak: slope of ReLU6 outside its bounds.

        Returns:
            The mean loss, a scalar tensor that need not be ready yet.
        """
        self.optimizer.learning_rate.assign(rate)
        if self._leak is not None:
            self._leak.assign(leak)
        decay = min(self._average, (1 + count) / (10 + count)) if self._average else 0.0
        return self._step(tf.constant(decay, tf.float32), *batch)
