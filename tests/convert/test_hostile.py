"""Files that act when they are loaded, or take all memory, are refused before they do."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hostile
import numpy as np
import pytest
from benchmark_modules import load
from hostile import layer, sequential

from edgecae.errors import RecipeError
from edgecae_convert.foreign import keras_file, reading
from edgecae_convert.foreign.layers import KERAS_3_OPERATIONS, LAYERS, UnsafeError, checked
from edgecae_convert.foreign.network import open_model
from edgecae_convert.trained_model import open_trained
from edgecae_train import architectures
from edgecae_train._tf import keras, tf

pytestmark = pytest.mark.slow


def refusal(path: Path, tmp_path: Path) -> str:
    """What the reader says to a file, called here and not in its worker."""
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    with pytest.raises(RecipeError) as caught:
        reading.load(path, scratch)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def acts(path: Path, mark: Path) -> bool:
    """Whether a file does what it is made for, if it is loaded and run as it is."""
    try:
        network, _ = reading.load(path, None)
        network(tf.zeros([1, 64, 64, 3]), training=False)
    except (RecipeError, tf.errors.OpError):
        pass  # it may act and then fail
    return any(mark.parent.glob(f"{mark.name}*"))


@pytest.mark.parametrize("name", hostile.KERAS)
def test_keras_files_that_hold_code(tmp_path: Path, name: str) -> None:
    path, mark = tmp_path / "model.h5", tmp_path / "mark"
    hostile.KERAS[name](path, mark)
    assert "--trust-code" in refusal(path, tmp_path)
    assert not mark.exists()
    assert acts(path, mark)


@pytest.mark.parametrize("name", hostile.SAVED_MODELS)
def test_saved_models_that_act(tmp_path: Path, name: str) -> None:
    path, mark = tmp_path / "saved", tmp_path / "mark"
    hostile.SAVED_MODELS[name](path, mark)
    why = refusal(path, tmp_path)
    assert "operations that are not allowed" in why
    assert "--trust-code" in why
    assert not any(tmp_path.glob("mark*"))
    if name != "nested":  # which needs its other signature
        assert acts(path, mark)


def test_a_zip_with_an_hdf5_behind_it(tmp_path: Path) -> None:
    """HDF5 may begin at byte 512, 1024 and so on."""
    hostile.write_h5(tmp_path / "model.h5", sequential(layer("ReLU")))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", " " * 1024)
    start = content.getvalue()
    path = tmp_path / "model.keras"
    path.write_bytes(start[:1024].ljust(1024, b" ") + (tmp_path / "model.h5").read_bytes())
    assert h5py.is_hdf5(path)
    assert "an HDF5 and a zip" in refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (layer("Lambda"), "layer Lambda"),
        (layer("StringLookup", vocabulary="/etc/passwd"), "layer StringLookup"),
        (layer("TensorFlowOpLayer", node_def={}), "layer TensorFlowOpLayer"),
        (layer("TFOpLambda", function="io.read_file"), "'io.read_file'|layer TFOpLambda"),
        (layer("TimeDistributed", layer=layer("Lambda")), "layer TimeDistributed"),
        ({**layer("Conv2D"), "registered_name": "mine>Conv2D"}, "registered class"),
        ({**layer("Conv2D"), "module": "os"}, "layer os.Conv2D"),
        ({**layer("system"), "module": "os"}, "layer os.system"),
        ({**layer("get_file"), "module": "keras.utils"}, "layer keras.utils.get_file"),
        ({**layer("Map"), "module": "keras.src.ops.core"}, "layer keras.src.ops.core.Map"),
        (layer("Conv2D", filters=2**30), "setting 1073741824"),
        (layer("Conv2D", function="x"), "layer Conv2D with the setting 'function'"),
        (layer("Conv2D", filters={"class_name": "Lambda"}), "setting"),
        (layer("Conv2D", activation="os.system"), "activation 'os.system'"),
        (layer("Activation", activation=layer("Lambda")), "layer Lambda"),
        (layer("Conv2D", dtype={"class_name": "system", "config": {}}), "type"),
        ({**layer("ReLU"), "inbound_nodes": [[["i", 0, 0, {"x": layer("f")}]]]}, "with an object"),
        (sequential(sequential(layer("Lambda"))), "layer Lambda"),
        ("Lambda", "'Lambda' in place of a layer"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_what_a_description_may_not_name(given: Any, named: str, version: int) -> None:
    with pytest.raises(UnsafeError, match=named):
        checked(sequential(given), version)


def test_descriptions_without_end() -> None:
    deep: Any = layer("ReLU")
    for _ in range(100):
        deep = sequential(deep)
    lists: Any = 1
    for _ in range(100):
        lists = [lists]
    for given in (deep, layer("ReLU", max_value=lists), sequential(*[layer("ReLU")] * 3000)):
        with pytest.raises(UnsafeError):
            checked(sequential(given), 2)


def test_what_only_training_needs_is_left_out() -> None:
    named = {"kernel_initializer": layer("Mine"), "kernel_regularizer": layer("Lambda")}
    model = checked(sequential(layer("Conv2D", filters=3, **named)), 2)
    config = model["config"]["layers"][1]["config"]
    assert config["kernel_initializer"] == "zeros"
    assert "kernel_regularizer" not in config


@pytest.mark.parametrize("version", [2, 3])
def test_every_allowed_layer_loads(version: int) -> None:
    """As each version describes it, with the settings that it has by default."""
    import keras as keras3

    library = keras if version == 2 else keras3
    needed: dict[str, dict[str, Any]] = {
        "Activation": {"activation": "relu"},
        "AveragePooling2D": {"pool_size": 2},
        "CenterCrop": {"height": 8, "width": 8},
        "Dense": {"units": 4},
        "DepthwiseConv2D": {"kernel_size": 3},
        "GaussianDropout": {"rate": 0.1},
        "GaussianNoise": {"stddev": 0.1},
        "InputLayer": {"shape" if version == 3 else "input_shape": (8, 8, 3)},
        "Permute": {"dims": (2, 1, 3)},
        "Rescaling": {"scale": 0.5},
        "Reshape": {"target_shape": (4, 4)},
        "Resizing": {"height": 8, "width": 8},
    }
    for kind in LAYERS:
        settings = needed.get(kind, {})
        if "Conv" in kind and not settings:
            settings = {"filters": 4, "kernel_size": 3}
        if "Dropout" in kind:
            settings = {"rate": 0.1}
        if version == 3 and not hasattr(library.layers, kind):
            assert kind == "ThresholdedReLU"
            continue
        made = getattr(library.layers, kind)(**settings)
        described = json.loads(json.dumps(library.saving.serialize_keras_object(made)))
        (again,) = checked(
            {"class_name": "Sequential", "config": {"layers": [described]}}, version
        )["config"]["layers"]
        assert isinstance(library.layers.deserialize(again), type(made))


def test_every_allowed_operation_of_keras_3_exists() -> None:
    import importlib

    for part, kinds in KERAS_3_OPERATIONS.items():
        module = importlib.import_module(f"keras.src.ops.{part}")
        assert not [kind for kind in kinds if not hasattr(module, kind)]


def _linked(group: h5py.Group) -> None:
    group["kernel"] = h5py.ExternalLink("/etc/other.h5", "/x")


def _aliased(group: h5py.Group) -> None:
    group["kernel"] = h5py.SoftLink("/model_weights")


def _external(group: h5py.Group) -> None:
    group.create_dataset("kernel", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
    group.create_virtual_dataset("kernel", layout)


def _compressed(group: h5py.Group) -> None:
    group.create_dataset("kernel", data=np.zeros(2**22, "f4"), compression="gzip")


def _unwritten(group: h5py.Group) -> None:
    group.create_dataset("kernel", (2**40,), "f4")


def _repeated(group: h5py.Group) -> None:
    group["kernel"] = np.ones(2**14, "f4")
    for number in range(99):
        group[f"kernel{number}"] = group["kernel"]


def _cyclic(group: h5py.Group) -> None:
    group["again"] = group


@pytest.mark.parametrize(
    "spoil",
    [_linked, _aliased, _external, _virtual, _compressed, _unwritten, _repeated, _cyclic],
)
@pytest.mark.parametrize("name", ["model.h5", "mine.weights.h5"])
def test_hdf5_that_is_more_than_numbers(
    tmp_path: Path, spoil: Callable[[h5py.Group], None], name: str
) -> None:
    path = tmp_path / name
    hostile.write_h5(path, sequential(layer("ReLU")))
    (tmp_path / "scratch").mkdir()
    keras_file.safe_weights(path, tmp_path / "scratch")
    with h5py.File(path, "r+") as file:
        spoil(file["model_weights"])
    with pytest.raises(UnsafeError):
        keras_file.safe_weights(path, tmp_path / "scratch")
    if name == "model.h5":
        refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"channels": [10**6] * 3}, "1000000 channels"),
        ({"channels": [4096] * 3, "down": [0, 0, 200], "up": [200, 0]}, "4096 channels"),
        ({"down": [400, 0, 0]}, "401 blocks"),
        ({"factor": 512}, "a stride of 2048"),
    ],
)
def test_weights_that_describe_a_huge_network(
    tmp_path: Path, numbers: dict[str, object], message: str
) -> None:
    described = architectures.describe(architectures.get("nano"))
    path = tmp_path / "huge.weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["architecture"] = json.dumps({**described, **numbers})
        file.attrs["phase"] = "float"
    with pytest.raises(RecipeError, match=message):
        open_trained(path, qat=False, calibrate="builtin")


@pytest.mark.parametrize("fault", ["twice", "more", "bomb"])
def test_zips_that_are_more_than_three_parts(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.ReLU(input_shape=(None, None, 3))]).save(path)
    assert reading.load(path, (tmp_path / "scratch").mkdir() or tmp_path / "scratch")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        if fault == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("config.json", "{}")
        elif fault == "more":
            archive.writestr("assets/words", "a")
    if fault == "bomb":
        monkeypatch.setitem(keras_file.PARTS, "config.json", 100)
    why = {"twice": "has one twice", "more": "assets/words", "bomb": "of more than 100 bytes"}
    assert why[fault] in refusal(path, tmp_path)


def test_a_graph_of_tensorflow_1(tmp_path: Path) -> None:
    """Its variables become constants, and nothing of it is run to restore them."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.set_random_seed(0)  # other tests make TensorFlow deterministic
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="x")
        y = x
        for resource, name in ((False, "a"), (True, "b")):
            kernel = v1.get_variable(name, [1, 1, 3, 3], use_resource=resource)
            y = tf.nn.conv2d(y, kernel, 1, "SAME")
        session.run(v1.global_variables_initializer())
        expected = session.run(y, {x: np.ones((1, 8, 8, 3), np.float32)})
        v1.saved_model.simple_save(session, str(tmp_path / "one"), {"x": x}, {"y": y})
    with open_model(tmp_path / "one", trust=False) as found:
        got = found.network(np.ones((1, 8, 8, 3), np.float32))
    assert got == pytest.approx(expected, abs=1e-5)


def test_random_damage_does_no_harm() -> None:
    """The fuzzer for a few seconds; it is meant for longer runs."""
    result = load("fuzz/convert").fuzz(24, seed=5)
    assert result["holes"] == {}
    assert result["refused"] + result["loaded"] + sum(result["ended"].values()) == 24
    assert result["refused"] >= 4
    assert result["peak_mb"] < 3 * 1024
