"""Load a network that was trained elsewhere, and find out what frames it takes.

Where the user trusts a file, this is done in the process of the caller. Otherwise the worker alone
does it, and loads the copies that :mod:`~edgecae_convert.foreign.keras_file` and
:mod:`~edgecae_convert.foreign.saved_model` make.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import RecipeError
from edgecae_convert.foreign import keras_file, messages, saved_model
from edgecae_convert.foreign.layers import UnsafeError
from edgecae_convert.frames import FrameNetwork
from edgecae_train._tf import keras, tf

__all__ = ["load", "stride_and_size"]

STRIDES = (1, 2, 4, 8, 16, 32, 64)

Shape = list[int | None]


def load(
    path: Path, scratch: Path | None, signature: str = "", value_range: tuple[float, float] = (0, 1)
) -> tuple[FrameNetwork, Shape]:
    """Load a SavedModel directory, or a Keras file with its architecture.

    Args:
        path: of it.
        scratch: an empty folder for a copy that is safe to load; None: load it as it is, and run
            whatever code it names.
        signature: of a SavedModel, ``NAME`` or ``NAME:OUTPUT``; empty: ``serving_default``.
        value_range: what black and white are to the network.

    Returns:
        The network, and the shape that it takes itself.

    Raises:
        RecipeError: it can't be read, or names what is not allowed.
    """
    if not path.is_dir() and path.suffix not in keras_file.SUFFIXES:
        raise RecipeError(
            f"{path} is neither a run, nor FILE.weights.h5, FILE.keras, FILE.h5 or a SavedModel"
        )
    if signature and not path.is_dir():
        raise RecipeError(f"{path} has no signatures; --signature is for SavedModels")
    try:
        if path.is_dir():
            network, shape = _saved_model(path, scratch, signature)
        else:
            network, shape = _keras(path, scratch)
    except RecipeError:
        raise
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
        raise RecipeError(f"{path} is no {wanted}: {messages.brief(error)}{hint}") from error
    if len(shape) != 4 or shape[3] not in (1, 3, None):
        raise RecipeError(
            f"{path} takes {_shape(shape)}; N×H×W×3 (RGB) or N×H×W×1 (gray) can be converted"
        )
    return FrameNetwork(network, shape[3] or 3, value_range), shape


def stride_and_size(
    path: Path, network: FrameNetwork, shape: Shape
) -> tuple[int, tuple[int, int] | None]:
    """Find what height and width must be multiples of, or which alone they can be.

    Raises:
        RecipeError: the network does not make frames of frames.
    """
    height, width = shape[1:3]
    if (height is None) != (width is None):
        raise RecipeError(f"{path} leaves one of height and width open; both or none can be")
    size = None if height is None or width is None else (height, width)
    for stride in STRIDES if size is None else (1,):
        # Odd multiples: a network that halves them needs a larger stride.
        tried = size or (3 * stride, 5 * stride)
        result = _result(network, tried)
        if result is not None and result.shape == (1, *tried, network.channels):
            if not np.isfinite(result).all():
                raise RecipeError(
                    f"{path} makes of a frame what is no number: its training diverged"
                )
            return stride, size
    frames = f"N×H×W×{network.channels}"
    raise RecipeError(f"{path} does not make {frames} of {frames}, for any stride up to 64")


def _result(network: FrameNetwork, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Run a frame of gray levels; None where it can't be run at this size."""
    frame = np.linspace(0, 1, size[0] * size[1] * network.channels, dtype=np.float32)
    try:
        result = network.single(tf.constant(frame.reshape(1, *size, network.channels)))
        return np.asarray(result)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception:  # whatever shapes that don't go together at this size lead it to
        return None


def _shape(shape: Shape) -> str:
    return "×".join("?" if side is None else str(side) for side in shape)


def _keras(path: Path, scratch: Path | None) -> tuple[Any, Shape]:
    if scratch is None:
        copy, version = path, 3 if keras_file.version_of(path).startswith("3") else 2
    else:
        copy, version = keras_file.safe_copy(path, scratch)
    model = _library(version).models.load_model(
        str(copy), compile=False, safe_mode=scratch is not None
    )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one of "
            "each; export a model of the one that denoises"
        )
    if version == 3:
        model = _with_open_up_sampling(model)
    for variable in model.weights:
        values = np.asarray(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RecipeError(
                f"{path} has weights that are no numbers ({variable.name}): its training diverged"
            )
    return model, list(model.inputs[0].shape)


def _with_open_up_sampling(model: Any) -> Any:
    """Have up-sampling of Keras 3 compute sizes when it is run: its own can't if they are open."""
    keras3 = _library(3)
    if not any(isinstance(each, keras3.layers.UpSampling2D) for each in model.layers):
        return model

    class UpSampling2D(keras3.layers.UpSampling2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            if self.data_format == "channels_first":
                return super().call(inputs)
            size = tf.shape(inputs)[1:3] * tf.constant(self.size, tf.int32)
            return tf.image.resize(inputs, size, self.interpolation)

    def clone(layer: Any) -> Any:
        found = isinstance(layer, keras3.layers.UpSampling2D)
        return UpSampling2D.from_config(layer.get_config()) if found else layer

    return keras3.models.clone_model(model, clone_function=clone)


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


def _saved_model(path: Path, scratch: Path | None, signature: str) -> tuple[Any, Shape]:
    key, _, wanted = signature.partition(":")
    key = key or saved_model.SIGNATURE
    if scratch is not None:
        graph = saved_model.read(path)
        if saved_model.is_of_tensorflow_1(graph):
            return _constant(*saved_model.constant_graph(graph, path, scratch, key, wanted))
        saved_model.safe_copy(graph, path, scratch)
    loaded = tf.saved_model.load(str(path if scratch is None else scratch))
    if key not in loaded.signatures:
        raise RecipeError(saved_model.no_signature(path, key, loaded.signatures))
    function = loaded.signatures[key]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    output = saved_model.chosen_output(path, key, inputs, outputs, wanted)
    ((name, given),) = inputs.items()

    def call(frame: Any) -> Any:
        return function(**{name: frame})[output]

    return _Signature(loaded, call), list(given.shape)


def _constant(graph: Any, given: str, made: str) -> tuple[Any, Shape]:
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    function = wrapped.prune(given, made)
    return _Signature(wrapped, function), list(function.inputs[0].shape)
