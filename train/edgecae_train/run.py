"""A run: what holds for both of its phases, and its directory.

The directory is made when a run begins, and found again when one resumes.
"""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecae import atomic
from edgecae.errors import RecipeError
from edgecae_train import checkpoint, devices, evaluate, recipe, weights
from edgecae_train.architectures import Architecture
from edgecae_train.channels import Batch, Start, fitted
from edgecae_train.checkpoint import State
from edgecae_train.data.batches import Drawn
from edgecae_train.recipe import PhaseSettings, Recipe
from edgecae_train.training_set import TrainingSet

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "CALIBRATION_BATCHES",
    "PHASES",
    "Event",
    "Run",
    "begin",
    "check_fits",
    "claimed",
    "held_out_folder",
    "stopped_at",
    "write_history",
]

log = logging.getLogger(__name__)

CALIBRATION_BATCHES = 32
PHASES = ("float", "qat")


@dataclass(frozen=True)
class Event:
    """What a progress display is told, after each step.

    Attributes:
        phase: ``float`` or ``qat``.
        step: steps done in the phase, of ``steps``.
        steps: of the phase.
        row: the new row of the history, where this step ended in a validation.
    """

    phase: str
    step: int
    steps: int
    row: dict[str, Any] | None = None


@dataclass
class Run:
    """Everything that holds for both phases of one run."""

    recipe: Recipe
    directory: Path
    architecture: Architecture
    devices: devices.Devices
    learned_from: TrainingSet
    validation: evaluate.HeldOut
    report: Callable[[Event], None]
    tensorboard: Any = None

    @property
    def last(self) -> Path:
        """The checkpoint that a killed run goes on from."""
        return self.directory / "checkpoints" / "last.npz"

    @property
    def best(self) -> Path:
        """Weights of the best validation so far."""
        return self.directory / "checkpoints" / "best.weights.h5"

    def phase_weights(self, phase: str) -> Path:
        """Where a phase that has ended leaves its weights; ``init``: those to start from."""
        return self.directory / f"{phase}.weights.h5"

    def settings(self, phase: str) -> PhaseSettings:
        """Return what the recipe says of a phase."""
        return self.recipe.float_phase if phase == "float" else self.recipe.qat

    def batches(self, phase: str, early: bool = False) -> Drawn:
        """Make the batches of a phase, or of its early steps, for this process."""
        settings = self.settings(phase).early if early else self.settings(phase)
        return self.learned_from.batches(
            batch=settings.batch // self.devices.shards,
            patch=settings.patch,
            seed=self.recipe.seed * len(PHASES) + PHASES.index(phase),
            shard=self.devices.shard,
        )

    def examples(self, phase: str) -> Iterator[Batch]:
        """Noisy and clean patches, N×H×W×3 in [0, 1], the same in every process."""
        patches = self.batches(phase)
        patches.shard = 0
        for step in range(CALIBRATION_BATCHES):
            noisy, clean = (np.asarray(x / 255, np.float32) for x in patches.at(step)[:2])
            yield noisy, clean


def check_fits(settings: Recipe, architecture: Architecture, replicas: int) -> None:
    """Refuse patches and batches that the network or the devices can't take.

    Raises:
        RecipeError: a size does not fit.
    """
    for name, phase in (("float", settings.float_phase), ("qat", settings.qat)):
        for size in phase.sizes if phase.steps else ():
            if size.patch % architecture.stride:
                raise RecipeError(
                    f"{name}: a patch of {size.patch} is no multiple of the network's stride "
                    f"{architecture.stride}"
                )
            if 2 * phase.margin >= size.patch:
                raise RecipeError(
                    f"{name}: a margin of {phase.margin} leaves nothing of a patch of {size.patch}"
                )
            if size.batch % replicas:
                raise RecipeError(f"{name}: a batch of {size.batch} can't be shared by {replicas}")


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write the rows of the validations as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    atomic.write_text(path, text.getvalue())


def held_out_folder(run: Path) -> Path:
    """Where a run keeps the images that it is validated on, so that nothing else is needed."""
    return run / "held_out"


@contextlib.contextmanager
def claimed(run: Run) -> Iterator[None]:
    """Make the run directory, and keep other processes from training in it meanwhile.

    The lock ends with the process, however that ends. File systems without locks go without.

    Raises:
        RecipeError: another process trains there, it can't be made, or it lies in the data.
    """
    directory = run.directory
    folder = run.recipe.photographed[1] if run.recipe.photographed else run.recipe.data
    if Path(folder).resolve() in [*directory.resolve().parents]:
        raise RecipeError(f"{directory} lies in {folder}: it would be trained on")
    if not run.devices.chief:  # the others write nothing
        yield
        return
    try:
        run.last.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{directory} can't be made: {error.strerror}") from error
    if fcntl is None:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RecipeError(
            f"{directory} is in use: another process trains there; end it first, or name another"
        ) from error
    except OSError as error:
        log.debug("%s can't be locked: %s", directory, error)
    try:
        yield
    finally:
        os.close(descriptor)


def begin(run: Run, start: Start | None, noise_file: Path | None) -> State:
    """Make the run directory, with the weights to start from and the noise file if there are any.

    The recipe has the numbers of the noise; the file says how they were measured as well.
    """
    path = run.directory / "recipe.toml"
    if not run.devices.chief:
        return State("float")
    if path.exists():
        raise RecipeError(f"{run.directory} holds a run already; --resume it, or name another")
    if start is not None:
        network = run.architecture.build(training=False)
        values = start.values
        if start.architecture != run.architecture:
            values = fitted(start, run.architecture, list(run.examples("float")))
        weights.load_weights(network, values)
        phase = "init" if run.recipe.float_phase.steps else "float"
        weights.save_weights(run.phase_weights(phase), network, run.architecture, "float")
    run.learned_from.held_out.write(held_out_folder(run.directory))
    if noise_file is not None:
        atomic.write_text(run.directory / "noise.toml", noise_file.read_text(encoding="utf-8"))
    made_with = {**recipe.versions(), "images": run.learned_from.fingerprint}
    atomic.write_text(path, recipe.dumps(recipe.with_changes(run.recipe, {"made_with": made_with})))
    return State("float")


def stopped_at(run: Run) -> State:
    """Find where the run in the directory stopped."""
    path = run.directory / "recipe.toml"
    if not path.exists():
        raise RecipeError(f"{run.directory} holds no run to resume")
    if recipe.digest(recipe.located(recipe.read(path))) != recipe.digest(run.recipe):
        raise RecipeError(f"{run.directory} was started with another recipe; see {path}")
    if recipe.read(path).made_with.get("images") != run.learned_from.fingerprint:
        folder = run.recipe.photographed[1] if run.recipe.photographed else run.recipe.data
        raise RecipeError(f"the images in {folder} are not those that the run began with")
    return checkpoint.peek(run.last) if run.last.exists() else State("float")
