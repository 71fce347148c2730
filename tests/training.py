"""Small, real trainings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # tests of the runtime do without TensorFlow
    from edgecae_train.recipe import Recipe

TINY: dict[str, Any] = {
    "validate_every": 10,
    "float.steps": 30,
    "float.batch": 4,
    "float.patch": 32,
    "float.warmup": 5,
    "float.average": 0.9,
    "qat.steps": 10,
    "qat.batch": 4,
    "qat.patch": 32,
    "qat.warmup": 2,
}
"""A recipe of seconds."""


def tiny(photos: Path, **changes: Any) -> Recipe:
    """That recipe with some changes, on pictures of a folder."""
    from edgecae_train import recipe

    return recipe.with_changes(recipe.Recipe(), {**TINY, "data": str(photos), **changes})


def train(path: Path, photos: Path, **changes: Any) -> Path:
    """A finished run of it."""
    from edgecae_train import loop

    return loop.train(tiny(photos, **changes), path)
