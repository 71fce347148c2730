"""Convert a trained network to a model file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from edgecae import atomic
from edgecae import noise as noise_models
from edgecae.denoise import tiling
from edgecae.denoise.denoiser import Denoiser
from edgecae.denoise.float_runner import Denoise, file_denoiser
from edgecae.errors import ModelFileError, QualityError, RecipeError, SettingError
from edgecae.tflite import interpreter, receptive_field
from edgecae.tflite.graph import Graph
from edgecae.tflite.metadata import PRECISIONS, Metadata
from edgecae.tflite.model_file import ModelFile
from edgecae.tflite.verify_tensors import MAX_SIDE
from edgecae_convert import export, verify
from edgecae_convert import split as splitting
from edgecae_convert.networks import Networks, denoiser, prepare, to_tflite
from edgecae_convert.picture_size import fitted
from edgecae_convert.recurrent import is_gate
from edgecae_convert.report.analysis import analyse
from edgecae_convert.report.results import ConversionResults, Details, TooMuchLostError
from edgecae_convert.trained_model import TrainedModel, open_trained
from edgecae_train import evaluate, recipe
from edgecae_train.architectures import describe
from edgecae_train.evaluate import HeldOut
from edgecae_train.training_set import AGAINST

__all__ = ["SIGMAS", "convert"]

SIGMAS = (5, 15, 25, 50)
THREADS = 2
"""Of the interpreter that a file is measured with."""
COMPARED_NOISE = "gaussian:25"
COMPARED_FRAMES = 4
"""Frames that are compared tensor by tensor."""
COMPARED_SIDE = 256
"""Of these, pixels, where a file takes any size: all of their tensors are kept."""


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
    signature: str = "",
    value_range: tuple[float, float] = (0.0, 1.0),
    max_drop: float = 0.1,
    max_low_drop: float = verify.MAX_LOW_DROP,
    split: bool = False,
    details: bool = False,
    overwrite: bool = False,
) -> ConversionResults:
    """Convert a trained network to a TFLite file and check it against the float network.

    Args:
        path: a run directory of :func:`edgecae_train.train`, or what else
            :func:`edgecae_convert.trained_model.open_trained` takes.
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
        signature: of a SavedModel, ``NAME`` or ``NAME:OUTPUT``; empty: ``serving_default`` and its
            only output.
        value_range: what black and white are to a Keras model or a SavedModel, such as (0, 255) or
            (-1, 1). The file brings frames to this range itself.
        max_drop: largest loss against the float network at the noise that it was trained for,
            dB; see :func:`edgecae_convert.verify.check_quality`.
        max_low_drop: the same at σ 5.
        split: write the two halves of an int8 file as well, ``encoder.tflite`` and
            ``decoder.tflite`` beside it.
        details: measure what a page shows, too: SSIM, and the error of every tensor.
        overwrite: replace an existing file.

    Returns:
        What was made and how good it is.

    Raises:
        RecipeError: ``path`` is nothing that can be converted.
        SettingError: ``size`` does not fit the network, it has no bottleneck to split it at, or the
            settings don't go together.
        DataError: there is nothing to calibrate on.
        QualityError: a tensor has a type that it must not have, TFLite does not have the format,
            or too much was lost (:class:`TooMuchLostError`, with the results); no file is written.
        SinkError: the file exists, or can't be written.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise SettingError(f"precision {precision!r} is unknown; there are {known}")
    if ptq and precision != "int8":
        raise SettingError(f"ptq goes with int8; {precision} has no other form")
    if split and precision != "int8":
        raise SettingError(f"only int8 files are split, not {precision}")
    if is_gate(path):
        raise RecipeError(f"{path} is a gate: edgecae_convert.recurrent.convert takes it")
    after_training = ptq or precision == "int16x8"
    with open_trained(
        path,
        qat=precision == "int8" and not ptq,
        architecture=architecture,
        calibrate=calibrate,
        noise=noise,
        trust=trust,
        signature=signature,
        value_range=value_range,
    ) as trained:
        if calibrate is not None and trained.repeatable and not after_training:
            raise SettingError(f"{path} is a run: calibrating goes with ptq or int16x8")
        if split and trained.channels != 3:
            raise SettingError(f"{path} is a network of gray frames, which are not split")
        shape = _shape(size, trained.stride) or trained.size
        if trained.size is not None and shape != trained.size:
            raise SettingError(f"{path} takes frames of {trained.size[1]}x{trained.size[0]} alone")
        output = output or trained.folder / _file_name(trained.name, precision, ptq, size)
        halves = splitting.paths(output) if split else ()
        for each in (output, *halves):
            atomic.check(each, overwrite)
        networks = prepare(trained, precision, after_training, calibrate, shape)

        validation, names = _validation(trained, shape)
        content = to_tflite(networks.converted, precision, shape, networks.examples)
        graph = export.settle(content, precision == "int8")
        verify.check_tensors(graph, precision)
        if split:
            splitting.bottleneck(graph)  # before anything is measured
        about = _metadata(trained, precision, ptq, graph)
        # A file of a fixed size is measured on frames of that size: no room for a border.
        around = trained.stride, tiling.border(about.stride, about.halo) if shape is None else 0
        float_quality = validation.measure(denoiser(networks.reference, *around))

        def write(path: Path, quality: dict[str, dict[str, float]]) -> ModelFile:
            rounded = {
                form: {spec: round(value, 4) for spec, value in figures.items()}
                for form, figures in quality.items()
            }
            metadata = dataclasses.replace(about, quality=rounded)
            content = export.encode(graph, metadata)
            path.write_bytes(content)
            return ModelFile(path, content, metadata, graph)

        ours = trained.known is not None
        with atomic.writing(output, overwrite) as temporary:
            made = write(temporary, {"float": float_quality})
            quality = _measure(made, validation, ours)
            noisy = validation.measure(None)
            made = write(temporary, {"float": float_quality, precision: quality})
            written = verify.read_back(temporary, made, ours)
            model = dataclasses.replace(written.model, path=output)
            results = ConversionResults(
                model=model,
                refused=written.refused,
                noisy=noisy,
                reference=float_quality,
                converted=quality,
                backend=str(interpreter.find_backend()),
                ranges=networks.ranges,
                measured_on=f"{validation.count} {trained.held_out_from}"
                + ("" if shape is None else f", mirrored or cropped to {shape[1]}x{shape[0]}"),
                quantized=networks.simulated,
                halves=halves,
                warnings=verify.warnings(noisy, float_quality, quality, names),
            )
            promises = {name: float_quality[name] for name in names}
            advice = _advice(after_training, ours)
            try:
                verify.check_quality(promises, quality, max_drop, max_low_drop, advice)
            except QualityError as error:
                raise TooMuchLostError(str(error), results) from error
            if split:
                splitting.write(written.model, halves, overwrite)
        found = _details(model, networks, validation, around) if details else None
        return dataclasses.replace(results, details=found)


def _validation(trained: TrainedModel, shape: tuple[int, int] | None) -> tuple[HeldOut, list[str]]:
    """Prepare the held-out pictures, and name the figures that a conversion must not lose in."""
    white = [noise_models.gaussian(sigma) for sigma in SIGMAS]
    clean = fitted(trained.held_out, shape)
    if not trained.pairs:
        promised = evaluate.levels(noise_models.parse(trained.settings.noise), SIGMAS)
        noises = list(dict.fromkeys([*white, *promised]))
        validation = evaluate.held_out(clean, trained.stride, noises)
        return validation, [noise.name for noise in promised]
    assert trained.settings.photographed  # else there would be no pairs
    name = AGAINST[trained.settings.photographed[0]]
    noisy = fitted([pair[0] for pair in trained.pairs], shape)
    pairs = evaluate.held_out_pairs(list(zip(noisy, clean, strict=True)), trained.stride, name)
    validation = evaluate.held_out(clean, trained.stride, white)
    return HeldOut({**validation.pairs, **pairs.pairs}), [name]


def _advice(after_training: bool, ours: bool) -> str:
    """Say what may bring a file nearer to its float network."""
    if not after_training:
        return "train the QAT phase longer"
    pictures = "calibrate on pictures like those that it is for (--calibrate)"
    return f"{pictures}, train a QAT phase and convert without --ptq" if ours else pictures


def _measure(made: ModelFile, validation: HeldOut, ours: bool) -> dict[str, float]:
    """Measure PSNR of a file by noise: through the runtime where it takes the file."""
    if made.metadata.precision == "int8":
        try:
            with Denoiser(made.path, threads=THREADS) as denoiser:
                return validation.measure(denoiser.process)
        except ModelFileError:
            if ours:
                raise
    return validation.measure(file_denoiser(made, THREADS))


def _details(
    model: ModelFile, networks: Networks, validation: HeldOut, around: tuple[int, int]
) -> Details:
    """Measure what a page shows beside the results; ``around`` is the stride and the border."""
    forms: dict[str, Denoise | None] = {
        "noisy": None,
        "float": denoiser(networks.reference, *around),
    }
    if networks.simulated:
        simulated = denoiser(networks.converted, *around)
        forms[f"{networks.simulated} network"] = simulated
    forms[f"{model.metadata.precision} file"] = file_denoiser(model, THREADS)
    shape = None if model.open_size else model.frame_size
    exact = export.settle(to_tflite(networks.exact, "float32", shape), int8=False)
    side = COMPARED_SIDE // model.metadata.stride * model.metadata.stride
    frames = [
        np.ascontiguousarray(image[:side, :side] if model.open_size else image)
        for image, _ in validation.pairs[COMPARED_NOISE][:COMPARED_FRAMES]
    ]
    return Details(
        figures={form: verify.figures(validation, denoise) for form, denoise in forms.items()},
        noise=COMPARED_NOISE,
        analysis=analyse(model.content, model.graph, export.encode(exact, None), exact, frames),
    )


def _file_name(name: str, precision: str, ptq: bool, size: tuple[int, int] | None) -> str:
    fixed = "" if size is None else f"-{size[0]}x{size[1]}"
    return f"{name}-{precision}{'-ptq' * ptq}{fixed}.tflite"


def _shape(size: tuple[int, int] | None, stride: int) -> tuple[int, int] | None:
    """Height and width of a size that was asked for."""
    if size is None:
        return None
    width, height = size
    if min(size) < 1 or width % stride or height % stride or max(size) > MAX_SIDE:
        near = "x".join(str(min(-(-side // stride), MAX_SIDE // stride) * stride) for side in size)
        raise SettingError(
            f"the network takes sides that are multiples of {stride}, up to {MAX_SIDE}, not "
            f"{width}x{height}; {near} would do, and smaller frames are padded to it"
        )
    return height, width


def _metadata(trained: TrainedModel, precision: str, ptq: bool, graph: Graph) -> Metadata:
    """Say of the file what it says itself, but for its quality."""
    made_with = recipe.versions()
    if ptq:
        made_with["quantization"] = "post-training"
    known = trained.known
    return Metadata(
        name=trained.name,
        architecture={"kind": "outside"} if known is None else describe(known.architecture),
        precision=precision,
        stride=trained.stride,
        halo=receptive_field.halo(graph),
        noise=trained.settings.photographed[0]
        if trained.settings.photographed
        else str(noise_models.parse(trained.settings.noise)),
        quality={},
        recipe=recipe.digest(trained.settings) if trained.repeatable else "unknown",
        made_with=made_with,
        colour="rgb" if trained.channels == 3 else "gray",
    )
