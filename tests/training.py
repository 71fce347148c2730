"""Small, real trainings and conversions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # tests of the runtime do without TensorFlow
    from edgecae_convert.report.results import ConversionResults
    from edgecae_train.recipe import Recipe

ANY = 100.0
"""A loss by conversion that no conversion reaches, dB."""

TINY: dict[str, Any] = {
    "model": "nano",
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

SHAPES: dict[str, dict[str, Any]] = {
    "nano": {"channels": (8, 8), "down": (0, 0), "up": (1,)},
    "classic": {"filters": (8, 64)},
}
"""The smallest networks of their kinds: to build and to trace them takes most of the time."""

TINY["architecture"] = SHAPES[TINY["model"]]


def tiny(photos: Path, **changes: Any) -> Recipe:
    """That recipe with some changes, on pictures of a folder."""
    from edgecae_train import recipe

    shape = SHAPES.get(changes.get("model", TINY["model"]), {})
    changes = {**TINY, "architecture": shape, "data": str(photos), **changes}
    return recipe.with_changes(recipe.Recipe(), changes)


@contextlib.contextmanager
def few_batches() -> Iterator[None]:
    """Calibrate on 2 batches in place of 32.

    The moments of what convolutions read take more time than all the rest of a tiny training.
    """
    from edgecae_convert import calibrate
    from edgecae_train import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "BATCHES", 2)
        patch.setattr(run, "CALIBRATION_BATCHES", 2)
        yield


@pytest.fixture(autouse=True)
def quick_calibration(request: pytest.FixtureRequest) -> Iterator[None]:
    """In slow tests alone: others import no TensorFlow, and so train and convert nothing."""
    if request.node.get_closest_marker("slow"):
        with few_batches():
            yield
    else:
        yield


def train(path: Path, photos: Path, **changes: Any) -> Path:
    """A finished run of the tiny recipe with some changes."""
    from edgecae_train import loop

    with few_batches():
        return loop.train(tiny(photos, **changes), path)


def convert(run: Path, path: Path, **settings: Any) -> ConversionResults:
    """Convert a run, however much the file loses against the float network."""
    from edgecae_convert import convert

    with few_batches():
        return convert(run, path, max_drop=ANY, **settings)
