"""The training loop: a float phase, then a quantization-aware one, resumable at every checkpoint.

Randomness has three places, each of them a function of the recipe's seed and the step: initial
weights, batches (:mod:`.data.batches`) and dropout (a counter among the weights). So a
run that was killed continues from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecae.errors import RecipeError
from edgecae_train import (
    architectures,
    checkpoint,
    devices,
    evaluate,
    recipe,
    samples,
    weights,
)
from edgecae_train._tf import seeded, tf
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.fusion import Fusion, clip_denoiser
from edgecae_train.channels import Start, fits
from edgecae_train.checkpoint import State
from edgecae_train.data.batches import prefetch
from edgecae_train.gain_loss import gain_loss
from edgecae_train.phase import Phase, picture_loss
from edgecae_train.quantization.quantize import post_training, quantize
from edgecae_train.recipe import Recipe
from edgecae_train.run import (
    PHASES,
    Event,
    Run,
    begin,
    check_fits,
    claimed,
    stopped_at,
    write_history,
)
from edgecae_train.training_set import open_training_set

__all__ = ["Event", "train"]

log = logging.getLogger(__name__)


def _build(run: Run, phase: str, start: dict[str, Any]) -> Phase:
    """Make the networks of a phase and load ``start`` (weights by name, or none) into them."""
    settings = run.recipe
    wanted = run.settings(phase)
    loss = run.architecture.loss if wanted.loss == "auto" else wanted.loss
    with run.devices.strategy.scope(), seeded(settings.seed):
        fresh = wanted.leak and not run.phase_weights("init").exists()
        leak = tf.Variable(0.0, trainable=False) if fresh else None
        if phase == "float":
            network = run.architecture.build(run.devices.policy, leak=leak)
            averaged = run.architecture.build(training=False)
        else:
            network, averaged = (quantize(run.architecture) for _ in range(2))
        if start:
            weights.load_weights(network, start)
        weights.copy_weights(network, averaged)
        for layer in network.layers:
            layer.trainable &= layer.name.startswith(wanted.trained)
        if not network.trainable_variables:
            raise RecipeError(f"no layer of {phase} that is trained begins with {wanted.trained!r}")
        measured = (
            gain_loss(network, settings.frames, wanted.margin, settings.caution)
            if isinstance(run.architecture, Fusion)
            else picture_loss(network, loss, wanted.margin, wanted.flat_weight)
        )
        return Phase(
            network,
            averaged,
            run.devices.strategy,
            measured,
            settings.optimizer if phase == "float" else "adam",
            settings.clip_norm,
            wanted.average,
            wanted.weight_decay,
            leak,
            _denoiser(averaged, run.architecture),
        )


def _denoiser(network: Any, architecture: Architecture) -> evaluate.Denoise:
    """What validation measures: of frames, or of clips."""
    if isinstance(architecture, Fusion):
        still = evaluate.float_denoiser(architecture.still)
        return clip_denoiser(network, still, architecture.boost)
    return evaluate.keras_denoiser(network, architecture.stride)


def _calibrated(run: Run, start: dict[str, Any]) -> dict[str, Any]:
    """Float weights, equalized and rounded, and the activation ranges of training patches."""
    _, network = post_training(
        run.architecture, start, lambda: (noisy for noisy, _ in run.examples("qat"))
    )
    return {name: v.numpy() for name, v in weights.named_weights(network).items()}


def _validate(
    run: Run, phase: Phase, state: State, loss: float | None, rate: float
) -> dict[str, Any]:
    """Measure, keep what is best, write a checkpoint and the pictures."""
    assert phase.denoise is not None  # see _build
    measured = run.validation.measure(phase.denoise)
    if run.recipe.flat and not isinstance(run.architecture, Fusion):
        measured["flat"] = evaluate.flat_psnr(phase.denoise)
    mean = float(np.mean(list(measured.values())))
    row = {
        "phase": state.phase,
        "step": state.step,
        "loss": None if loss is None else round(loss, 8),
        "learning_rate": float(f"{rate:.6g}"),
        "psnr": round(mean, 4),
        **{f"psnr {spec}": round(value, 4) for spec, value in measured.items()},
    }
    state.history.append(row)
    settings = run.settings(state.phase)
    better = mean > state.best
    state.best, state.stale = (mean, 0) if better else (state.best, state.stale + 1)
    if settings.schedule == "plateau" and state.stale and state.stale % settings.plateau == 0:
        state.rate_factor /= 2
    if run.devices.chief:
        if better:
            weights.save_weights(run.best, phase.averaged, run.architecture, state.phase)
        checkpoint.save(run.last, state, phase.variables)
        write_history(run.directory / "history.csv", state.history)
        if run.tensorboard is not None:
            with run.tensorboard.as_default():
                for key, value in row.items():
                    if isinstance(value, float):
                        tf.summary.scalar(f"{state.phase}/{key}", value, state.step)
            run.tensorboard.flush()
    return row


def _prefetched(run: Run, phase: str, first: int) -> Generator[tuple[Any, ...], None, None]:
    """Batches of the steps of a phase from ``first`` on, the early ones first."""
    settings = run.settings(phase)
    turn = min(settings.early.steps, settings.steps)
    for early, last in ((True, turn), (False, settings.steps)):
        if first < last:
            with prefetch(run.batches(phase, early), first, last) as batches:
                yield from batches
            first = last


def _run_phase(run: Run, phase: Phase, state: State) -> None:
    """Train from ``state`` to the end of its phase."""
    settings = run.settings(state.phase)
    losses: list[Any] = []
    if run.recipe.patience and state.stale >= run.recipe.patience:
        return  # killed when it had already stopped early
    if state.phase == "qat" and "qat" not in (row["phase"] for row in state.history):
        # What rounding alone comes to is the first candidate: QAT can't end below it.
        first = _validate(run, phase, state, None, 0.0)
        run.report(Event(state.phase, 0, settings.steps, first))
    with contextlib.closing(_prefetched(run, state.phase, state.step)) as batches:
        for batch in batches:
            rate = recipe.rate(settings, state.step, state.rate_factor)
            leak = recipe.leak(settings, state.step)
            losses.append(phase.step(phase.place(batch), rate, state.step, leak))
            state.step += 1
            row = None
            if state.step % run.recipe.validate_every == 0 or state.step == settings.steps:
                loss = float(np.mean([float(x) for x in losses]))
                if not np.isfinite(loss):
                    raise RecipeError(
                        f"{state.phase} phase, step {state.step}: the loss is not finite; lower "
                        f"the learning rate in {run.directory / 'recipe.toml'}, then --resume"
                    )
                losses.clear()
                row = _validate(run, phase, state, loss, rate)
            run.report(Event(state.phase, state.step, settings.steps, row))
            if row and run.recipe.patience and state.stale >= run.recipe.patience:
                log.info("%s phase: nothing better for %d validations", state.phase, state.stale)
                break


def _finish_phase(run: Run, phase: Phase, state: State) -> None:
    """Keep the best weights of the phase under its name, and draw the pictures of the run."""
    if not run.devices.chief:
        return
    write_history(run.directory / "history.csv", state.history)
    _, name, values = weights.read_weights(run.best)
    if name != state.phase:
        return  # killed when the next phase had begun: this one was finished before
    keep, init = run.recipe.keep, run.phase_weights("init")
    if keep and state.phase == "float" and init.exists():
        first = weights.read_weights(init)[2]
        values = {n: keep * first[n] + (1 - keep) * value for n, value in values.items()}
    weights.load_weights(phase.averaged, values)
    path = run.phase_weights(state.phase)
    weights.save_weights(path, phase.averaged, run.architecture, state.phase)
    samples.curves(run.directory / "curves.png", state.history)
    assert phase.denoise is not None  # see _build
    samples.samples(run.directory / "samples.png", run.validation, phase.denoise)


@contextlib.contextmanager
def _tensorboard(directory: Path, wanted: bool) -> Iterator[Any]:
    if not wanted:
        yield None
        return
    writer = tf.summary.create_file_writer(str(directory / "tensorboard"))
    try:
        yield writer
    finally:
        writer.close()


def train(
    settings: Recipe,
    directory: Path,
    *,
    start: Start | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    announce: Callable[[str], None] = log.info,
    report: Callable[[Event], None] = lambda event: None,
) -> Path:
    """Train a network: float phase, then QAT.

    Args:
        settings: everything that decides the result.
        directory: the run directory; made if it is not there, and without a run in it unless
            ``resume``. Several machines need it on a file system that they share.
        start: weights to start from, in place of random ones.
        resume: continue from the last checkpoint of ``directory``.
        tensorboard: also write event files below ``directory``.
        announce: told once which devices, precision and strategy are used, and which workers it
            waits for.
        report: told about every step.

    Returns:
        The run directory: ``recipe.toml``, ``history.csv``, ``curves.png``, ``samples.png``,
        ``held_out/``, ``checkpoints/``, ``float.weights.h5`` and ``qat.weights.h5``; a noise
        file as ``noise.toml``.

    Raises:
        RecipeError: the recipe does not fit the network or the devices, the directory is in use,
            there is nothing to resume, or the loss is no longer finite.
        DataError: there are no usable images.
    """
    noise_file = Path(settings.noise) if settings.noise.endswith(".toml") else None
    settings = recipe.located(settings)
    architecture = architectures.get(settings.model, settings.latent, settings.architecture)
    if not settings.float_phase.steps and start is None and not resume:
        raise RecipeError("QAT without a float phase needs weights to start from (--init)")
    if start is not None and not fits(start.architecture, architecture):
        raise RecipeError(
            f"the weights to start from don't fit {settings.model}: they are of another "
            "architecture, or less than half as wide somewhere"
        )
    chosen = devices.choose(settings.strategy, settings.precision, announce)
    announce(chosen.description)
    if start is not None and start.architecture != architecture:
        announce(f"weights of another network are fitted to {settings.model}")
    check_fits(settings, architecture, chosen.strategy.num_replicas_in_sync)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    learned_from = open_training_set(settings)
    validation = learned_from.validation(architecture.stride)
    if settings.photographed:
        announce(
            f"validated on {validation.count} noisy pictures that are held out, against the "
            f"{' '.join(validation.pairs)}"
        )
    run = Run(settings, directory, architecture, chosen, learned_from, validation, report)
    if resume and not (directory / "recipe.toml").exists():
        raise RecipeError(f"{directory} holds no run to resume")
    with (
        claimed(run),
        _tensorboard(directory, tensorboard and chosen.chief) as run.tensorboard,
    ):
        state = stopped_at(run) if resume else begin(run, start, noise_file)
        chosen.barrier()
        restored = resume and run.last.exists()
        for phase in PHASES[PHASES.index(state.phase) :]:
            if not run.settings(phase).steps:
                continue
            if phase == "qat" and isinstance(architecture, Fusion):
                announce("no QAT phase: a gate is rounded when it is converted")
                continue
            if not restored:
                state = State(phase, history=state.history)
            built = _build(run, phase, {} if restored else _start(run, phase))
            if restored:
                state = checkpoint.load(run.last, built.variables)
                restored = False
            _run_phase(run, built, state)
            _finish_phase(run, built, state)
            chosen.barrier()
    return directory


def _start(run: Run, phase: str) -> dict[str, Any]:
    """The weights that a phase starts from, by name; none for random ones."""
    if phase == "qat":
        return _calibrated(run, weights.read_weights(run.phase_weights("float"))[2])
    if run.phase_weights("init").exists():
        return dict(weights.read_weights(run.phase_weights("init"))[2])
    return {}
