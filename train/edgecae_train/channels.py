"""Make a trained network narrower or wider: leave channels out, or have them twice.

Both are one operation on weights, :func:`take`: the new channels are some of the old ones, in any
order, each once or twice. What writes a channel writes its copy, and what reads it reads a mean of
the two, so that the network computes what it did (Chen et al., "Net2Net: Accelerating Learning via
Knowledge Transfer", 2016, section 2.2). What is left out is replaced by its mean, which goes into
the biases of its readers: a loss, unless the channel is constant and no frame has an edge, where
convolutions read zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae_train._tf import keras, tf
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.fusion import Fusion
from edgecae_train.architectures.links import Link
from edgecae_train.architectures.unet import UNet
from edgecae_train.quantization.equalize import watch
from edgecae_train.weights import load_weights, named_weights

__all__ = ["Batch", "Start", "fits", "fitted", "take"]

Values = dict[str, NDArray[np.float32]]
Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

SHARE = 0.4
"""Weight of a channel's copy in what is read, the rest is the channel's own. Equal halves would get
equal gradients, and stay copies of each other."""

ROUNDING = 1 / 12 / 255**2
"""Squared error of a result that is perfect but for being rounded to 8 bits."""


@dataclass(frozen=True)
class Start:
    """A trained network to start from.

    Attributes:
        architecture: of the network.
        values: its weights by name.
        second: weights by name for a network at half the resolution that is new in what is trained.
    """

    architecture: Architecture
    values: Mapping[str, NDArray[np.float32]]
    second: Mapping[str, NDArray[np.float32]] | None = None


def fits(one: Architecture, other: Architecture) -> bool:
    """Whether weights of one architecture can be fitted to another.

    They can where the two differ in nothing but widths, and none is more than twice what it was.
    A network at half the resolution may be new, or left out. Gates can where they differ in nothing
    but the model for single frames.
    """
    one, other = _in_common(one, other)
    if one == other:
        return True
    if isinstance(one, Fusion) and isinstance(other, Fusion):
        return dataclasses.replace(one, still=other.still) == other
    if type(one) is not type(other) or one.stride != other.stride or one.links != other.links:
        return False
    here, there = (named_weights(each.build(training=False)) for each in (one, other))
    links = _mixing(here, one.links)
    return bool(links) and all(_width(there, link) <= 2 * _width(here, link) for link in links)


def _in_common(one: Architecture, other: Architecture) -> tuple[Architecture, Architecture]:
    """Both without the network at half the resolution, if one of them has none."""
    if isinstance(one, UNet) and isinstance(other, UNet) and not (one.coarse and other.coarse):
        return dataclasses.replace(one, coarse=()), dataclasses.replace(other, coarse=())
    return one, other


def _is_depthwise(values: Mapping[str, Any], layer: str) -> bool:
    return f"{layer}/depthwise_kernel" in values


def _mixing(values: Mapping[str, Any], links: Sequence[Link]) -> list[Link]:
    """The links whose widths are free: not those of depthwise convolutions, which follow others."""
    return [link for link in links if not _is_depthwise(values, link.writers[0])]


def _width(values: Mapping[str, Any], link: Link) -> int:
    """How many channels a link has: as many as its first writer has outputs."""
    return int(values[f"{link.writers[0]}/bias"].shape[0])


def take(
    values: Values,
    links: Sequence[Link],
    link: Link,
    index: NDArray[np.intp],
    means: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Make the channels of a link others, in place.

    Args:
        values: weights by name; those of all that writes or reads the channels are replaced.
        links: of the architecture.
        link: the one to change.
        index: the old channel that each new one is, none more than twice; a copy stands behind what
            it copies.
        means: by reader, the mean of each old channel that it reads: what stands for those that
            are left out; none: zero.
    """
    old = _width(values, link)
    for name in link.writers:
        bias, kernel = f"{name}/bias", f"{name}/kernel"
        if _is_depthwise(values, name):
            depthwise = f"{name}/depthwise_kernel"
            values[depthwise] = values[depthwise][:, :, index]
            values[bias] = values[bias][index]
            continue
        repeats = len(values[bias]) // old
        outputs = np.concatenate([index + old * place for place in range(repeats)])
        values[kernel], values[bias] = values[kernel][..., outputs], values[bias][outputs]
    times = np.bincount(index, minlength=old)
    first = np.isin(np.arange(len(index)), np.unique(index, return_index=True)[1])
    share = np.where(times[index] == 1, 1.0, np.where(first, 1 - SHARE, SHARE))
    for name in link.readers:
        bias, kernel = f"{name}/bias", f"{name}/kernel"
        if _is_depthwise(values, name):
            (within,) = (other for other in links if other.writers == (name,))
            take(values, links, within, index, means)
            continue
        before = values[kernel]
        if means is not None:
            gone = np.where(times == 0, means[name][:old], 0).astype(np.float32)
            values[bias] = values[bias] + gone @ before[:, :, :old].sum((0, 1))
        read = before[:, :, index] * share[:, None].astype(np.float32)
        values[kernel] = np.concatenate([read, before[:, :, old:]], axis=2)


def _worth(
    model: Any, links: Sequence[Link], batches: Iterable[Batch]
) -> tuple[dict[Link, NDArray[np.float64]], dict[str, NDArray[np.float32]]]:
    """What the result owes to each channel of each link, and the mean of what each reader reads.

    The worth of a channel is the squared error of the result, to first order, were it replaced by
    its mean, as a share of the squared error that is there: so that weak noise counts like strong
    noise. (Cf. Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019, who ask
    by how much the loss changes. Where training has ended that has no slope.)
    """
    names = [name for link in links for name in link.seen]
    readers = [name for link in links for name in link.readers]
    outputs = [model.get_layer(name).output for name in names]
    inputs = [model.get_layer(name).input for name in readers]
    taps = keras.Model(model.input, [model.output, *outputs, *inputs])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def look(noisy: Any, clean: Any, direction: Any) -> Any:
        with tf.GradientTape() as tape:
            result, *found = taps(noisy, training=False)
            along = tf.reduce_sum(result * direction)
        written, read = found[: len(names)], found[len(names) :]
        error = tf.reduce_sum(tf.square(result - clean) + ROUNDING, (1, 2, 3))[:, None]
        changes = []
        for gradient, output in zip(tape.gradient(along, written), written, strict=True):
            apart = output - tf.reduce_mean(output, (0, 1, 2))
            # Along random signs, the mean square is that of the change of the whole result.
            change = tf.reduce_sum(gradient * apart, (1, 2))
            changes.append(tf.reduce_mean(tf.square(change) / error, 0))
        return changes, [tf.reduce_mean(x, (0, 1, 2)) for x in read]

    rng = np.random.default_rng(0)
    changes, means = [], []
    for noisy, clean in batches:
        direction = rng.choice(np.array([-1, 1], np.float32), noisy.shape)
        change, mean = look(*(tf.constant(x) for x in (noisy, clean, direction)))
        changes.append(change)
        means.append(mean)

    def averaged(keys: list[str], rows: list[Any]) -> dict[str, Any]:
        columns = zip(*rows, strict=True)
        return {key: np.mean(column, axis=0) for key, column in zip(keys, columns, strict=True)}

    worth = averaged(names, changes)
    # A channel that several tensors share would be missed in all of them at once.
    most = {link: np.max([worth[name] for name in link.seen], axis=0) for link in links}
    return most, averaged(readers, means)


def _cost(
    model: Any, links: Sequence[Link], batches: Iterable[Batch]
) -> dict[Link, NDArray[np.float64]]:
    """What 8-bit rounding of each channel of each link costs: see :mod:`.equalize`."""
    names = sorted({name for link in links for name in link.seen})
    seen = watch(model, names, (noisy for noisy, _ in batches))

    def of(link: Link) -> NDArray[np.float64]:
        found = [seen[name] for name in link.seen]
        reach = np.max([np.maximum(x.below, x.above) for x in found], axis=0)
        return np.asarray(np.sum([x.weight for x in found], axis=0) * reach**2)

    return {link: of(link) for link in links}


def fitted(start: Start, other: Architecture, batches: Sequence[Batch]) -> Values:
    """Weights of a trained network for one of other widths, as a start for training it.

    Where that is narrower, the channels stay that the result owes most to. Where it is wider, it
    gets those twice whose rounding to 8 bits would cost most: as soon as training has made two that
    say the same differ a little, they are rounded differently, and the errors average out.

    Args:
        start: the trained network.
        other: an architecture that it :func:`fits`. What is new in it starts as it does without a
            trained network.
        batches: noisy and clean pictures, N×H×W×3 in [0, 1].
    """
    if isinstance(start.architecture, Fusion):
        return dict(start.values)
    architecture, _ = _in_common(start.architecture, other)
    model = architecture.build(training=False)
    load_weights(model, start.values)
    values = {name: start.values[name] for name in named_weights(model)}
    wanted = named_weights(other.build(training=False))
    worth, means = _worth(model, architecture.links, batches)
    cost = _cost(model, architecture.links, batches)
    new = {name: variable.numpy() for name, variable in wanted.items() if name not in values}
    made = {**values, **new}
    for link in _mixing(values, architecture.links):
        here, there = _width(values, link), _width(wanted, link)
        kept = np.sort(np.argsort(-worth[link])[:there])
        copied = np.argsort(-cost[link])[: max(0, there - here)]
        take(made, architecture.links, link, np.concatenate([kept, copied]), means)
    return {**made, **(start.second or {})}
