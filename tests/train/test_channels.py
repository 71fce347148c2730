from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgecae_train import architectures, channels
from edgecae_train._tf import keras
from edgecae_train.architectures.unet import UNet
from edgecae_train.weights import load_weights, named_weights

pytestmark = pytest.mark.slow

PLAIN = UNet((8, 16, 12), (0, 1, 1), (2, 1), features=6)
SEPARABLE = UNet((8, 16), (1, 2), (3,), block="separable", features=12, hidden=(10, 20))
WIDER = {
    PLAIN: UNet((11, 16, 17), (0, 1, 1), (2, 1), features=9),
    SEPARABLE: UNet((12, 19), (1, 2), (3,), block="separable", features=16, hidden=(13, 24)),
}
NARROWER = {
    PLAIN: UNet((6, 13, 12), (0, 1, 1), (2, 1), features=5),
    SEPARABLE: UNet((6, 13), (1, 2), (3,), block="separable", features=9, hidden=(7, 15)),
}

both = pytest.mark.parametrize("architecture", [PLAIN, SEPARABLE], ids=["plain", "separable"])


def _batches() -> list[channels.Batch]:
    rng = np.random.default_rng(0)
    clean = rng.random((3, 2, 32, 32, 3), np.float32)
    return [(np.clip(x + 0.1 * rng.random(x.shape, np.float32), 0, 1), x) for x in clean]


def _network(architecture: UNet, values: dict | None = None):
    keras.utils.set_random_seed(5)
    model = architecture.build(training=False)
    if values is not None:
        load_weights(model, values)
    return model


def _values(model) -> channels.Values:
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def _widths(architecture: UNet) -> list[int]:
    values = _values(_network(architecture))
    return [len(values[f"{link.writers[0]}/bias"]) for link in architecture.links]


@both
def test_a_wider_network_computes_the_same(architecture: UNet) -> None:
    model, (picture, _) = _network(architecture), _batches()[0]
    values, wider = _values(model), WIDER[architecture]
    made = channels.fitted(channels.Start(architecture, values), wider, _batches())
    twin = _network(wider, made)
    result, expected = (np.asarray(m(picture, training=False)) for m in (twin, model))
    np.testing.assert_allclose(result, expected, atol=1e-6)
    # A copy is read less than what it copies: so that training can tell them apart.
    first = made["down1_enter/kernel"]
    old = architecture.channels[0]
    assert first.shape[2] == wider.channels[0]
    assert all(not np.allclose(first[:, :, [old]], first[:, :, [c]]) for c in range(old))


def test_a_network_at_half_the_resolution_changes_nothing_at_first() -> None:
    model, (picture, _) = _network(PLAIN), _batches()[0]
    other = dataclasses.replace(WIDER[PLAIN], coarse=(8, 12))
    assert channels.fits(PLAIN, other)
    assert channels.fits(other, PLAIN)
    made = channels.fitted(channels.Start(PLAIN, _values(model)), other, _batches())
    back = channels.fitted(channels.Start(other, made), PLAIN, _batches())
    assert back.keys() == _values(model).keys()
    result, expected = (
        np.asarray(m(picture, training=False)) for m in (_network(other, made), model)
    )
    np.testing.assert_allclose(result, expected, atol=1e-6)


@both
def test_a_narrower_network_keeps_the_channels_that_count(architecture: UNet) -> None:
    """Those that nobody reads go, wherever they stand, and nothing else changes."""
    model, (picture, _) = _network(architecture), _batches()[0]
    values, narrower = _values(model), NARROWER[architecture]
    rng = np.random.default_rng(2)
    for link, here, there in zip(
        architecture.links, _widths(architecture), _widths(narrower), strict=True
    ):
        if f"{link.writers[0]}/kernel" not in values:
            continue
        for gone in rng.choice(here, here - there, replace=False):
            for reader in link.readers:
                if f"{reader}/kernel" in values:
                    values[f"{reader}/kernel"][:, :, gone] = 0
                else:
                    values[f"{reader.replace('depthwise', 'expand')}/kernel"][:, :, gone] = 0
    load_weights(model, values)
    made = channels.fitted(channels.Start(architecture, values), narrower, _batches())
    twin = _network(narrower, made)
    result, expected = (np.asarray(m(picture, training=False)) for m in (twin, model))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_channel_that_is_left_out_is_replaced_by_its_mean() -> None:
    architecture = UNet((4, 8), (0, 1), (1,))
    model = _network(architecture)
    values = _values(model)
    values["down1_enter/kernel"][..., 3] = 0  # always 0.7, and read
    values["down1_enter/bias"][3] = 0.7
    link = architecture.links[0]
    assert link.readers == ("down1_conv0",)
    index = np.delete(np.arange(8), 3)
    means = {"down1_conv0": np.full(8, 0.7, np.float32)}
    made = dict(values)
    channels.take(made, architecture.links, link, index, means)
    added = made["down1_conv0/bias"] - values["down1_conv0/bias"]
    expected = 0.7 * values["down1_conv0/kernel"][:, :, 3].sum((0, 1))
    np.testing.assert_allclose(added, expected, rtol=1e-5)


def test_copies_are_of_the_channels_whose_rounding_costs_most() -> None:
    """A channel that is read with large weights has its rounding errors made large, too."""
    architecture = UNet((8, 8), (0, 0), (1,), features=8)
    values = _values(_network(architecture))
    for reader in ("down1_enter", "up0_conv0"):
        values[f"{reader}/kernel"][:, :, 5] *= 20
    wider = UNet((9, 8), (0, 0), (1,), features=8)
    made = channels.fitted(channels.Start(architecture, values), wider, _batches())
    kernel = made["down0_enter/kernel"]
    np.testing.assert_array_equal(kernel[..., 8], kernel[..., 5])


def test_what_differs_in_more_than_widths_does_not_fit() -> None:
    assert channels.fits(PLAIN, WIDER[PLAIN])
    assert channels.fits(
        architectures.get("base", numbers={"channels": [48, 64, 64], "hidden": []}),
        architectures.get("base"),
    )
    assert channels.fits(architectures.get("classic"), architectures.get("classic"))
    assert not channels.fits(architectures.get("classic"), architectures.get("classic", 8))
    deeper = UNet((8, 16, 12), (0, 1, 2), (2, 1), features=6)
    assert not channels.fits(PLAIN, deeper)
    assert not channels.fits(PLAIN, deeper)
    assert not channels.fits(PLAIN, UNet((17, 16, 12), (0, 1, 1), (2, 1), features=6))
    assert channels.fits(UNet((17, 16, 12), (0, 1, 1), (2, 1), features=6), PLAIN)
    assert not channels.fits(PLAIN, SEPARABLE)
