"""Load a network that was trained elsewhere, and find out what frames it takes.

Where the user trusts a file, this is done in the process of the caller. Otherwise the worker alone
does it, and loads the copies that :mod:`~edgecae_convert.foreign.keras_file` and
:mod:`~edgecae_convert.foreign.saved_model` make.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecae.errors import RecipeError
from edgecae_convert.foreign import keras_file, saved_model
from edgecae_convert.foreign.layers import UnsafeError
from edgecae_train._tf import keras, tf

__all__ = ["load", "stride_and_size"]

STRIDES = (1, 2, 4, 8, 16, 32, 64)

Shape = list[int | None]


def load(path: Path, scratch: Path | None) -> tuple[Any, Shape]:
    """Load a SavedModel directory, or a Keras file with its architecture.

    Args:
        path: of it.
        scratch: an empty folder for a copy that is safe to load; None: load it as it is, and run
            whatever code it names.

    Returns:
        The network, called with N×H×W×3 and ``training``, and the shape that it takes.

    Raises:
        RecipeError: it can't be read, or names what is not allowed.
    """
    if not path.is_dir() and path.suffix not in keras_file.SUFFIXES:
        raise RecipeError(
            f"{path} is neither a run, nor FILE.weights.h5, FILE.keras, FILE.h5 or a SavedModel"
        )
    try:
        if path.is_dir():
            return _saved_model(path, scratch)
        return _keras(path, scratch)
    except UnsafeError as error:
        raise RecipeError(
            f"{path} {error}; --trust-code loads it nevertheless, and runs what it names"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # whatever the bytes lead TensorFlow, Keras, HDF5 and zip to
        wanted = "SavedModel with one input and one output"
        if not path.is_dir():
            wanted = "Keras file with an architecture that loads"
        hint = "" if path.is_dir() else "; weights alone need --architecture NAME"
        raise RecipeError(f"{path} is no {wanted}: {_first_line(error)}{hint}") from error


def stride_and_size(path: Path, network: Any, shape: Shape) -> tuple[int, tuple[int, int] | None]:
    """Find what height and width must be multiples of, or which alone they can be.

    Raises:
        RecipeError: the network does not make frames of frames.
    """
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
            return stride, size
    raise RecipeError(f"{path} does not make N×H×W×3 of N×H×W×3, for any stride up to 64")


def _result(network: Any, size: tuple[int, int]) -> list[int] | None:
    try:
        result = network(tf.zeros([1, *size, 3]), training=False)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception:  # whatever shapes that don't go together at this size lead it to
        return None
    shape = getattr(result, "shape", None)
    return None if shape is None else [int(side) for side in shape]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:200]


def _keras(path: Path, scratch: Path | None) -> tuple[Any, Shape]:
    if scratch is None:
        copy, version = path, 3 if keras_file.version_of(path).startswith("3") else 2
    else:
        copy, version = keras_file.safe_copy(path, scratch)
    model = _library(version).models.load_model(
        str(copy), compile=False, safe_mode=scratch is not None
    )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(f"{path} does not have one input and one output")
    return model, list(model.inputs[0].shape)


def _library(version: int) -> Any:
    if version == 2:
        return keras
    import keras as keras3

    return keras3


class _Signature(tf.Module):
    """The serving signature of a SavedModel, called like a Keras model."""

    def __init__(self, loaded: Any, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.loaded, self.function = loaded, function

    def __call__(self, frame: Any, training: bool = False) -> Any:  # noqa: ARG002
        return self.function(frame)


def _saved_model(path: Path, scratch: Path | None) -> tuple[Any, Shape]:
    if scratch is not None:
        graph = saved_model.read(path)
        if saved_model.is_of_tensorflow_1(graph):
            return _constant(*saved_model.constant_graph(graph, path, scratch))
        saved_model.safe_copy(graph, path, scratch)
        path = scratch
    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures[saved_model.SIGNATURE]
    ((name, given),) = function.structured_input_signature[1].items()
    (_,) = function.structured_outputs

    def call(frame: Any) -> Any:
        (result,) = function(**{name: frame}).values()
        return result

    return _Signature(loaded, call), list(given.shape)


def _constant(graph: Any, given: str, made: str) -> tuple[Any, Shape]:
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    function = wrapped.prune(given, made)
    return _Signature(wrapped, function), list(function.inputs[0].shape)
