"""What can be converted: a run directory, or weights of a known architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import RecipeError
from edgecae.runtime import images
from edgecae.train import recipe, weights
from edgecae.train.architectures import Architecture
from edgecae.train.loop import held_out_folder
from edgecae.train.recipe import Recipe

__all__ = ["Source", "open_run"]


@dataclass(frozen=True)
class Source:
    """A trained network and what belongs to it.

    Attributes:
        name: for the file and its metadata.
        folder: where the file goes unless told otherwise.
        settings: recipe of the training.
        architecture: of the network.
        values: float weights by name.
        qat: QAT weights by name, with the activation ranges; None where there are none.
        held_out: pictures that it was not trained on, uint8, H×W×3.
        held_out_from: the same in words.
    """

    name: str
    folder: Path
    settings: Recipe
    architecture: Architecture
    values: Mapping[str, NDArray[np.float32]]
    qat: Mapping[str, NDArray[np.float32]] | None
    held_out: tuple[NDArray[np.uint8], ...]
    held_out_from: str

    def float_network(self) -> Any:
        """The Keras model, N×H×W×3 in [0, 1] to the same."""
        network = self.architecture.build(training=False)
        weights.load_weights(network, self.values)
        return network


def open_run(run: Path, qat: bool) -> Source:
    """Open a run directory.

    Args:
        run: of :func:`edgecae.train.loop.train`.
        qat: whether its QAT phase is needed.

    Raises:
        RecipeError: ``run`` is not a finished run.
    """
    if not (run / "recipe.toml").exists():
        raise RecipeError(f"{run} is no run directory: it holds no recipe.toml")
    settings = recipe.read(run / "recipe.toml")
    if qat and not settings.qat.steps:
        raise RecipeError(f"{run} has no QAT phase, which int8 is made from; --ptq goes without")
    architecture, values = _load(run, "float")
    trained = None
    if qat:
        architecture, trained = _load(run, "qat")
    held_out = sorted(held_out_folder(run).glob("*.png"))
    if not held_out:
        raise RecipeError(f"{run} holds no held-out images to measure on")
    return Source(
        name=settings.name or settings.model,
        folder=run,
        settings=settings,
        architecture=architecture,
        values=values,
        qat=trained,
        held_out=tuple(images.read(path).pixels for path in held_out),
        held_out_from=f"held-out images of {run}",
    )


def _load(run: Path, phase: str) -> tuple[Architecture, dict[str, NDArray[np.float32]]]:
    path = run / f"{phase}.weights.h5"
    if not path.exists():
        hint = "; its QAT phase has not ended" if phase == "qat" else ""
        raise RecipeError(f"{run} holds no {path.name}{hint}")
    architecture, _, values = weights.read_weights(path)
    return architecture, values
