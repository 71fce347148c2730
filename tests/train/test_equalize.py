from __future__ import annotations

import numpy as np
import pytest

from edgecae_train._tf import keras
from edgecae_train.architectures import half_resolution
from edgecae_train.architectures.unet import UNet
from edgecae_train.quantization.equalize import HEADROOM, MAX_FACTOR, align, equalize
from edgecae_train.weights import named_weights

pytestmark = pytest.mark.slow

PICTURES = [np.random.default_rng(i).random((2, 32, 32, 3), np.float32) for i in range(2)]


def _uneven(architecture: UNet):
    """A network whose channels have ranges far apart."""
    keras.utils.set_random_seed(3)
    model = architecture.build()
    rng = np.random.default_rng(3)
    for name, variable in named_weights(model).items():
        if name == "coarse_to_image/kernel":  # else what comes before it would mean nothing
            variable.assign(rng.normal(0, 0.02, variable.shape))
        if name.endswith("kernel") and name.split("/")[0] not in half_resolution.FIXED:
            variable.assign(variable * rng.uniform(0.1, 1, variable.shape[-1]) * 0.5)
    return model


@pytest.mark.parametrize(
    "architecture",
    [
        UNet((8, 16, 24), (0, 0, 1), (1, 0)),
        UNet((8, 16, 24), (1, 2, 2), (2, 2)),
        UNet((8, 16, 24, 16), (0, 1, 0, 0), (1, 0, 1)),
        UNet((8, 16), (1, 2), (3,), block="separable", features=12),
        UNet((8, 16, 24), (0, 0, 1), (1, 0), coarse=(8, 16)),
    ],
    ids=["bare", "deep", "four", "separable", "coarse"],
)
def test_the_network_computes_what_it_did_and_its_channels_fill_their_range(architecture) -> None:
    model = _uneven(architecture)
    before = np.asarray(model(PICTURES[0], training=False))
    kernels = {n: v.numpy() for n, v in named_weights(model).items()}
    equalize(model, architecture.links, PICTURES)
    np.testing.assert_allclose(np.asarray(model(PICTURES[0], training=False)), before, atol=2e-6)
    changed = {n for n, v in named_weights(model).items() if not np.array_equal(kernels[n], v)}
    every = {n for n in kernels if n.endswith("kernel")}
    last = {"to_image/kernel", "coarse_to_image/kernel"}
    fixed = {f"{name}/kernel" for name in half_resolution.FIXED}
    assert every - changed <= last | fixed, "each but the last has channels to share"


def test_every_channel_reaches_the_range_of_the_largest() -> None:
    architecture = UNet((8, 16), (0, 0), (1,))
    model = _uneven(architecture)
    seen = keras.Model(model.input, model.get_layer("down1_enter").output)

    def ranges() -> np.ndarray:
        return np.mean([seen.predict_on_batch(x).max((0, 1, 2)) for x in PICTURES], axis=0)

    before = ranges()
    equalize(model, architecture.links, PICTURES)
    after = ranges()
    within = before > before.max() / MAX_FACTOR
    assert before[within].max() / before[within].min() > 2
    assert after[within].max() / after[within].min() < 1.3
    np.testing.assert_allclose(after[~within], before[~within] * MAX_FACTOR, rtol=0.3)


def test_a_channel_that_counts_for_nothing_takes_no_room_from_the_others() -> None:
    architecture = UNet((8, 16), (1, 1), (2,), block="separable", features=8)
    model = _uneven(architecture)
    kernel = named_weights(model)["down0_block0_project/kernel"]
    kernel.assign(kernel * 20)
    named_weights(model)["down0_block0_project/bias"][0].assign(-3)  # its sum stays below zero
    before = np.asarray(model(PICTURES[0], training=False))
    project = keras.Model(model.input, model.get_layer("down0_block0_project").output)

    def room() -> float:
        """How much of the range the largest of the others fills."""
        reach = np.abs(project.predict_on_batch(PICTURES[0])).max((0, 1, 2))
        return float(reach[1:].max() / reach.max())

    narrow = room()
    equalize(model, architecture.links, PICTURES)
    np.testing.assert_allclose(np.asarray(model(PICTURES[0], training=False)), before, atol=2e-6)
    assert room() > 2 * narrow


def test_a_channel_that_is_cut_off_stays_so() -> None:
    architecture = UNet((8, 16), (0, 0), (1,))
    model = _uneven(architecture)
    bias = named_weights(model)["down0_enter/bias"]
    bias[0].assign(7)  # all of it beyond ReLU6's bound
    bias[1].assign(5.5)
    before = np.asarray(model(PICTURES[0], training=False))
    equalize(model, architecture.links, PICTURES)
    np.testing.assert_allclose(np.asarray(model(PICTURES[0], training=False)), before, atol=2e-6)
    assert bias[0] == 7


def test_the_last_features_are_made_to_fill_their_bound() -> None:
    architecture = UNet((8, 16), (0, 0), (1,))
    model = _uneven(architecture)
    kernel = named_weights(model)["up0_conv0/kernel"]
    bias = named_weights(model)["up0_conv0/bias"]
    kernel.assign(kernel * 0.1)
    bias.assign(np.linspace(0.1, 0.3, 8))
    bias[-1].assign(1.5)  # one that is cut off
    before = np.asarray(model(PICTURES[0], training=False))
    equalize(model, architecture.links, PICTURES)
    np.testing.assert_allclose(np.asarray(model(PICTURES[0], training=False)), before, atol=2e-6)
    features = keras.Model(model.input, model.get_layer("features").output)
    highest = features.predict_on_batch(PICTURES[0]).max((0, 1, 2))
    np.testing.assert_allclose(highest[:-1], HEADROOM, rtol=0.2)
    assert highest[-1] == 1


def test_aligning_leaves_alone_what_rounding_closed() -> None:
    architecture = UNet((8, 16, 24), (0, 0, 1), (1, 0))
    model = architecture.build()
    kernel = named_weights(model)["up0_conv0/kernel"]
    values = kernel.numpy() * 0.1  # well inside the bound of the features
    values[..., 3] *= 1e-7
    kernel.assign(values)
    like = {name: v.numpy() for name, v in named_weights(model).items()}
    like["up0_conv0/kernel"] = values * np.float32([0.5, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5])
    before = np.asarray(model(PICTURES[0], training=False))
    align(model, architecture.links, like)
    np.testing.assert_allclose(np.asarray(model(PICTURES[0], training=False)), before, atol=2e-6)
    ratio = named_weights(model)["up0_conv0/kernel"].numpy()[..., :3] / values[..., :3]
    np.testing.assert_allclose(ratio, 0.5, rtol=1e-4)
    assert np.abs(named_weights(model)["to_image/kernel"]).max() < 10
