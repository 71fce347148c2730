"""Model files that act when they are loaded, each by touching a file: its mark."""

from __future__ import annotations

import base64
import io
import json
import marshal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from edgecae_train._tf import tf

__all__ = ["KERAS", "SAVED_MODELS", "layer", "sequential", "write_h5"]

FRAME = tf.TensorSpec([None, None, None, 3], tf.float32)


def _code(mark: Path) -> list[Any]:
    """A function as Keras 2 stores a lambda."""
    source = f"def f(*a):\n    open({str(mark)!r}, 'w').close()\n    return a[0]\n"
    space: dict[str, Any] = {}
    exec(compile(source, "code", "exec"), space)
    return [base64.b64encode(marshal.dumps(space["f"].__code__)).decode(), None, None]


def layer(kind: str, **config: Any) -> dict[str, Any]:
    """The description of a layer."""
    common = {"name": kind.lower(), "trainable": True, "dtype": "float32"}
    return {"class_name": kind, "config": {**common, **config}}


def sequential(*layers: dict[str, Any], side: int | None = 64) -> dict[str, Any]:
    """The description of a model."""
    first = {"batch_input_shape": [None, side, side, 3], "dtype": "float32", "name": "i"}
    start = {"class_name": "InputLayer", "config": first}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [start, *layers]}}


def write_h5(path: Path, description: Any) -> None:
    """A Keras file with a description and no weights."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        file.attrs["model_config"] = json.dumps(description)
        group = file.create_group("model_weights")
        group.attrs["layer_names"], group.attrs["backend"] = [], "tensorflow"
        group.attrs["keras_version"] = "2.15.0"


def _lambda(mark: Path) -> dict[str, Any]:
    function = {"function": _code(mark), "function_type": "lambda", "module": "__main__"}
    shape = {"output_shape": None, "output_shape_type": "raw", "output_shape_module": None}
    return layer("Lambda", **function, **shape, arguments={})


def _wrapped(kind: str, key: str) -> Callable[[Path, Path], None]:
    """A cell wrapper, a class of Keras' own, that holds a lambda."""

    def write(path: Path, mark: Path) -> None:
        stored = {key: _code(mark), f"{key}_type": "lambda", f"{key}_module": "tf_keras"}
        cell = layer(kind, cell=layer("GRUCell", units=192), **stored)
        rnn = layer("RNN", cell=cell, return_sequences=True, return_state=False)
        first, last = (
            layer("Reshape", target_shape=shape, name=f"r{len(shape)}")
            for shape in ([64, 192], [64, 64, 3])
        )
        write_h5(path, sequential(first, rnn, last))

    return write


def _polyglot(path: Path, mark: Path) -> None:
    """An HDF5 with a lambda, and behind it a zip with an innocent description."""
    write_h5(path, sequential(_lambda(mark)))
    behind = io.BytesIO()
    with zipfile.ZipFile(behind, "w") as archive:
        archive.writestr("config.json", json.dumps(sequential(layer("ReLU"))))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
    path.write_bytes(path.read_bytes() + behind.getvalue())


def _called(path: Path, mark: Path) -> None:
    """A function of TensorFlow in place of a layer, which writes a file."""
    start = {"batch_input_shape": [None, 64, 64, 3], "dtype": "float32", "name": "i"}
    inputs = {"class_name": "InputLayer", "config": start}
    writes = layer("TFOpLambda", function="io.write_file", name="w")
    first = {**inputs, "name": "i", "inbound_nodes": []}
    kept = {"contents": "x"}
    second = {**writes, "name": "w", "inbound_nodes": [["_CONSTANT_VALUE", -1, str(mark), kept]]}
    third = {**layer("ReLU", name="r"), "name": "r", "inbound_nodes": [[["i", 0, 0, {}]]]}
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [["r", 0, 0]]}
    config = {"name": "m", "layers": [first, second, third], **ends}
    write_h5(path, {"class_name": "Functional", "config": config})


KERAS: dict[str, Callable[[Path, Path], None]] = {
    "lambda": lambda path, mark: write_h5(path, sequential(_lambda(mark))),
    "inner-lambda": lambda path, mark: write_h5(path, sequential(sequential(_lambda(mark)))),
    "residual": _wrapped("ResidualWrapper", "residual_fn"),
    "polyglot": _polyglot,
    "called": _called,
}
"""Writers of a ``.h5``: its path, and the mark that it makes."""


def _save(path: Path, function: Callable[[Any], Any], module: Any = None) -> None:
    module = module or tf.Module()
    module.f = tf.function(function, input_signature=[FRAME])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.f})


def _writes(path: Path, mark: Path) -> None:
    def call(x: Any) -> Any:
        tf.io.write_file(str(mark), "x")
        return {"y": x * 1.0}

    _save(path, call)


def _saves(path: Path, mark: Path) -> None:
    def call(x: Any) -> Any:
        tf.raw_ops.Save(filename=str(mark), tensor_names=["a"], data=[x])
        return {"y": x * 1.0}

    _save(path, call)


def _dumps(path: Path, mark: Path) -> None:
    def call(x: Any) -> Any:
        x = tf.raw_ops.DebugIdentityV2(
            input=x,
            tfdbg_context_id="a",
            op_name="x",
            output_slot=0,
            tensor_debug_mode=4,
            debug_urls=[f"file://{mark}"],
        )
        return {"y": x * 1.0}

    _save(path, call)


def _nested(path: Path, mark: Path) -> None:
    """The operation is in a branch, in a function, behind another signature."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.bool)])
    def other(flag: Any) -> Any:
        def write() -> Any:
            tf.io.write_file(str(mark), "x")
            return tf.constant(1.0)

        return {"y": tf.cond(flag, write, lambda: tf.constant(0.0))}

    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x * 1.0}, input_signature=[FRAME])
    module.g = other
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.f, "other": other})


def _initializes(path: Path, mark: Path) -> None:
    class Resource(tf.saved_model.experimental.TrackableResource):
        def __init__(self) -> None:
            super().__init__(device="")

        def _create_resource(self) -> Any:
            return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.float32)

        def _initialize(self) -> None:
            tf.io.write_file(str(mark), "x")

    module = tf.Module()
    module.resource = Resource()
    handle = module.resource.resource_handle

    def call(x: Any) -> Any:
        keys = tf.constant(["a"])
        found = tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=keys, default_value=0.0)
        return {"y": x + 0 * found[0]}

    _save(path, call, module)


def _main_op(path: Path, mark: Path) -> None:
    """Of TensorFlow 1: an operation that is run when the file is loaded."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="x")
        y = tf.identity(x * 1.0, name="y")
        operation = tf.io.write_file(str(mark), "x")
        ends = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(path))
        signatures = {"serving_default": ends}
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map=signatures, main_op=operation
        )
        builder.save()


SAVED_MODELS: dict[str, Callable[[Path, Path], None]] = {
    "writes": _writes,
    "saves": _saves,
    "dumps": _dumps,
    "nested": _nested,
    "initializes": _initializes,
    "main-op": _main_op,
}
"""Writers of a SavedModel: its path, and the mark that it makes."""
