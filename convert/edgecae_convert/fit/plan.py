"""What is asked of a fit, and the recipe that follows from it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecae_train import channels, devices, recipe, shipped, weights
from edgecae_train.data.images import BUILTIN
from edgecae_train.phase import Phase, picture_loss
from edgecae_train.recipe import Recipe
from edgecae_train.training_set import open_training_set

__all__ = ["TRAINING", "Fit", "fit_recipe", "seconds_per_step", "start_of", "steps_within"]

TRAINING: dict[str, Any] = {
    "gray": 0.0,
    "validate_every": 200,
    "float.batch": 16,
    "float.patch": 64,
    "float.learning_rate": 1e-3,
    "float.warmup": 50,
    "float.average": 0.998,
    "float.margin": 8,
    "qat.steps": 0,
    "qat.patch": 64,
}
"""Settings of a fit, the same as in ``recipes/fit.toml``. It goes without QAT: kernels are rounded
so that errors cancel, and that alone loses some hundredths of a dB."""

MIN_STEPS = 20
MAX_STEPS = 20_000

SHARE = 0.7
"""Of the time, for the steps; the rest is for TensorFlow's start, validation and conversion."""

TIMED_STEPS = 5


@dataclass(frozen=True)
class Fit:
    """What is asked of a fit.

    Attributes:
        source: a camera, clip, folder or whatever else has frames; empty with pairs or bursts.
        pairs: folder of pairs, see :class:`edgecae_train.recipe.Recipe`.
        bursts: folder of bursts, likewise.
        data: folder of clean photos, or ``builtin``; for a source alone.
        model: name of the shipped model to start from.
        minutes: that all of it may take.
        steps: of training; 0: as many as the time allows.
        frames: of the source, to record.
    """

    source: str = ""
    pairs: str = ""
    bursts: str = ""
    data: str = BUILTIN
    model: str = "small"
    minutes: float = 10.0
    frames: int = 40
    steps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self)


def fit_recipe(asked: Fit, noise_file: Path | None) -> Recipe:
    """The recipe of a fit, with the steps of the default.

    Args:
        asked: what is asked.
        noise_file: of the source's noise.

    Raises:
        NoiseError: the file holds no noise.
    """
    changes = {**TRAINING, "model": asked.model, "pairs": asked.pairs, "bursts": asked.bursts}
    if noise_file is not None:
        changes |= {"data": asked.data, "noise": str(noise_file)}
    return recipe.with_changes(Recipe(), changes)


def start_of(model: str) -> channels.Start:
    """The float weights of a shipped model.

    Raises:
        RecipeError: there is no such model.
    """
    architecture, _, values = weights.read_weights(shipped.find_weights(model))
    return channels.Start(architecture, values)


def seconds_per_step(settings: Recipe) -> float:
    """How long a step of the float phase takes here and now, its batch included.

    Raises:
        DataError: there are no usable pictures.
    """
    start = start_of(settings.model)
    chosen = devices.choose(settings.strategy, settings.precision, lambda _: None)
    with chosen.strategy.scope():
        network = start.architecture.build(chosen.policy)
        averaged = start.architecture.build(training=False)
        wanted = settings.float_phase
        loss = picture_loss(network, start.architecture.loss, wanted.margin)
        phase = Phase(
            network, averaged, chosen.strategy, loss, settings.optimizer, settings.clip_norm,
            wanted.average, wanted.weight_decay,
        )  # fmt: skip
    batches = open_training_set(settings).batches(wanted.batch, wanted.patch, settings.seed)
    # The same batch again: its pictures are read or generated once for very many steps.
    float(phase.step(phase.place(batches.at(0)), 1e-6, 0))
    began = time.monotonic()
    for step in range(1, 1 + TIMED_STEPS):
        float(phase.step(phase.place(batches.at(0)), 1e-6, step))
    return (time.monotonic() - began) / TIMED_STEPS


def steps_within(seconds: float, each: float) -> int:
    """How many steps fit into a time, a multiple of ten.

    Args:
        seconds: that are left for all that follows.
        each: seconds of a step.
    """
    steps = int(SHARE * seconds / each) // 10 * 10
    return max(MIN_STEPS, min(MAX_STEPS, steps))
