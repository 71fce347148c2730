"""What a conversion made, and whether it may be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecae.errors import ModelFileError, QualityError
from edgecae.noise import gaussian
from edgecae.tflite import model_file
from edgecae.tflite.metadata import Metadata
from edgecae.tflite.model_file import ModelFile

if TYPE_CHECKING:
    from edgecae_convert.convert import Networks
    from edgecae_train.evaluate import Denoise, HeldOut

__all__ = ["READABLE", "Report", "Written", "check", "tensors", "text", "written"]

READABLE = ("int8", "float32")
"""Formats that :func:`edgecae.tflite.model_file.read` takes; only int8 is streamed."""

LOW_SIGMA = 5
LOW_SIGMA_DROP = 0.5
"""dB; at σ 5 the rounding to 8 bits alone is a good part of the error."""

Quality = Mapping[str, float]


@dataclass(frozen=True)
class Written:
    """A file, and whether the runtime takes it.

    Attributes:
        model: the file.
        refused: why :func:`edgecae.tflite.model_file.read` does not take it; None where it does.
    """

    model: ModelFile
    refused: str | None


def written(path: Path, content: bytes, metadata: Metadata, ours: bool) -> Written:
    """Look at a file that was just written, as the runtime will.

    Args:
        path: of the file.
        content: of the file.
        metadata: in the file.
        ours: whether it is one of edgecae's networks, of which none may be refused.

    Raises:
        ModelFileError: it is refused, and must not be.
    """
    if metadata.precision not in READABLE:
        refused = "for comparison: streaming runs int8 files"
        return Written(model_file.describe(path, content, metadata), refused)
    try:
        return Written(model_file.read(path), None)
    except ModelFileError as error:
        if ours:
            raise
        reason = str(error).removeprefix(f"model {path}: ")
        refused = f"for other runtimes than edgecae's: {reason}"
        return Written(model_file.describe(path, content, metadata), refused)


@dataclass(frozen=True)
class Report:
    """A finished conversion.

    Attributes:
        model: the file that was written.
        refused: why the runtime does not take it; None where it does.
        noisy: PSNR of the noisy held-out images, by noise.
        reference: PSNR of the float network.
        converted: PSNR of the file, through the runtime.
        backend: the interpreter that it was measured with.
        ranges: where the activation ranges come from.
        measured_on: what was measured on.
        networks: float, QAT and whatever else was on the way.
        validation: the pictures.
        quantized: ``QAT`` or ``PTQ`` where the network that was converted carries its roundings.
        around: stride, and border that frames get (``edgecae.denoise.tiling.border``).
        denoise: runs the file on frames of any size, or of its own.
        halves: encoder and decoder, where they were written too.
    """

    model: ModelFile
    refused: str | None
    noisy: Quality
    reference: Quality
    converted: Quality
    backend: str
    ranges: str
    measured_on: str
    networks: Networks
    validation: HeldOut
    quantized: str
    around: tuple[int, int]
    denoise: Denoise
    halves: tuple[Path, ...] = ()

    @property
    def use(self) -> str:
        """What the file can be used for."""
        if self.refused is not None:
            return self.refused
        if self.model.metadata.precision != "int8":
            return "for comparison: streaming runs int8 files"
        height, width = self.model.frame_size
        sizes = (
            "frames of any size" if self.model.open_size else f"frames of {width}x{height} alone"
        )
        return f"can be streamed, {sizes}"


def check(reference: Quality, converted: Quality, max_drop: float) -> None:
    """Refuse a conversion that lost too much.

    Args:
        reference: PSNR of the float network in dB, by noise.
        converted: PSNR of the file.
        max_drop: largest mean loss over all noises but σ 5, dB.

    Raises:
        QualityError: the mean loss is larger, or that at σ 5 exceeds ``LOW_SIGMA_DROP``.
    """
    drops = {spec: reference[spec] - converted[spec] for spec in reference}
    low = str(gaussian(LOW_SIGMA))
    others = [drop for spec, drop in drops.items() if spec != low]
    if others and (mean := sum(others) / len(others)) > max_drop:
        raise QualityError(
            f"the file is {mean:.3f} dB worse than the float network (mean over "
            f"{', '.join(s for s in drops if s != low)}), {max_drop:g} is allowed; train the QAT "
            "phase longer or raise --max-drop"
        )
    if (drop := drops.get(low, 0.0)) > LOW_SIGMA_DROP:
        raise QualityError(
            f"at {low} the file is {drop:.3f} dB worse than the float network, "
            f"{LOW_SIGMA_DROP:g} is allowed"
        )


def tensors(model: ModelFile) -> str:
    """What the tensors of a file really are, constants and what operations make."""
    parsed = model_file.parse_flatbuffer(model.content)
    counts: dict[str, Counter[str]] = {"constants": Counter(), "activations": Counter()}
    for tensor in parsed.subgraphs[0].tensors:
        data = parsed.buffers[tensor.buffer].data
        kind = "constants" if data is not None and np.size(data) else "activations"
        counts[kind][model_file.dtype_name(tensor.type)] += 1
    return "; ".join(
        f"{kind} {', '.join(f'{n} {dtype}' for dtype, n in found.most_common())}"
        for kind, found in counts.items()
    )


def text(report: Report) -> str:
    """The report as lines for a terminal."""
    model = report.model
    pixels = model.frame_size[0] * model.frame_size[1]
    size = f"{model.frame_size[1]}x{model.frame_size[0]}, {'open' if model.open_size else 'fixed'}"
    lines = [f"{'op':<24}{'dtype':<8}{f'output at {size}':<28}{'kMAC/pixel':>10}"]
    for op in model.ops:
        shape = "×".join(str(n) for n in op.output_shape)
        macs = f"{op.macs / pixels / 1000:.3f}" if op.macs else ""
        lines.append(f"{op.op:<24}{op.dtype:<8}{shape:<28}{macs:>10}")
    dtypes = Counter(op.dtype for op in model.ops)
    lines += [
        "",
        f"ops         {len(model.ops)} ({', '.join(f'{n} {d}' for d, n in dtypes.items())})",
        f"tensors     {tensors(model)}",
        f"size        {len(model.content):,} bytes, {model.parameters:,} parameters",
        f"MACs        {model.macs_per_pixel / 1000:.2f} k per pixel, "
        f"{model.macs_per_pixel_padded / 1000:.2f} k with padded channels",
        f"stride      {model.metadata.stride}, halo {model.metadata.halo} pixels",
        f"ranges      {report.ranges}",
        f"measured    on {report.measured_on}",
        f"use         {report.use}",
        "",
        f"{'PSNR (dB), held-out images':<28}{'noisy':>8}{'float':>8}"
        f"{model.metadata.precision:>9}{'drop':>8}   through {report.backend}",
    ]
    for spec, float_psnr in report.reference.items():
        converted = report.converted[spec]
        lines.append(
            f"{spec:<28}{report.noisy[spec]:8.2f}{float_psnr:8.2f}{converted:9.2f}"
            f"{float_psnr - converted:8.3f}"
        )
    return "\n".join(lines)
