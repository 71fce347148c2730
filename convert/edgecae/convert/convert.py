"""Convert a trained network to a model file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import noise as noise_models
from edgecae.convert import calibrate as calibration
from edgecae.convert import export, formats, outputs, report, sources
from edgecae.convert.pictures import fitted
from edgecae.convert.sources import Source
from edgecae.errors import SettingError, SinkError
from edgecae.runtime import Denoiser, model_file
from edgecae.runtime import backend as backends
from edgecae.runtime.model_file import Metadata
from edgecae.runtime.verify.graph import LARGEST_SIDE
from edgecae.train import evaluate, recipe, weights
from edgecae.train.architectures import describe
from edgecae.train.equalize import align
from edgecae.train.quantize import post_training, quantize

__all__ = ["SIGMAS", "Networks", "convert"]

SIGMAS = (5, 15, 25, 50)


@dataclass(frozen=True)
class Networks:
    """The forms of one network on its way into a file.

    Attributes:
        reference: the float network, which the file is held against.
        exact: the same with its channels scaled as the file has them, to compare tensor by tensor.
        converted: what goes into the converter.
        examples: for post-training quantization by the converter; None where ``converted``
            carries its roundings or has none.
        ranges: where activation ranges come from, in words.
    """

    reference: Any
    exact: Any
    converted: Any
    examples: Callable[[], Iterable[NDArray[np.float32]]] | None
    ranges: str


def convert(
    run: Path,
    output: Path | None = None,
    *,
    precision: str = "int8",
    ptq: bool = False,
    calibrate: str | None = None,
    size: tuple[int, int] | None = None,
    max_drop: float = 0.1,
    overwrite: bool = False,
) -> report.Report:
    """Convert a run to a TFLite file and check it against the float network.

    Args:
        run: a run directory of :func:`edgecae.train.loop.train`.
        output: the file to write; ``RUN/MODEL-int8.tflite``, ``-int8-ptq`` and so on unless given,
            with ``-WxH`` for one fixed size.
        precision: ``int8``, fully integer; ``float32``; or for comparison ``float16`` (weights
            only) or ``int16x8`` (activations of 16 bits).
        ptq: int8 by post-training quantization of the float weights, without those of QAT.
        calibrate: folder of photos, or ``builtin``, that post-training quantization and int16x8
            take their activation ranges from; the run's training data unless given.
        size: width and height of the only frames that the file takes; None: any.
        max_drop: largest loss against the float network, dB; see :func:`report.check`.
        overwrite: replace an existing file.

    Returns:
        What was made and how good it is.

    Raises:
        RecipeError: ``run`` is not a finished run.
        SettingError: ``size`` does not fit the network, or the settings don't go together.
        DataError: there is nothing to calibrate on.
        QualityError: a tensor has a type that it must not have, TFLite does not have the format,
            or too much was lost; no file is written.
        SinkError: the file exists, or can't be written.
    """
    if precision not in model_file.PRECISIONS:
        known = ", ".join(model_file.PRECISIONS)
        raise SettingError(f"precision {precision!r} is unknown; there are {known}")
    if ptq and precision != "int8":
        raise SettingError(f"ptq goes with int8; {precision} has no other form")
    after_training = ptq or precision == "int16x8"
    if calibrate is not None and not after_training:
        raise SettingError("calibrating goes with ptq or int16x8; QAT has its ranges already")
    source = sources.open_run(run, qat=precision == "int8" and not ptq)
    stride = source.architecture.stride
    shape = _shape(size, stride)
    output = output or source.folder / _file_name(source.name, precision, ptq, size)
    outputs.check(output, overwrite)
    networks = _networks(source, precision, after_training, calibrate, shape)

    trained_for = noise_models.parse(source.settings.noise)
    noises = [noise_models.gaussian(sigma) for sigma in SIGMAS]
    if trained_for.gain != (0, 0):
        noises.append(trained_for)
    validation = evaluate.held_out(fitted(source.held_out, shape), stride, noises)
    float_quality = validation.measure(evaluate.keras_denoiser(networks.reference))
    content = export.to_tflite(networks.converted, precision, shape, networks.examples)
    reach = export.halo(source.architecture)
    made_with = recipe.versions()
    if ptq:
        made_with["quantization"] = "post-training"

    def finished(quality: dict[str, dict[str, float]]) -> tuple[bytes, Metadata]:
        rounded = {
            form: {spec: round(value, 4) for spec, value in figures.items()}
            for form, figures in quality.items()
        }
        metadata = Metadata(
            name=source.name,
            architecture=describe(source.architecture),
            precision=precision,
            stride=stride,
            halo=reach,
            noise=source.settings.noise,
            quality=rounded,
            recipe=recipe.digest(source.settings),
            made_with=made_with,
        )
        return export.finish(content, precision == "int8", metadata), metadata

    def write(path: Path, quality: dict[str, dict[str, float]]) -> model_file.ModelFile:
        finished_content, metadata = finished(quality)
        path.write_bytes(finished_content)
        if precision in report.READABLE:
            return model_file.read(path)
        return model_file.describe(path, finished_content, metadata)

    temporary = output.with_name(f".{output.name}.tmp")
    try:
        made = write(temporary, {"float": float_quality})
        formats.check_tensors(made)
        if precision == "int8":
            with Denoiser(temporary, threads=2) as denoiser:
                quality = validation.measure(denoiser.process)
        else:
            quality = validation.measure(formats.file_denoiser(made.content))
        report.check(float_quality, quality, max_drop)
        made = write(temporary, {"float": float_quality, precision: quality})
        temporary.replace(output)
    except OSError as error:
        if isinstance(error, SinkError):
            raise
        raise SinkError(f"{output} can't be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return report.Report(
        model=dataclasses.replace(made, path=output),
        noisy=validation.measure(None),
        reference=float_quality,
        converted=quality,
        backend=str(backends.find()),
        ranges=networks.ranges,
        measured_on=f"{len(validation.clean)} {source.held_out_from}"
        + ("" if size is None else f", mirrored or cropped to {size[0]}x{size[1]}"),
        networks=networks,
        validation=validation,
        quantized="" if precision != "int8" else "PTQ" if ptq else "QAT",
        denoise=formats.file_denoiser(made.content),
    )


def _file_name(name: str, precision: str, ptq: bool, size: tuple[int, int] | None) -> str:
    fixed = "" if size is None else f"-{size[0]}x{size[1]}"
    return f"{name}-{precision}{'-ptq' * ptq}{fixed}.tflite"


def _shape(size: tuple[int, int] | None, stride: int) -> tuple[int, int] | None:
    """Height and width of a size that was asked for."""
    if size is None:
        return None
    width, height = size
    if min(size) < 1 or width % stride or height % stride or max(size) > LARGEST_SIDE:
        near = "x".join(
            str(min(-(-side // stride), LARGEST_SIDE // stride) * stride) for side in size
        )
        raise SettingError(
            f"the network takes sides that are multiples of {stride}, up to {LARGEST_SIDE}, not "
            f"{width}x{height}; {near} would do, and smaller frames are padded to it"
        )
    return height, width


def _networks(
    source: Source,
    precision: str,
    after_training: bool,
    calibrate: str | None,
    shape: tuple[int, int] | None,
) -> Networks:
    reference = source.float_network()
    if not after_training:
        if source.qat is None:
            return Networks(reference, reference, reference, None, "none: it computes in floats")
        converted = quantize(source.architecture)
        weights.load_weights(converted, source.qat)
        exact = source.float_network()
        align(exact, source.architecture.links, source.qat)
        steps = source.settings.qat.steps
        ranges = f"set on training patches of the run, then QAT of {steps} steps"
        return Networks(reference, exact, converted, None, ranges)
    data = source.settings.data if calibrate is None else calibrate
    examples = calibration.examples(data, source.settings)
    ranges = f"post-training, from {examples.source}"
    exact, rounded = post_training(source.architecture, source.values, examples.batches)
    if precision == "int8":
        return Networks(reference, exact, rounded, None, ranges)
    # The weights that int8 has, so that the activations make the difference.
    wide = source.architecture.build(training=False)
    weights.copy_weights(rounded, wide)
    converted = export.without_blocks(wide)
    return Networks(reference, exact, converted, lambda: examples.singles(shape), ranges)
