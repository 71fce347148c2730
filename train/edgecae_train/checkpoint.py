"""The state of a training in one file, written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a checkpoint, whose errors in the block become a :class:`RecipeError`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except RecipeError:
        raise
    except Exception as error:  # whatever zipfile, zlib, numpy and json raise of damaged bytes
        why = str(error) or type(error).__name__
        raise RecipeError(
            f"checkpoint {path} is damaged ({why}): train into a new directory, with --init "
            f"{path.with_name('best.weights.h5')} to go on from the best weights"
        ) from error


def _state(arrays: Any) -> State:
    return State(**json.loads(str(arrays["state"])))


def peek(path: Path) -> State:
    """Read the state alone.

    Raises:
        RecipeError: the file is missing or damaged.
    """
    with _opened(path) as arrays:
        return _state(arrays)


def load(path: Path, variables: Sequence[Any]) -> State:
    """Restore a checkpoint into variables of the same number, order and shapes.

    Nothing is assigned before all of the file was read.

    Raises:
        RecipeError: the file is missing or damaged, or is of another training.
    """
    with _opened(path) as arrays:
        if len(arrays.files) != len(variables) + 1:
            raise RecipeError(f"checkpoint {path} is of another network or optimizer")
        state = _state(arrays)
        values = [arrays[f"v{index}"] for index in range(len(variables))]
    for value, variable in zip(values, variables, strict=True):
        if value.shape != tuple(variable.shape):
            raise RecipeError(f"checkpoint {path} is of another network")
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)
    return state
