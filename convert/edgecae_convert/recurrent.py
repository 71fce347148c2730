"""Convert a trained gate: put it before the file of a model for single frames."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic, models
from edgecae import noise as noise_models
from edgecae.denoise.denoiser import Denoiser
from edgecae.denoise.float_runner import Denoise
from edgecae.errors import QualityError, RecipeError
from edgecae.tflite import interpreter, model_file
from edgecae_convert import fusion, verify
from edgecae_convert.report.results import ConversionResults, TooMuchLostError
from edgecae_train import architectures, evaluate, recipe, shipped, weights
from edgecae_train.architectures import describe
from edgecae_train.architectures.fusion import Fusion, clip_denoiser
from edgecae_train.evaluate import HeldOut
from edgecae_train.recipe import Recipe
from edgecae_train.run import held_out_folder
from edgecae_train.training_set import clip_validation, open_training_set, read_held_out

__all__ = ["convert", "is_gate"]

SIGMAS = (5, 15, 25, 50)
THREADS = 2
"""Of the interpreter that a file is measured with."""


def _is_run(path: Path) -> bool:
    """Whether it is a run directory; one may have the name of a shipped model."""
    return (path / "recipe.toml").exists()


def is_gate(path: Path) -> bool:
    """Whether a run, a weights file or a shipped name is that of a gate."""
    if _is_run(path):
        return recipe.read(path / "recipe.toml").model in architectures.RECURRENT
    if str(path) in shipped.names():
        return str(path) in architectures.RECURRENT
    if not path.is_file() or not path.name.endswith(".weights.h5"):
        return False
    try:
        return isinstance(weights.read_weights(path)[0], Fusion)
    except RecipeError:
        return False


def convert(
    path: Path,
    output: Path | None = None,
    *,
    still: Path | None = None,
    noise: str | None = None,
    max_drop: float = 0.1,
    max_low_drop: float = verify.MAX_LOW_DROP,
    overwrite: bool = False,
) -> ConversionResults:
    """Put a gate before a model for single frames, and check it against the float gate.

    Both are measured on clips that the run holds out, over all their frames.

    Args:
        path: a run directory, a weights file or a shipped name, see :func:`is_gate`.
        output: the file to write; ``RUN/MODEL-int8.tflite`` unless given.
        still: file of a model for single frames; the shipped one that the gate was trained beside,
            unless given.
        noise: that a gate which is no run was trained for; what the shipped file of that name
            says, or else ``gaussian:0-55``, unless given.
        max_drop: see :func:`edgecae_convert.convert`.
        max_low_drop: likewise.
        overwrite: replace an existing file.

    Raises:
        RecipeError: there is no such gate, or a run is told another noise than its own.
        ModelFileError: ``still`` is no model that a gate fits.
        QualityError: too much was lost; no file is written.
        SinkError: the file exists, or can't be written.
    """
    found = path / "float.weights.h5" if _is_run(path) else shipped.find_weights(path)
    architecture, _, values = weights.read_weights(found)
    assert isinstance(architecture, Fusion)  # see is_gate
    name, _ = architectures.named(architecture)
    settings, clips, where = _clips(path, name, noise)
    noises = evaluate.levels(noise_models.parse(settings.noise), SIGMAS)
    validation = clip_validation(clips, noises)
    if output is None:
        output = (path if _is_run(path) else path.parent) / f"{settings.name or name}-int8.tflite"
    atomic.check(output, overwrite)
    before = model_file.read(still or models.find_model(architecture.still)).content

    def encoded(quality: dict[str, dict[str, float]]) -> bytes:
        return fusion.attach(
            before,
            architecture.layers,
            _boosted(architecture, values),
            name=settings.name or name,
            architecture=describe(architecture),
            noise=str(noise_models.parse(settings.noise)),
            recipe=recipe.digest(settings) if _is_run(path) else "unknown",
            made_with=recipe.versions(),
            quality=quality,
        )

    gate = architecture.build(training=False)
    weights.load_weights(gate, values)
    with (
        atomic.writing(output, overwrite) as temporary,
        _single(architecture, still) as single,
    ):
        temporary.write_bytes(encoded({}))
        reference = validation.measure(clip_denoiser(gate, single, architecture.boost))
        measured = _measure(temporary, validation)
        forms = {"float": reference, "int8": measured}
        quality = {
            form: {spec: round(value, 4) for spec, value in figures.items()}
            for form, figures in forms.items()
        }
        temporary.write_bytes(encoded(quality))
        results = ConversionResults(
            model=dataclasses.replace(model_file.read(temporary), path=output),
            refused=None,
            noisy=validation.measure(None),
            reference=reference,
            converted=measured,
            backend=str(interpreter.find_backend()),
            ranges="those of the model for single frames; of the gate they are fixed",
            measured_on=f"{validation.count} {where}",
            quantized="",
        )
        try:
            advice = "train the gate longer"
            verify.check_quality(reference, measured, max_drop, max_low_drop, advice)
        except QualityError as error:
            raise TooMuchLostError(str(error), results) from error
    return results


def _boosted(
    architecture: Fusion, values: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Weights whose last layer makes q as large as :class:`Fusion` says."""
    last = architecture.layers[-1].name
    return {
        name: value * architecture.boost if name.startswith(f"{last}/") else value
        for name, value in values.items()
    }


def _clips(
    path: Path, name: str, noise: str | None
) -> tuple[Recipe, tuple[NDArray[np.uint8], ...], str]:
    """The recipe of a gate, and the clips to measure on: those of its run, or generated ones."""
    if _is_run(path):
        if noise is not None:
            raise RecipeError(f"{path} is a run, whose recipe says its noise")
        held_out = read_held_out(held_out_folder(path)).clean
        if not held_out:
            raise RecipeError(f"{path} holds no held-out clips to measure on")
        return recipe.read(path / "recipe.toml"), held_out, f"held-out clips of {path}"
    if noise is None and str(path) in models.names():
        noise = model_file.read(models.find_model(str(path))).metadata.noise
    changes = {**recipe.OF_CLIPS, "model": name, **({} if noise is None else {"noise": noise})}
    settings = recipe.with_changes(Recipe(), changes)
    return settings, open_training_set(settings).held_out.clean, "clips of generated pictures"


@contextlib.contextmanager
def _single(architecture: Fusion, still: Path | None) -> Iterator[Denoise]:
    """The model for single frames: its float network, or a file of which there is no other form."""
    if still is None:
        yield evaluate.float_denoiser(architecture.still)
        return
    with Denoiser(still, threads=THREADS) as denoiser:
        yield denoiser.process


def _measure(path: Path, validation: HeldOut) -> dict[str, float]:
    """PSNR of a file by noise, through the runtime."""
    with Denoiser(path, threads=THREADS) as denoiser:

        def denoise(clip: NDArray[np.uint8]) -> NDArray[Any]:
            denoiser.reset()
            return np.stack([denoiser.process(frame) for frame in clip])

        return validation.measure(denoise)
