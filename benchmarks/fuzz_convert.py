"""Damage Keras files and SavedModels and see whether the reader of ``edgecae convert`` holds.

    python benchmarks/fuzz_convert.py --mutants 5000 [--seed 0] [--keep FOLDER]

It makes small networks in every format that is read: ``.h5``, ``.keras`` and SavedModel. Some
mutants are damaged bytes. Others have sound containers and other contents: descriptions in which
layers, settings and numbers were exchanged, among them ones that run code; graphs with other
operations, attributes and objects, among them ones that write files.

The reader runs in its sandbox, without ``--trust-code``. The code that mutants hold tries to make a
file in the one folder where the sandbox lets it. Such a file is a hole in the first wall. So is an
exception that is no refusal. A process that dies, or takes more than its time or memory, is what
the second wall is for; it is counted.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import copy
import io
import json
import marshal
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py

__all__ = ["Mutator", "Reader", "fuzz"]

MAX_SECONDS = 60.0
"""For a mutant; the command allows more."""
MAX_SECONDS_TO_START = 600.0
"""To import TensorFlow, beside whatever else the machine does."""
MARK = "mark"
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


class Reader:
    """A process in the sandbox that reads mutants, and a new one when it dies.

    Args:
        folder: the one that it may write in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, path: Path) -> str:
        """Read one: ``refused …``, ``loaded``, ``error …``, ``died …`` or ``late``."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, "--worker", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            )
            answer = self._answer(MAX_SECONDS_TO_START)
            assert answer == "ready", f"the process did not start: {answer}"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{path}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._answer(MAX_SECONDS)
        if answer in ("", "late"):
            self.close()
            return answer or "died"
        return answer

    def _answer(self, seconds: float) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline().decode().strip() if ready else "late"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _work(folder: Path) -> None:
    """Read the files that are named on standard input, and say of each what became of it."""
    from edgecae_convert.foreign import sandbox

    sandbox.enter(folder)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from edgecae.errors import RecipeError
    from edgecae_convert.foreign import reading
    from edgecae_train._tf import keras, tf

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        scratch = folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        path = Path(line.strip())
        try:
            network, shape = reading.load(path, scratch)
            reading.stride_and_size(path, network, shape)
            answer = "loaded"
        except RecipeError as error:
            answer = "refused " + str(error).removeprefix(str(path)).replace("\n", "\\n")
        except (MemoryError, tf.errors.OpError):
            answer = "refused at the end"  # as the worker answers it
        except Exception as error:
            answer = f"error {type(error).__name__}"
        keras.backend.clear_session()
        print(answer, file=answers, flush=True)


def fuzz(mutants: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Make mutants and count what becomes of them.

    Args:
        mutants: how many.
        seed: of everything random.
        keep: a folder for those that show a hole, or end the process.

    Returns:
        ``mutants``, ``refused``, ``loaded``, ``ended`` (how the process ended, and how often),
        ``holes`` (what kind, and how often), ``slowest_s``, ``peak_mb`` of the process and
        ``reasons``.
    """
    import resource

    rng = random.Random(seed)
    results, reasons, holes = Counter[str](), Counter[str](), Counter[str]()
    ended, slowest = Counter[str](), 0.0
    with tempfile.TemporaryDirectory(prefix="edgecae-") as name:
        folder = Path(name)
        good, writable = folder / "good", folder / "writable"
        good.mkdir()
        writable.mkdir()
        mark = writable / MARK
        mutate = Mutator(good, mark, rng)
        read = Reader(writable)
        try:
            for number in range(-len(mutate.files), mutants):
                mutant = folder / "mutant"
                mutant.mkdir()
                sound = number < 0
                path = mutate.files[number] if sound else mutate(number, mutant)
                start = time.monotonic()
                answer = read(path)
                if sound:  # else nothing below would mean anything
                    assert answer == "loaded", f"{path.name}: {answer}"
                else:
                    slowest = max(slowest, time.monotonic() - start)
                    kind, _, why = answer.partition(" ")
                    hole = kind == "error" or "\\n" in why or mark.exists()
                    if hole:
                        holes["a mark" if mark.exists() else answer] += 1
                    elif kind in ("died", "late"):
                        ended[kind] += 1
                    else:
                        results[kind] += 1
                        reasons["".join(c for c in why if not c.isdigit())[:30]] += 1
                    if keep is not None and (hole or kind in ("died", "late")):
                        shutil.copytree(mutant, keep / f"{seed}-{number}", dirs_exist_ok=True)
                    mark.unlink(missing_ok=True)
                shutil.rmtree(mutant)
        finally:
            read.close()
    return {
        "mutants": mutants,
        "refused": results["refused"],
        "loaded": results["loaded"],
        "ended": dict(ended),
        "holes": dict(holes),
        "slowest_s": round(slowest, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "reasons": dict(reasons.most_common(40)),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that show a hole")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    asked: Any = _parser().parse_args()
    if asked.worker is not None:
        _work(asked.worker)
    else:
        print(json.dumps(fuzz(asked.mutants, asked.seed, asked.keep), indent=2))
