"""Convert a run directory to a model file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import noise as noise_models
from edgecae.convert import export, report
from edgecae.errors import QualityError, RecipeError, SinkError
from edgecae.runtime import Denoiser, images, model_file
from edgecae.runtime import backend as backends
from edgecae.runtime.model_file import Metadata
from edgecae.train import evaluate, recipe, weights
from edgecae.train.architectures import describe
from edgecae.train.loop import held_out_folder
from edgecae.train.quantize import quantize

__all__ = ["convert", "float_file_denoiser"]

SIGMAS = (5, 15, 25, 50)


def float_file_denoiser(path: Path) -> evaluate.Denoise:
    """Run a float32 model file on frames: the comparison, not a way to stream.

    Args:
        path: of a file that ``convert(…, int8=False)`` made.

    Returns:
        A function from uint8 H×W×3 to the same; sides must be multiples of the stride.
    """
    interpreter = backends.Interpreter(model_file.read(path).content, 2, backends.find())

    def denoise(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        interpreter.resize(*frame.shape[:2])
        interpreter.input()[0] = frame / np.float32(255)
        interpreter.invoke()
        result = np.rint(np.clip(interpreter.output()[0], 0, 1) * 255)
        return np.asarray(result, np.uint8)

    return denoise


def _load(run: Path, phase: str) -> tuple[Any, dict[str, NDArray[np.float32]]]:
    path = run / f"{phase}.weights.h5"
    if not path.exists():
        hint = "; its QAT phase has not ended" if phase == "qat" else ""
        raise RecipeError(f"{run} holds no {path.name}{hint}")
    architecture, _, values = weights.read_weights(path)
    return architecture, values


def convert(
    run: Path,
    output: Path | None = None,
    *,
    int8: bool = True,
    max_drop: float = 0.1,
    overwrite: bool = False,
) -> report.Report:
    """Convert a run to a TFLite file and check it against the float network.

    Args:
        run: a run directory of :func:`edgecae.train.loop.train`.
        output: the file to write; ``RUN/MODEL-int8.tflite`` or ``-float32`` unless given.
        int8: fully integer, from the QAT weights; else float32, from the float weights.
        max_drop: largest loss against the float network, dB; see :func:`report.check`.
        overwrite: replace an existing file.

    Returns:
        What was made and how good it is.

    Raises:
        RecipeError: ``run`` is not a finished run.
        QualityError: a float tensor was left, or too much was lost; no file is written.
        SinkError: the file exists, or can't be written.
    """
    if not (run / "recipe.toml").exists():
        raise RecipeError(f"{run} is no run directory: it holds no recipe.toml")
    settings = recipe.read(run / "recipe.toml")
    if int8 and not settings.qat.steps:
        raise RecipeError(f"{run} has no QAT phase, which int8 is made from")
    precision = "int8" if int8 else "float32"
    name = settings.name or settings.model
    output = output or run / f"{name}-{precision}.tflite"
    if output.exists() and not overwrite:
        raise SinkError(f"{output} exists; --overwrite replaces it")
    if not output.parent.is_dir():
        raise SinkError(f"{output} can't be written: there is no folder {output.parent}")
    architecture, float_values = _load(run, "float")
    reference = architecture.build(training=False)
    weights.load_weights(reference, float_values)
    network = reference
    if int8:
        architecture, values = _load(run, "qat")
        network = quantize(architecture)
        weights.load_weights(network, values)

    held_out = sorted(held_out_folder(run).glob("*.png"))
    if not held_out:
        raise RecipeError(f"{run} holds no held-out images to measure on")
    trained_for = noise_models.parse(settings.noise)
    noises = [noise_models.gaussian(sigma) for sigma in SIGMAS]
    if trained_for.gain != (0, 0):
        noises.append(trained_for)
    validation = evaluate.held_out(
        [images.read(path).pixels for path in held_out], architecture.stride, noises
    )
    float_quality = validation.measure(evaluate.keras_denoiser(reference))

    def finished(content: bytes, quality: dict[str, dict[str, float]]) -> bytes:
        rounded = {
            form: {spec: round(value, 4) for spec, value in figures.items()}
            for form, figures in quality.items()
        }
        metadata = Metadata(
            name=name,
            architecture=describe(architecture),
            precision=precision,
            stride=architecture.stride,
            halo=reach,
            noise=str(trained_for),
            quality=rounded,
            recipe=recipe.digest(settings),
            made_with=recipe.versions(),
        )
        return export.finish(content, int8, metadata)

    content = export.to_tflite(network, int8)
    reach = export.halo(architecture)
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        temporary.write_bytes(finished(content, {"float": float_quality}))
        made = model_file.read(temporary)
        if int8:
            unwanted = made.dtypes - {"int8", "int32", "bool"}
            if unwanted:
                raise QualityError(f"the file is not fully int8: it holds {', '.join(unwanted)}")
            with Denoiser(temporary, threads=2) as denoiser:
                used = str(denoiser.backend)
                quality = validation.measure(denoiser.process)
        else:
            used = str(backends.find())
            quality = validation.measure(float_file_denoiser(temporary))
        report.check(float_quality, quality, max_drop)
        temporary.write_bytes(finished(content, {"float": float_quality, precision: quality}))
        temporary.replace(output)
    except OSError as error:
        if isinstance(error, SinkError):
            raise
        raise SinkError(f"{output} can't be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return report.Report(
        model_file.read(output), validation.measure(None), float_quality, quality, used
    )
