"""One battery over every registered architecture."""

from __future__ import annotations

import logging
import pkgutil

import numpy as np
import pytest

from edgecae.errors import RecipeError
from edgecae.tflite import graph as graphs
from edgecae.tflite.receptive_field import halo
from edgecae_convert import export
from edgecae_train import architectures, weights
from edgecae_train._tf import keras, tf
from edgecae_train.architectures import ARCHITECTURES, Architecture, every
from edgecae_train.architectures.layers import LeakyReLU6
from edgecae_train.quantization import quantize

pytestmark = pytest.mark.slow

EVERY = [*((name, 0) for name in sorted(ARCHITECTURES)), ("classic", 8)]


@pytest.fixture(params=EVERY, ids=str)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return architectures.get(*request.param)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((2, 48, 32, 3), np.float32)


def test_every_family_is_registered() -> None:
    there = {m.name for m in pkgutil.iter_modules(architectures.__path__)}
    assert {a.kind for a in every().values()} == there - {
        "gate",
        "half_resolution",
        "layers",
        "links",
    }


def test_size_and_range_are_kept(architecture: Architecture, picture: np.ndarray) -> None:
    result = architecture.build()(picture * 3 - 1, training=False).numpy()
    assert result.shape == picture.shape
    assert result.min() >= 0
    assert result.max() <= 1


def test_it_can_be_described_and_restored(architecture: Architecture) -> None:
    assert architectures.restore(architectures.describe(architecture)) == architecture


def test_names_are_the_same_in_every_form(architecture: Architecture) -> None:
    float_names = set(weights.named_weights(architecture.build()))
    assert float_names == set(weights.named_weights(architecture.build("mixed_bfloat16")))
    qat = set(weights.named_weights(quantize.quantize(architecture)))
    assert {n for n in qat if not n.endswith(("_min", "_max"))} == float_names


def test_mixed_precision_keeps_variables_and_result_in_float32(architecture: Architecture) -> None:
    model = architecture.build("mixed_bfloat16")
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert model.output.dtype == "float32"


def test_qat_differs_from_float_by_rounding_only(
    architecture: Architecture, picture: np.ndarray
) -> None:
    model = architecture.build()
    for variable in model.trainable_variables:  # away from the special start values
        variable.assign(variable + 0.02 * np.random.default_rng(1).standard_normal(variable.shape))
    twin = quantize.quantize(architecture, quantize.calibrate(model, [picture]), model)
    expected, got = (np.asarray(m(picture, training=False)) for m in (model, twin))
    assert not np.array_equal(expected, got)
    assert np.abs(expected - got).mean() < 0.01
    np.testing.assert_allclose(got * 255, np.rint(got * 255), atol=1e-4)


def measured_reach(architecture: Architecture) -> int:
    """How many pixels around a pixel its result depends on.

    The same graph with all kernels one and all biases zero spreads a single bright pixel over
    exactly what it can reach: sums of positive numbers never cancel. Tried for each place of the
    bright pixel within a stride.
    """
    stride = architecture.stride
    probe = architecture.build(training=False)
    for variable in probe.weights:
        kernel = variable.name.split(":")[0].endswith("kernel")
        variable.assign(np.ones(variable.shape) if kernel else np.zeros(variable.shape))
    side = 16 * stride
    while True:
        dark = np.asarray(probe(np.zeros((1, side, side, 3), np.float32), training=False))
        reach = 0
        for offset in range(stride):
            centre = side // 2 + offset
            frame = np.zeros((1, side, side, 3), np.float32)
            frame[0, centre, centre] = 1
            lit = np.asarray(probe(frame, training=False))
            rows, columns = np.nonzero((lit != dark).any(axis=(0, 3)))
            reach = max(reach, int(np.abs(np.stack([rows, columns]) - centre).max()))
        if reach < side // 2 - stride:
            return reach
        side *= 2


def test_a_pixel_depends_on_its_halo_and_no_more(architecture: Architecture) -> None:
    model, stride = architecture.build(), architecture.stride
    reach = halo(export.settle(export.to_tflite(model, "float32"), int8=False))
    assert reach == measured_reach(architecture)
    rng = np.random.default_rng(0)
    side = -(-(2 * reach + 4 * stride) // stride) * stride
    frame = rng.random((1, side, side, 3), np.float32)
    other = frame.copy()
    other[:, :, side // 2 :] = rng.random((1, side, side - side // 2, 3))
    a, b = (np.asarray(model(x, training=False))[0] for x in (frame, other))
    columns = np.nonzero((a != b).any(axis=(0, 2)))[0]
    assert columns.min() >= side // 2 - reach
    assert columns.min() <= side // 2


def test_it_is_found_by_what_it_was_named(architecture: Architecture) -> None:
    assert architectures.get(*architectures.named(architecture)) == architecture


def test_a_latent_is_all_that_the_decoder_sees(picture: np.ndarray) -> None:
    model = architectures.get("classic", 4).build(training=False)
    latent = keras.Model(model.input, model.get_layer("latent").output)(picture).numpy()
    assert latent.shape == (2, 12, 8, 4)
    assert 0 <= latent.min() < latent.max() <= 1
    blind = keras.Model(model.get_layer("latent").output, model.output)
    np.testing.assert_allclose(blind(latent), model(picture), atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"classic"}))
def test_a_network_with_skips_has_no_latent(name: str) -> None:
    with pytest.raises(RecipeError, match=r"skips .* with a bottleneck: classic") as caught:
        architectures.get(name, latent=8)
    assert "\n" not in str(caught.value)


def test_an_architecture_that_is_not_registered_has_no_name() -> None:
    with pytest.raises(RecipeError, match="not registered"):
        architectures.named(architectures.UNet((16, 24), (0, 0), (1,)))


def test_unknown_names_and_numbers() -> None:
    with pytest.raises(RecipeError, match=f"there are {', '.join(sorted(every()))}"):
        architectures.get("large")
    with pytest.raises(RecipeError):
        architectures.restore({"kind": "unet", "colour": "red"})
    with pytest.raises(RecipeError):
        architectures.restore({"kind": "transformer"})


def test_classic_is_the_network_that_the_project_grew_from() -> None:
    layers = [
        (type(layer).__name__, getattr(layer, "filters", None), getattr(layer, "strides", None))
        for layer in ARCHITECTURES["classic"].build().layers
    ]
    assert [entry for entry in layers if entry[0] not in ("InputLayer", "UnitInterval")] == [
        ("Conv2D", 32, (1, 1)),
        ("MaxPooling2D", None, (2, 2)),
        ("Conv2D", 64, (1, 1)),
        ("MaxPooling2D", None, (2, 2)),
        ("Dropout", None, None),
        ("Conv2DTranspose", 32, (2, 2)),
        ("UpSampling2D", None, None),
        ("Conv2DTranspose", 3, (1, 1)),
        ("Activation", None, None),
    ]


def test_depthwise_kernels_have_a_scale_for_each_channel(picture: np.ndarray) -> None:
    # `base` with fewer channels and blocks, which take minutes to trace.
    architecture = architectures.UNet((16, 16), (1, 1), (2,), 2, "separable", 16)
    model = architecture.build()
    twin = quantize.quantize(architecture, quantize.calibrate(model, [picture]), model)
    graph = graphs.decode(export.to_tflite(twin, "int8"))
    kernels = [op.inputs[1] for op in graph.operators if op.name == "DEPTHWISE_CONV_2D"]
    assert len(kernels) == sum(architecture.down) + sum(architecture.up) - 1
    assert all(len(kernel.scale) == kernel.shape[3] for kernel in kernels)


def test_a_leak_goes_beyond_both_bounds_until_it_is_closed(picture: np.ndarray) -> None:
    leak = tf.Variable(0.1)
    values = tf.constant([-2.0, 3.0, 8.0])
    np.testing.assert_allclose(LeakyReLU6(leak)(values), [-0.2, 3, 6.2], rtol=1e-6)
    keras.utils.set_random_seed(0)
    plain = ARCHITECTURES["small"].build()
    leaking = ARCHITECTURES["small"].build(leak=leak)
    weights.copy_weights(plain, leaking)
    expected = np.asarray(plain(picture, training=False))
    assert np.abs(np.asarray(leaking(picture, training=False)) - expected).max() > 1e-3
    leak.assign(0.0)
    np.testing.assert_allclose(np.asarray(leaking(picture, training=False)), expected, atol=1e-6)


def test_a_layer_that_is_dead_is_named(
    picture: np.ndarray, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("edgecae"), "propagate", True)
    model = ARCHITECTURES["nano"].build(training=False)
    quantize.calibrate(model, [picture])
    assert "its results lie within" not in caplog.text  # TensorFlow may log what it likes
    model.get_layer("down2_conv0").bias.assign(np.full(32, -100))
    found = quantize.calibrate(model, [picture])
    assert "down2_conv0: its results lie within" in caplog.text
    assert found.ranges["down2_conv0"] == (0.0, quantize.MIN_RANGE)
