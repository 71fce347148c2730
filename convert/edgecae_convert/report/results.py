"""What a conversion made and how good it is: plain data, which texts and pages are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecae.errors import QualityError
from edgecae.tflite.model_file import ModelFile
from edgecae_convert.report.analysis import Analysis

__all__ = ["ConversionResults", "Details", "TooMuchLostError", "tensors", "text"]

Quality = Mapping[str, float]


@dataclass(frozen=True)
class Details:
    """What a page shows beside the results.

    Attributes:
        figures: by form (``noisy``, ``float``, ``QAT network``, ``int8 file``) and noise: ``psnr``
            in dB, ``ssim`` up to 1, ``mse`` on the 0–255 scale squared; means over the pictures.
        noise: of the frames that were compared tensor by tensor.
        analysis: of them.
    """

    figures: Mapping[str, Mapping[str, Mapping[str, float]]]
    noise: str
    analysis: Analysis


@dataclass(frozen=True)
class ConversionResults:
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
        quantized: ``QAT`` or ``PTQ`` where the network that was converted carries its roundings.
        halves: encoder and decoder, where they were written too.
        details: for a page, where they were asked for.
        warnings: what is suspicious, a line each.
    """

    model: ModelFile
    refused: str | None
    noisy: Quality
    reference: Quality
    converted: Quality
    backend: str
    ranges: str
    measured_on: str
    quantized: str
    halves: tuple[Path, ...] = ()
    details: Details | None = None
    warnings: tuple[str, ...] = ()

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
        gray = "; a network of gray frames: colour ones go through it channel by channel"
        return f"can be streamed, {sizes}{gray * (self.model.metadata.colour == 'gray')}"


class TooMuchLostError(QualityError):
    """A file that lost more than it may, and was not written.

    Attributes:
        results: of the conversion.
    """

    def __init__(self, message: str, results: ConversionResults) -> None:
        super().__init__(message)
        self.results = results


def tensors(model: ModelFile) -> str:
    """Count the tensors of a file by type, constants and what operations make."""
    counts: dict[str, Counter[str]] = {"constants": Counter(), "activations": Counter()}
    for tensor in model.graph.tensors:
        counts["activations" if tensor.data is None else "constants"][tensor.dtype] += 1
    return "; ".join(
        f"{kind} {', '.join(f'{n} {dtype}' for dtype, n in found.most_common())}"
        for kind, found in counts.items()
    )


def text(results: ConversionResults) -> str:
    """Write the results as lines for a terminal."""
    model = results.model
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
        f"ranges      {results.ranges}",
        f"measured    on {results.measured_on}",
        f"use         {results.use}",
        "",
        f"{'PSNR (dB), held-out images':<28}{'noisy':>8}{'float':>8}"
        f"{model.metadata.precision:>9}{'drop':>8}   through {results.backend}",
    ]
    for spec, float_psnr in results.reference.items():
        converted = results.converted[spec]
        lines.append(
            f"{spec:<28}{results.noisy[spec]:8.2f}{float_psnr:8.2f}{converted:9.2f}"
            f"{float_psnr - converted:8.3f}"
        )
    return "\n".join(lines)
