"""Weights by name: copy them between models, keep them in HDF5 files that say what they are.

A weights file holds one data set per weight, ``LAYER/WEIGHT``, and the attributes
``architecture`` (JSON, see :func:`edgecae_train.architectures.describe`) and ``phase``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from edgecae import atomic
from edgecae.errors import RecipeError
from edgecae_train.architectures import Architecture, describe, restore

__all__ = ["copy_weights", "load_weights", "named_weights", "read_weights", "save_weights"]

_BOOKKEEPING = {"optimizer_step", "counter"}
"""Weights that belong to a training, not to a network."""


def named_weights(model: Any) -> dict[str, Any]:
    """The variables of a model by ``LAYER/WEIGHT``, the same for its float and its QAT form."""
    found = {}
    for layer in model.layers:
        for variable in layer.weights:
            weight = variable.name.split(":")[0].rsplit("/", 1)[-1]
            if weight not in _BOOKKEEPING:
                found[f"{layer.name}/{weight}"] = variable
    return found


def load_weights(model: Any, values: Mapping[str, Any]) -> None:
    """Set every weight of ``model`` for which there is a value; kernels and biases must be there.

    Raises:
        RecipeError: a kernel or bias is missing, or a shape differs.
    """
    for name, variable in named_weights(model).items():
        if name not in values:
            if name.endswith(("_min", "_max")):
                continue  # activation ranges, which float weights don't have
            raise RecipeError(f"the weights lack {name}: they are of another architecture")
        value = np.asarray(values[name])
        if tuple(value.shape) != tuple(variable.shape):
            raise RecipeError(
                f"weight {name} has shape {value.shape}, the network wants {variable.shape}"
            )
        variable.assign(value)


def copy_weights(source: Any, target: Any) -> None:
    """Copy weights by name from one model to another of the same architecture."""
    load_weights(target, {name: v.numpy() for name, v in named_weights(source).items()})


def save_weights(path: Path, model: Any, architecture: Architecture, phase: str) -> None:
    """Write a weights file, whole or not at all.

    Args:
        path: where to; an existing file is replaced.
        model: float or QAT network.
        architecture: what it was built from.
        phase: ``float`` or ``qat``.

    Raises:
        SinkError: it can't be written.
    """
    # In memory first: HDF5 ends the process where a disk is full.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["architecture"] = json.dumps(describe(architecture), sort_keys=True)
        file.attrs["phase"] = phase
        for name, variable in named_weights(model).items():
            file[name] = variable.numpy()
    atomic.write_bytes(path, content.getvalue())


def read_weights(path: Path) -> tuple[Architecture, str, dict[str, NDArray[np.float32]]]:
    """Read a weights file.

    Returns:
        The architecture, the phase (``float`` or ``qat``) and the weights by name.

    Raises:
        RecipeError: the file is missing or not such a file.
    """
    values: dict[str, NDArray[np.float32]] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values[name] = item[()]

    try:
        with h5py.File(path, "r") as file:
            architecture = restore(json.loads(file.attrs["architecture"]))
            phase = str(file.attrs["phase"])
            file.visititems(collect)
    except RecipeError:
        raise
    except FileNotFoundError as error:
        raise RecipeError(f"{path} does not exist") from error
    except Exception as error:  # whatever h5py, HDF5 and json raise of damaged bytes
        raise RecipeError(
            f"{path} is not a weights file of edgecae, or is damaged ({error}): name a "
            ".weights.h5 that edgecae train wrote"
        ) from error
    return architecture, phase, values
