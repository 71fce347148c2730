"""The state of a training in one file, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import atomic
from edgecae.errors import RecipeError

__all__ = ["State", "load", "peek", "save"]


@dataclass
class State:
    """What goes on counting through a training, beside the variables.

    Attributes:
        phase: ``float`` or ``qat``.
        step: steps done in this phase.
        best: best mean validation PSNR of this phase, dB.
        stale: validations since then.
        rate_factor: what plateaus have made of the learning rate.
        history: a row for each validation of the run so far.
    """

    phase: str
    step: int = 0
    best: float = -1.0
    stale: int = 0
    rate_factor: float = 1.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, state: State, variables: Sequence[Any]) -> None:
    """Write a checkpoint.

    Args:
        path: where to; replaced only when the new one is complete.
        state: see :class:`State`.
        variables: all variables of network, average and optimizer, in a fixed order.
    """
    arrays = {f"v{index}": variable.numpy() for index, variable in enumerate(variables)}
    with atomic.writing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, state=np.array(json.dumps(dataclasses.asdict(state))), **arrays)


def _open(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RecipeError(f"checkpoint {path} cannot be read: {error}") from error


def peek(path: Path) -> State:
    """Read the state alone.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    with _open(path) as arrays:
        return State(**json.loads(str(arrays["state"])))


def load(path: Path, variables: Sequence[Any]) -> State:
    """Restore a checkpoint into variables of the same number, order and shapes.

    Raises:
        RecipeError: the file is missing or damaged, or is of another training.
    """
    with _open(path) as arrays:
        if len(arrays.files) != len(variables) + 1:
            raise RecipeError(f"checkpoint {path} is of another network or optimizer")
        for index, variable in enumerate(variables):
            value = arrays[f"v{index}"]
            if value.shape != tuple(variable.shape):
                raise RecipeError(f"checkpoint {path} is of another network")
            variable.assign(value)
        return State(**json.loads(str(arrays["state"])))
