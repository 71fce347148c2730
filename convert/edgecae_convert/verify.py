"""Verify a converted file: its tensors, what it lost, and what the runtime says to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecae import quality
from edgecae.errors import ModelFileError, QualityError
from edgecae.noise import gaussian
from edgecae.tflite import model_file
from edgecae.tflite.graph import Graph
from edgecae.tflite.model_file import ModelFile
from edgecae_train.evaluate import Denoise, HeldOut

__all__ = [
    "MAX_LOW_DROP",
    "READABLE",
    "Written",
    "check_quality",
    "check_tensors",
    "figures",
    "read_back",
    "warnings",
]

READABLE = ("int8", "float32")
"""Formats that :func:`edgecae.tflite.model_file.read` takes; only int8 is streamed."""

LOW_SIGMA = 5
MAX_LOW_DROP = 0.5
"""dB; at σ 5 the rounding to 8 bits alone is a good part of the error."""

MIN_GAIN = 0.05
"""dB that a network which denoises at all gains at every noise that it was trained for."""
MAX_PARTED = 0.5
"""dB between a file and its float network, above which one of them is not what it should be."""

TENSORS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "int8": (frozenset({"int8"}), frozenset({"int32", "bool"})),
    "int16x8": (frozenset({"int16", "int8"}), frozenset({"int32", "int64"})),
    "float16": (frozenset({"float16", "float32"}), frozenset({"int32"})),
    "float32": (frozenset({"float32"}), frozenset({"int32"})),
}
"""Types that a file of each format must hold, and others that it may: of biases and shapes.

A float16 file keeps its weights as float16 and computes in float32."""


@dataclass(frozen=True)
class Written:
    """A file, and whether the runtime takes it.

    Attributes:
        model: the file.
        refused: why :func:`edgecae.tflite.model_file.read` does not take it; None where it does.
    """

    model: ModelFile
    refused: str | None


def check_tensors(graph: Graph, precision: str) -> None:
    """Refuse a file whose tensors are not those of its number format.

    Raises:
        QualityError: one has a type that the format does not have, or none has one that it is.
    """
    needed, others = TENSORS[precision]
    unwanted = graph.dtypes - needed - others
    if unwanted:
        named = {op.name for op in graph.operators if op.output.dtype in unwanted}
        makers = sorted(named - {"QUANTIZE", "DEQUANTIZE"})
        by = f", made by {', '.join(makers)}" if makers else ""
        raise QualityError(
            f"the file is not fully {precision}: it holds {', '.join(sorted(unwanted))}{by}"
        )
    if missing := needed - graph.dtypes:
        raise QualityError(f"the file is not {precision}: it holds no {', '.join(sorted(missing))}")


def check_quality(
    reference: Mapping[str, float],
    converted: Mapping[str, float],
    max_drop: float,
    max_low_drop: float = MAX_LOW_DROP,
    advice: str = "train the QAT phase longer",
) -> None:
    """Refuse a conversion that lost too much.

    Args:
        reference: PSNR of the float network in dB, by noise.
        converted: PSNR of the file.
        max_drop: largest mean loss over all noises but σ 5, dB.
        max_low_drop: largest loss at σ 5, dB.
        advice: what may mend it.

    Raises:
        QualityError: one of the two is larger.
    """
    drops = {spec: reference[spec] - converted[spec] for spec in reference}
    low = str(gaussian(LOW_SIGMA))
    others = [drop for spec, drop in drops.items() if spec != low]
    if others and (mean := sum(others) / len(others)) > max_drop:
        raise QualityError(
            f"the file is {mean:.3f} dB worse than the float network (mean over "
            f"{', '.join(s for s in drops if s != low)}), {max_drop:g} is allowed; "
            f"{advice}, or raise --max-drop"
        )
    if (drop := drops.get(low, 0.0)) > max_low_drop:
        raise QualityError(
            f"at {low} the file is {drop:.3f} dB worse than the float network, "
            f"{max_low_drop:g} is allowed; {advice}, or raise --max-low-drop"
        )


def warnings(
    noisy: Mapping[str, float],
    reference: Mapping[str, float],
    converted: Mapping[str, float],
    promised: Sequence[str],
) -> tuple[str, ...]:
    """Say what is suspicious about a conversion, a line each.

    Args:
        noisy: PSNR of the noisy pictures in dB, by noise.
        reference: of the float network.
        converted: of the file.
        promised: noises that the network was trained for.
    """
    found = []
    if worse := [spec for spec in promised if reference[spec] < noisy[spec] + MIN_GAIN]:
        spec = max(worse, key=lambda each: noisy[each] - reference[each])
        found.append(
            f"the float network does not make pictures better ({spec}: {noisy[spec]:.2f} dB noisy, "
            f"{reference[spec]:.2f} denoised): it may take values of another --range than 0:1, "
            "was trained for other noise (--noise), or not at all"
        )
    parted = [spec for spec in promised if abs(reference[spec] - converted[spec]) > MAX_PARTED]
    if parted:
        spec = max(parted, key=lambda each: abs(reference[each] - converted[each]))
        found.append(
            f"the file and the float network differ by {abs(reference[spec] - converted[spec]):.2f}"
            f" dB at {spec}: the ranges of its activations may not fit; calibrate on pictures like "
            "those that it is for"
        )
    return tuple(found)


def read_back(path: Path, made: ModelFile, ours: bool) -> Written:
    """Read a file that was just written, as the runtime will.

    Args:
        path: of the file.
        made: what was written there.
        ours: whether it is one of edgecae's networks, of which none may be refused.

    Raises:
        ModelFileError: it is refused, and must not be.
    """
    if made.metadata.precision not in READABLE:
        return Written(made, "for comparison: streaming runs int8 files")
    try:
        return Written(model_file.read(path), None)
    except ModelFileError as error:
        if ours:
            raise
        reason = str(error).removeprefix(f"model {path}: ")
        return Written(made, f"for other runtimes than edgecae's: {reason}")


def figures(validation: HeldOut, denoise: Denoise | None) -> dict[str, dict[str, float]]:
    """Measure mean PSNR (dB), SSIM and MSE (0–255 scale squared) by noise.

    Args:
        validation: held-out pictures.
        denoise: what is measured; None: the noisy pictures are.
    """
    measures = {"psnr": quality.psnr, "ssim": quality.ssim, "mse": quality.mse}
    found = {}
    for spec, pairs in validation.pairs.items():
        results = [
            (target, noisy if denoise is None else denoise(noisy)) for noisy, target in pairs
        ]
        found[spec] = {
            name: float(np.mean([measure(*each) for each in results]))
            for name, measure in measures.items()
        }
    return found
