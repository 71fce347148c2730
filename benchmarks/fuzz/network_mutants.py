"""Damage to Keras files and SavedModels: to bytes, to descriptions of layers, and to graphs."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import marshal
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py

__all__ = ["Mutator"]

NUMBERS = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 64, 255, 4096, 65535, 65536, 2**31 - 1, 2**40)
VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "relu",
    "os.system",
    "/etc/passwd",
    [],
    {},
    1e308,
    float("inf"),
    0.5,
)


def _code(mark: Path) -> list[Any]:
    """A function that makes a file, as Keras 2 stores a lambda."""
    space: dict[str, Any] = {}
    exec(f"def f(*a):\n    open({str(mark)!r}, 'w').close()\n    return a[0]\n", space)
    return [base64.b64encode(marshal.dumps(space["f"].__code__)).decode(), None, None]


class Mutator:
    """Makes files to read out of good ones.

    Args:
        folder: for the good ones.
        mark: the file that code in mutants makes.
        rng: that decides.
    """

    def __init__(self, folder: Path, mark: Path, rng: random.Random) -> None:
        import keras as keras3

        from edgecae_train._tf import keras, tf

        self.rng, self.mark = rng, mark
        self.operations = [name for name in dir(tf.raw_ops) if name[0].isupper()]
        self.layers = sorted({*dir(keras.layers), *dir(keras3.layers)})
        self.files = []
        for name, library in (("two", keras), ("three", keras3)):
            model = _network(library)
            for suffix in (".h5", ".keras"):
                self.files.append(folder / f"{name}{suffix}")
                model.save(self.files[-1])
            self.files.append(folder / name)
            with contextlib.redirect_stdout(io.StringIO()):  # it introduces itself
                model.export(str(self.files[-1]))

    def __call__(self, number: int, folder: Path) -> Path:
        """Write one more mutant."""
        source = self.files[number % len(self.files)]
        target = folder / source.name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        if self.rng.random() < 0.3:
            files = [target] if target.is_file() else [f for f in target.rglob("*") if f.is_file()]
            self._damage(self.rng.choice(files))
        elif source.is_dir():
            self._graph(target / "saved_model.pb")
        elif source.suffix == ".h5":
            self._in_hdf5(target)
        else:
            self._in_zip(target)
        return target

    def _damage(self, path: Path) -> None:
        data = bytearray(path.read_bytes())
        for _ in range(self.rng.choice((1, 1, 2, 8))):
            place = self.rng.randrange(len(data))
            if self.rng.random() < 0.1:
                del data[place:]
                break
            near = data[place] ^ (1 << self.rng.randrange(8))
            data[place] = self.rng.choice((near, 0, 255, self.rng.randrange(256)))
        path.write_bytes(bytes(data) or b"\0")

    def _in_hdf5(self, path: Path) -> None:
        with h5py.File(path, "r+") as file:
            description = self._description(json.loads(file.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(description)

    def _in_zip(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        described = self._description(json.loads(parts["config.json"]))
        parts["config.json"] = json.dumps(described).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

    def _description(self, description: Any) -> Any:
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            places = list(_places(description))
            container, key = self.rng.choice(places)
            old = container[key]
            container[key] = self.rng.choice((self._other, self._hostile, self._moved))(old, places)
        return description

    def _other(self, old: Any, places: list[Any]) -> Any:
        """Another value of the same type, or any."""
        rng = self.rng
        if isinstance(old, bool) or old is None or rng.random() < 0.2:
            return rng.choice(VALUES)
        if isinstance(old, int | float):
            return rng.choice((*NUMBERS, old + 1))
        if isinstance(old, str):
            return rng.choice((*self.layers, "os", "builtins", "keras.src.utils", old + "x"))
        return self._moved(old, places)

    def _moved(self, _: Any, places: list[Any]) -> Any:
        container, key = self.rng.choice(places)
        return copy.deepcopy(container[key])

    def _hostile(self, _: Any, __: list[Any]) -> Any:
        """Something that makes the mark, if it is loaded."""
        code = _code(self.mark)
        function = {"function": code, "function_type": "lambda", "module": "__main__"}
        encoded = {"class_name": "__lambda__", "config": {"code": code[0]}}
        opens = {"class_name": "open", "module": "builtins", "registered_name": "open"}
        cell = {"residual_fn": code, "residual_fn_type": "lambda", "residual_fn_module": "x"}
        return self.rng.choice(
            (
                {"class_name": "Lambda", "config": {"name": "l", **function}},
                {"class_name": "ResidualWrapper", "config": {"name": "w", **cell}},
                {**encoded, "module": "builtins", "registered_name": None},
                {**opens, "config": {"file": str(self.mark), "mode": "w"}},
                {"class_name": "TFOpLambda", "config": {"function": "io.write_file", "name": "o"}},
                {"class_name": "StringLookup", "config": {"vocabulary": str(self.mark)}},
                code,
            )
        )

    def _graph(self, path: Path) -> None:
        from tensorflow.core.protobuf import saved_model_pb2

        parsed = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        graph, rng = parsed.meta_graphs[0], self.rng
        for _ in range(rng.choice((1, 1, 2, 3))):
            function = rng.choice(graph.graph_def.library.function)
            nodes = rng.choice((graph.graph_def.node, function.node_def))
            node = rng.choice(nodes)
            rng.choice((self._operation, self._attribute, self._input, self._writes, self._object))(
                node, nodes, graph
            )
        path.write_bytes(parsed.SerializeToString())

    def _operation(self, node: Any, nodes: Any, _: Any) -> None:
        node.op = self.rng.choice((self.rng.choice(self.operations), self.rng.choice(nodes).op))

    def _attribute(self, node: Any, _: Any, __: Any) -> None:
        if not node.attr:
            return
        value = node.attr[self.rng.choice(sorted(node.attr))]
        kind = value.WhichOneof("value")
        if kind == "i":
            value.i = self.rng.choice([n for n in NUMBERS if -(2**63) <= n < 2**63])
        elif kind == "type":
            value.type = self.rng.randrange(1, 24)
        elif kind == "s":
            value.s = self.rng.choice((b"", b"VALID", b"NCHW", b"\xff" * 20))
        elif kind == "shape":
            value.shape.dim.add(size=self.rng.choice(NUMBERS))
        elif kind == "tensor":
            value.tensor.tensor_shape.dim.add(size=abs(self.rng.choice(NUMBERS[1:])))
        elif kind == "list" and value.list.i:
            value.list.i[self.rng.randrange(len(value.list.i))] = self.rng.choice(NUMBERS[1:])
        elif kind == "func":
            value.func.name += "x"

    def _input(self, node: Any, nodes: Any, _: Any) -> None:
        if node.input:
            node.input[self.rng.randrange(len(node.input))] = self.rng.choice(nodes).name

    def _writes(self, _: Any, nodes: Any, __: Any) -> None:
        """Two strings and an operation that writes one into a file named by the other."""
        for name in ("mark_name", "mark_text"):
            node = nodes.add(name=name, op="Const")
            node.attr["dtype"].type = 7
            node.attr["value"].tensor.dtype = 7
            node.attr["value"].tensor.tensor_shape.SetInParent()
            node.attr["value"].tensor.string_val.append(str(self.mark).encode())
        ends = ("mark_name:output:0", "mark_text:output:0")
        nodes.add(name="mark_write", op="WriteFile", input=ends)

    def _object(self, _: Any, __: Any, graph: Any) -> None:
        one = self.rng.choice(graph.object_graph_def.nodes)
        kind = self.rng.randrange(4)
        if kind == 0:
            one.resource.device = ""
        elif kind == 1:
            one.asset.asset_file_def_index = 0
        elif kind == 2 and one.children:
            one.children[0].node_id = self.rng.randrange(len(graph.object_graph_def.nodes))
        else:
            one.children.add(local_name="_initialize", node_id=0)


def _places(value: Any) -> Any:
    """Every place of a JSON value: its container and key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _network(library: Any) -> Any:
    layers = library.layers
    frame = layers.Input((None, None, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(frame)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    x = library.Sequential([layers.Input((None, None, 8)), layers.Conv2D(8, 1), layers.ReLU()])(x)
    x = layers.UpSampling2D(2)(layers.Dropout(0.1)(x))
    x = layers.Conv2DTranspose(3, 3, padding="same")(x)
    return library.Model(frame, layers.Add()([x, frame]))
