"""Networks that were trained elsewhere: a SavedModel, or a Keras file.

A Keras file is a description from which Python objects are made, and may name any code: marshalled
lambdas, and in newer ones any function of any module. So the description is read first, and one
that names anything but Keras' own layers is refused unless the user insists. A SavedModel holds no
Python; those that read or write files when they run are refused likewise.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from edgecae.errors import RecipeError
from edgecae_train._tf import keras, tf

__all__ = ["ForeignModel", "open_model"]

SUFFIXES = (".keras", ".h5", ".hdf5")
MAX_DESCRIPTION = 64 * 2**20
STRIDES = (1, 2, 4, 8, 16, 32, 64)
OWN_MODULES = ("keras", "tf_keras")
OWN_PARTS = """activations constraints dtype_policies engine initializers layers models ops
    regularizers""".split()  # noqa: SIM905
"""Of Keras' modules, those that a network is made of: others fetch files and the like."""
SIDE_EFFECTS = ("PyFunc", "ReadFile", "WriteFile", "MatchingFiles", "PrintV2", "SaveV2", "Load")
"""Beginnings of the names of TensorFlow operations that do more than compute."""


@dataclass(frozen=True)
class ForeignModel:
    """A network that was trained elsewhere.

    Attributes:
        network: called with N×H×W×3, RGB in [0, 1], and ``training``; gives the same.
        stride: height and width must be multiples of this.
        size: height and width, where it takes no others.
    """

    network: Any
    stride: int
    size: tuple[int, int] | None


def open_model(path: Path, trust: bool) -> ForeignModel:
    """Open a SavedModel directory, or a Keras file with its architecture.

    Args:
        path: of it.
        trust: run whatever code it names.

    Raises:
        RecipeError: it can't be read, names code, or is no network of images to images.
    """
    network, shape = _saved_model(path, trust) if path.is_dir() else _keras(path, trust)
    if len(shape) != 4 or shape[3] not in (3, None):
        raise RecipeError(f"{path} takes {shape}, not frames, N×H×W×3")
    height, width = shape[1:3]
    if (height is None) != (width is None):
        raise RecipeError(f"{path} leaves one of height and width open; both or none can be")
    size = None if height is None or width is None else (height, width)
    for stride in STRIDES if size is None else (1,):
        # Odd multiples: a network that halves them needs a larger stride.
        tried = size or (3 * stride, 5 * stride)
        if _result(network, tried) == [1, *tried, 3]:
            return ForeignModel(network, stride, size)
    raise RecipeError(f"{path} does not make N×H×W×3 of N×H×W×3, for any stride up to 64")


def _result(network: Any, size: tuple[int, int]) -> list[int] | None:
    try:
        result = network(tf.zeros([1, *size, 3]), training=False)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None  # its shapes don't go together at this size
    shape = getattr(result, "shape", None)
    return None if shape is None else [int(side) for side in shape]


class _Signature(tf.Module):
    """The serving signature of a SavedModel, called like a Keras model."""

    def __init__(self, loaded: Any, function: Any, name: str) -> None:
        super().__init__()
        self.loaded, self.function, self.argument = loaded, function, name

    def __call__(self, frame: Any, training: bool = False) -> Any:  # noqa: ARG002
        (result,) = self.function(**{self.argument: frame}).values()
        return result


def _saved_model(path: Path, trust: bool) -> tuple[Any, list[int | None]]:
    try:
        loaded = tf.saved_model.load(str(path))
        function = loaded.signatures["serving_default"]
        ((name, given),) = function.structured_input_signature[1].items()
        (_,) = function.structured_outputs
    except Exception as error:  # whatever the bytes lead TensorFlow to
        raise RecipeError(
            f"{path} is no SavedModel with one input and one output: {_first_line(error)}"
        ) from error
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    acting = sorted(
        {node.op for node in nodes if node.op.startswith(SIDE_EFFECTS) or "PyFunc" in node.op}
    )
    if acting and not trust:
        raise RecipeError(
            f"{path} does more than compute ({', '.join(acting)}); --trust-code runs it"
        )
    return _Signature(loaded, function, name), list(given.shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:200]


def _keras(path: Path, trust: bool) -> tuple[Any, list[int | None]]:
    if path.suffix not in SUFFIXES:
        raise RecipeError(
            f"{path} is neither a run, nor FILE.weights.h5, FILE.keras, FILE.h5 or a SavedModel"
        )
    description, version = _description(path)
    foreign = sorted(set(_foreign(description)))
    if foreign and not trust:
        raise RecipeError(
            f"{path} names code that is not Keras' own ({', '.join(foreign)[:200]}), which loading "
            "would run; --trust-code does it"
        )
    library = _library(version)
    try:
        model = library.models.load_model(str(path), compile=False, safe_mode=not trust)
    except Exception as error:  # whatever the description leads Keras to
        raise RecipeError(
            f"{path} can't be loaded by Keras {version}: {_first_line(error)}"
        ) from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(f"{path} does not have one input and one output")
    return model, list(model.inputs[0].shape)


def _library(version: str) -> Any:
    if not version.startswith("3"):
        return keras
    import keras as keras3

    return keras3


def _description(path: Path) -> tuple[Any, str]:
    """The JSON that a Keras file describes its objects by, and the version that wrote it."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > MAX_DESCRIPTION:
                    raise RecipeError(f"{path} has a description without end")
                metadata = json.loads(archive.read("metadata.json"))
                return json.loads(archive.read("config.json")), str(metadata["keras_version"])
        with h5py.File(path, "r") as file:
            version = file.attrs["keras_version"]
            version = version.decode() if isinstance(version, bytes) else str(version)
            return json.loads(file.attrs["model_config"]), version
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(
            f"{path} is no Keras file with an architecture; weights alone need --architecture NAME"
        ) from error


def _foreign(value: Any) -> Iterator[str]:
    """Names in a description that lead to code other than Keras' own layers."""
    if isinstance(value, list):
        for each in value:
            yield from _foreign(each)
    if not isinstance(value, dict):
        return
    if "class_name" in value:
        kind, module = str(value["class_name"]), str(value.get("module") or "keras")
        registered = value.get("registered_name") not in (None, "", kind)
        code = kind.endswith(("Lambda", "function", "__lambda__")) or ">" in kind or registered
        if code or not _own(module):
            yield kind if module == "keras" else f"{module}.{kind}"
    for each in value.values():
        yield from _foreign(each)


def _own(module: str) -> bool:
    library, *parts = module.replace(".src.", ".").split(".")
    return library in OWN_MODULES and (not parts or parts[0] in OWN_PARTS)
