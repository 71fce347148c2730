"""Cross-layer equalization: the scale of each channel that makes rounding cost least.

An int8 activation has one scale for all its channels, set by the largest. What a channel falls
short of it is lost to rounding. As ReLU passes positive factors, a channel can be made larger where
it is computed and smaller where it is read, and the network computes what it did before. (Nagel et
al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.1,
who balance the ranges of *weights*; these have a scale per channel here, activations don't.)

Where several tensors share their channels, as all sums of a level do, they want different factors:
a channel may reach far in one tensor and count for little in the next. So each tensor's rounding is
weighed by what it does to the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import keras, tf
from edgecae_train.architectures.links import Link
from edgecae_train.weights import named_weights

__all__ = ["Seen", "align", "equalize", "watch"]

MAX_FACTOR = 64.0
"""How much more than another a channel is enlarged at most."""

HEADROOM = 0.6
"""How much of a link's bound the channels are made to fill; pictures may hold more than seen."""

CUT_OFF = 6.0
"""Where ReLU6 bounds a channel. One that reaches it is not made smaller, as it would no longer be
cut off, nor is another one made to reach it."""

WEIGHED = 8
"""Batches from which the weights of tensors are estimated."""

STEPS = 2.0, 1.4, 1.2, 1.1, 1.05
"""Factors by which the room of a tensor is tried larger and smaller, in turn."""

DEAD = 1e-5
"""Norm of a channel's kernel, as a share of the largest, from which on it counts as none."""

TAIL = 1e-4
"""Share of a channel's magnitudes that its range leaves out."""


@dataclass(frozen=True)
class Seen:
    """What a layer's output was like, per channel.

    Attributes:
        below: how far it reaches below zero, but for the ``TAIL``.
        above: how far above.
        most: its largest value.
        weight: error of the result, in squares of the range of a frame, for an error of variance 1
            in each value that is not zero (zero is exact in int8).
    """

    below: NDArray[np.float64]
    above: NDArray[np.float64]
    most: NDArray[np.float64]
    weight: NDArray[np.float64]


def watch(
    model: Any, names: Sequence[str], batches: Iterable[NDArray[np.float32]]
) -> dict[str, Seen]:
    """See what some layers' outputs are like, and what the result owes to each.

    Args:
        model: the float network, trained.
        names: of the layers.
        batches: noisy pictures, N×H×W×3 in [0, 1].
    """
    taps = keras.Model(model.input, [model.output, *(model.get_layer(n).output for n in names)])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def look(batch: Any, direction: Any) -> Any:
        with tf.GradientTape() as tape:
            result, *outputs = taps(batch, training=False)
            along = tf.reduce_sum(result * direction)
        # Along random signs, the mean square of a gradient is that of the whole Jacobian.
        squares = [tf.square(gradient) for gradient in tape.gradient(along, outputs)]
        counted = [
            tf.reduce_sum(square * tf.cast(output != 0, square.dtype), (0, 1, 2))
            for square, output in zip(squares, outputs, strict=True)
        ]
        return outputs, counted

    rng = np.random.default_rng(0)
    edges: tuple[list[Any], list[Any]] = ([], [])
    most, weights = [], []
    for count, batch in enumerate(batches):
        direction = rng.choice(np.array([-1, 1], np.float32), batch.shape)
        if count < WEIGHED:
            found, counted = look(tf.constant(batch), tf.constant(direction))
            weights.append([x.numpy() / batch.size for x in counted])
        else:
            found = taps.predict_on_batch(batch)[1:]
        outputs = [np.asarray(x) for x in found]
        for edge, share in zip(edges, (TAIL, 1 - TAIL), strict=True):
            edge.append([np.quantile(x, share, axis=(0, 1, 2)) for x in outputs])
        most.append([x.max((0, 1, 2)) for x in outputs])
    return {
        name: Seen(
            below=np.maximum(-np.mean([row[index] for row in edges[0]], axis=0), 0),
            above=np.maximum(np.mean([row[index] for row in edges[1]], axis=0), 0),
            most=np.max([row[index] for row in most], axis=0),
            weight=np.mean([row[index] for row in weights], axis=0, dtype=np.float64),
        )
        for index, name in enumerate(names)
    }


def _best_factors(seen: Sequence[Seen]) -> NDArray[np.float64]:
    """Factors of channels that several tensors share, with the least error of the result.

    The error of a tensor is the square of its range, over which 256 levels are spread, times the
    sum of its channels' weights over their factors squared. For given room in each tensor, below
    zero and above, each channel is best made as large as all of them allow; so the rooms are
    searched, one after the other.
    """
    reach = np.array([[x.below for x in seen], [x.above for x in seen]])  # side, tensor, channel
    weight = np.array([x.weight for x in seen])
    used = reach.max(2) > 1e-6 * reach.max() + 1e-12
    if not used.any() or not weight.any():
        return np.ones(reach.shape[2])

    def shares(room: NDArray[np.float64]) -> NDArray[np.float64]:
        """One over the factors."""
        needed = (reach / room[..., None]).max((0, 1))
        return np.asarray(np.maximum(needed, needed.max() / MAX_FACTOR))

    def error(room: NDArray[np.float64]) -> float:
        share = shares(room)
        ranges = (reach / share).max(2).sum(0)
        return float(ranges**2 @ (weight @ share**2))

    room = np.full(reach.shape[:2], reach.max())
    least = error(room)
    for step in STEPS:
        improved = True
        while improved:
            improved = False
            for index in zip(*np.nonzero(used), strict=True):
                for factor in (step, 1 / step):
                    trial = room.copy()
                    trial[index] *= factor
                    if (tried := error(trial)) < least * (1 - 1e-4):
                        room, least, improved = trial, tried, True
    return np.asarray(1 / shares(room))


def _factors(link: Link, seen: Sequence[Seen]) -> NDArray[np.float64]:
    """Factors for the channels of a link."""
    above = np.max([x.above for x in seen], axis=0)
    if link.bound is not None:
        room = HEADROOM * link.bound
        return np.asarray(np.maximum(room / np.maximum(above, room / MAX_FACTOR), 1))
    most = np.max([x.most for x in seen], axis=0)
    cut_off = most > 0.99 * CUT_OFF
    factor = _best_factors(seen)
    highest = (above * factor).max()
    if highest > 0:
        factor *= above.max() / highest
    within = np.minimum(factor, 0.9 * CUT_OFF / np.maximum(most, 1e-9))
    return np.asarray(np.where(cut_off, np.maximum(factor, 1), np.maximum(within, 1e-6)))


def equalize(model: Any, links: Sequence[Link], batches: Iterable[NDArray[np.float32]]) -> None:
    """Rescale the channels of a float network in place so that int8 costs least.

    Args:
        model: the float network, trained.
        links: of its architecture.
        batches: noisy pictures, N×H×W×3 in [0, 1], of the noise that it was trained for.
    """
    names = sorted({name for link in links for name in link.seen})
    if not names:
        return
    seen = watch(model, names, batches)
    variables = named_weights(model)
    for link in links:
        factor = _factors(link, [seen[name] for name in link.seen])
        _rescale(variables, link, factor.astype(np.float32))


def align(model: Any, links: Sequence[Link], like: Mapping[str, NDArray[np.float32]]) -> None:
    """Rescale the channels of a float network in place to those of weights that came from it.

    For comparing the two tensor by tensor: the network computes what it did before. QAT weights
    start as the equalized float ones and move little, so that the norms of a channel's kernel in
    both have the factor between them.

    Args:
        model: the float network, trained.
        links: of its architecture.
        like: QAT weights by name, trained from the same float weights.
    """
    variables = named_weights(model)

    def norms(kernel: NDArray[np.float32], channels: int) -> NDArray[np.float64]:
        if kernel.shape[-1] == 1:
            kernel = np.swapaxes(kernel, 2, 3)
        squares = np.square(kernel, dtype=np.float64).sum((0, 1, 2)).reshape(-1, channels)
        return np.asarray(np.sqrt(squares.sum(0)) + 1e-12)

    # What is rescaled for one link changes the norms of the next: once around for each.
    for _ in links:
        for link in links:
            # The first on the way down: those on the way up depend on the link itself, and may
            # have several outputs for a channel.
            kernel = _kernel(variables, link.writers[0])
            channels = variables[kernel].shape[-1]
            channels = variables[kernel].shape[2] if channels == 1 else channels
            here, there = norms(variables[kernel].numpy(), channels), norms(like[kernel], channels)
            # Rounding may have closed a channel that training left next to nothing of.
            alive = np.minimum(here / here.max(), there / there.max()) > DEAD
            factor = np.divide(there, here, out=np.ones_like(here), where=alive)
            _rescale(variables, link, factor.astype(np.float32))


def _kernel(variables: Mapping[str, Any], layer: str) -> str:
    """Name of a convolution's kernel: H×W×input×output, or H×W×channels×1 of a depthwise one."""
    name = f"{layer}/kernel"
    return name if name in variables else f"{layer}/depthwise_kernel"


def _rescale(variables: Mapping[str, Any], link: Link, factor: NDArray[np.float32]) -> None:
    for name in link.writers:
        kernel, bias = variables[_kernel(variables, name)], variables[f"{name}/bias"]
        repeated = np.tile(factor, bias.shape[0] // len(factor))
        bias.assign(bias * repeated)
        kernel.assign(kernel * (repeated[:, None] if kernel.shape[-1] == 1 else repeated))
    for name in link.readers:
        kernel = variables[_kernel(variables, name)]
        others = np.ones(kernel.shape[2] - len(factor), np.float32)
        kernel.assign(kernel / np.concatenate([factor, others])[:, None])
