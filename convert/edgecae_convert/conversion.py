"""Convert a trained network to a model file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic
from edgecae import noise as noise_models
from edgecae.denoise import tiling
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SettingError
from edgecae.tflite import interpreter
from edgecae.tflite import receptive_field as receptive
from edgecae.tflite.graph import LARGEST_SIDE
from edgecae.tflite.metadata import PRECISIONS, Metadata
from edgecae_convert import calibrate as calibration
from edgecae_convert import export, formats, sources
from edgecae_convert import split as splitting
from edgecae_convert.report import results as report
from edgecae_convert.sizes import fitted
from edgecae_convert.sources import Source
from edgecae_train import evaluate, recipe, weights
from edgecae_train.architectures import describe
from edgecae_train.quantization.equalize import align
from edgecae_train.quantization.quantize import post_training, quantize

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
        simulated: ``QAT`` or ``PTQ`` where ``converted`` carries its roundings, else nothing.
    """

    reference: Any
    exact: Any
    converted: Any
    examples: Callable[[], Iterable[NDArray[np.float32]]] | None
    ranges: str
    simulated: str = ""


def convert(
    path: Path,
    output: Path | None = None,
    *,
    precision: str = "int8",
    ptq: bool = False,
    calibrate: str | None = None,
    size: tuple[int, int] | None = None,
    architecture: str | None = None,
    noise: str | None = None,
    trust: bool = False,
    max_drop: float = 0.1,
    split: bool = False,
    overwrite: bool = False,
) -> report.Report:
    """Convert a trained network to a TFLite file and check it against the float network.

    Args:
        path: a run directory of :func:`edgecae_train.train`, a weights file, a Keras model file or
            the folder of a SavedModel.
        output: the file to write; ``RUN/MODEL-int8.tflite``, ``-int8-ptq`` and so on unless given,
            with ``-WxH`` for one fixed size; beside a file for what is no run.
        precision: ``int8``, fully integer; ``float32``; or for comparison ``float16`` (weights
            only) or ``int16x8`` (activations of 16 bits).
        ptq: int8 by post-training quantization of the float weights, without those of QAT.
        calibrate: folder of photos, or ``builtin``, that post-training quantization and int16x8
            take their activation ranges from; the run's training data unless given. What is no run
            is measured on those that it holds out, in any format.
        size: width and height of the only frames that the file takes; None: any.
        architecture: of weights that don't say it.
        noise: that a network which is no run was trained for; ``gaussian:0-55`` unless given.
        trust: run code that a Keras file or a SavedModel names.
        max_drop: largest loss against the float network at the noise that it was trained for,
            dB; the loss at σ 5 has a limit of its own, 0.5 dB.
        split: write the two halves of an int8 file as well, ``encoder.tflite`` and
            ``decoder.tflite`` beside it.
        overwrite: replace an existing file.

    Returns:
        What was made and how good it is.

    Raises:
        RecipeError: ``path`` is nothing that can be converted.
        SettingError: ``size`` does not fit the network, it has no bottleneck to split it at, or the
            settings don't go together.
        DataError: there is nothing to calibrate on.
        QualityError: a tensor has a type that it must not have, TFLite does not have the format,
            or too much was lost; no file is written.
        SinkError: the file exists, or can't be written.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise SettingError(f"precision {precision!r} is unknown; there are {known}")
    if ptq and precision != "int8":
        raise SettingError(f"ptq goes with int8; {precision} has no other form")
    if split and precision != "int8":
        raise SettingError(f"only int8 files are split, not {precision}")
    after_training = ptq or precision == "int16x8"
    source = sources.open_source(
        path,
        qat=precision == "int8" and not ptq,
        architecture=architecture,
        calibrate=calibrate,
        noise=noise,
        trust=trust,
    )
    if calibrate is not None and source.repeatable and not after_training:
        raise SettingError(f"{path} is a run: calibrating goes with ptq or int16x8")
    shape = _shape(size, source.stride) or source.size
    if source.size is not None and shape != source.size:
        raise SettingError(f"{path} takes frames of {source.size[1]}x{source.size[0]} alone")
    output = output or source.folder / _file_name(source.name, precision, ptq, size)
    halves = splitting.paths(output) if split else ()
    for each in (output, *halves):
        atomic.check(each, overwrite)
    networks = _networks(source, precision, after_training, calibrate, shape)

    trained_for = noise_models.parse(source.settings.noise)
    promised = evaluate.levels(trained_for, SIGMAS)
    noises = list(dict.fromkeys([*map(noise_models.gaussian, SIGMAS), *promised]))
    validation = evaluate.held_out(fitted(source.held_out, shape), source.stride, noises)
    content = export.to_tflite(networks.converted, precision, shape, networks.examples)
    bare = export.finish(content, precision == "int8", None)
    if split:
        splitting.bottleneck(bare)  # before anything is measured
    about = _metadata(source, precision, ptq, bare)
    # A file of a fixed size is measured on frames of that size, which leave no room for a border.
    around = source.stride, tiling.border(about.stride, about.halo) if shape is None else 0
    float_quality = validation.measure(evaluate.keras_denoiser(networks.reference, *around))

    def write(path: Path, quality: dict[str, dict[str, float]]) -> report.Written:
        rounded = {
            form: {spec: round(value, 4) for spec, value in figures.items()}
            for form, figures in quality.items()
        }
        metadata = dataclasses.replace(about, quality=rounded)
        finished = export.finish(content, precision == "int8", metadata)
        path.write_bytes(finished)
        return report.written(path, finished, metadata, source.known is not None)

    with atomic.writing(output, overwrite) as temporary:
        made = write(temporary, {"float": float_quality})
        formats.check_tensors(made.model)
        if precision == "int8" and made.refused is None:
            with Denoiser(temporary, threads=2) as denoiser:
                quality = validation.measure(denoiser.process)
        else:
            denoise = evaluate.bordered(formats.file_denoiser(made.model.content), *around)
            quality = validation.measure(denoise)
        report.check({str(n): float_quality[str(n)] for n in promised}, quality, max_drop)
        made = write(temporary, {"float": float_quality, precision: quality})
        if split:
            splitting.write(made.model, halves, overwrite)
    return report.Report(
        model=dataclasses.replace(made.model, path=output),
        refused=made.refused,
        noisy=validation.measure(None),
        reference=float_quality,
        converted=quality,
        backend=str(interpreter.find()),
        ranges=networks.ranges,
        measured_on=f"{len(validation.clean)} {source.held_out_from}"
        + ("" if shape is None else f", mirrored or cropped to {shape[1]}x{shape[0]}"),
        networks=networks,
        validation=validation,
        quantized=networks.simulated,
        around=around,
        denoise=evaluate.bordered(formats.file_denoiser(made.model.content), *around),
        halves=halves,
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
    reference, known = source.network, source.known
    if not after_training:
        if known is None or known.qat is None:
            return Networks(reference, reference, reference, None, "none: it computes in floats")
        converted = quantize(known.architecture)
        weights.load_weights(converted, known.qat)
        exact = known.float_network()
        align(exact, known.architecture.links, known.qat)
        steps = source.settings.qat.steps
        ranges = f"set on training patches of the run, then QAT of {steps} steps"
        return Networks(reference, exact, converted, None, ranges, "QAT")
    data = source.settings.data if calibrate is None else calibrate
    examples = calibration.examples(data, source.settings)
    ranges = f"post-training, from {examples.source}"
    if known is None:
        return Networks(reference, reference, reference, lambda: examples.singles(shape), ranges)
    exact, rounded = post_training(known.architecture, known.values, examples.batches)
    if precision == "int8":
        return Networks(reference, exact, rounded, None, ranges, "PTQ")
    # The weights that int8 has, so that the activations make the difference.
    wide = known.architecture.build(training=False)
    weights.copy_weights(rounded, wide)
    converted = export.without_blocks(wide)
    return Networks(reference, exact, converted, lambda: examples.singles(shape), ranges)


def _metadata(source: Source, precision: str, ptq: bool, content: bytes) -> Metadata:
    """What the file says of itself, but for its quality."""
    made_with = recipe.versions()
    if ptq:
        made_with["quantization"] = "post-training"
    known = source.known
    return Metadata(
        name=source.name,
        architecture={"kind": "outside"} if known is None else describe(known.architecture),
        precision=precision,
        stride=source.stride,
        halo=receptive.halo_of(content) if known is None else export.halo(known.architecture),
        noise=str(noise_models.parse(source.settings.noise)),
        quality={},
        recipe=recipe.digest(source.settings) if source.repeatable else "unknown",
        made_with=made_with,
    )
