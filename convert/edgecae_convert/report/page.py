"""The report as one HTML page that needs no network: tables, bars and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic, quality
from edgecae.errors import SettingError
from edgecae.tflite import inspect
from edgecae_convert import export
from edgecae_convert.report import analysis, drawings
from edgecae_convert.report.results import READABLE, Report, tensors
from edgecae_train.evaluate import Denoise, HeldOut, keras_denoiser

__all__ = ["check", "figures", "write"]

COMPARED = 4
"""Frames that are compared tensor by tensor."""
LARGEST_SIDE = 256
"""Of these, pixels, where a file takes any size: all of their tensors are kept."""
SHOWN = "gaussian:25"


def check() -> None:
    """Find out before a long conversion whether there can be a page.

    Raises:
        SettingError: jinja2 is not installed.
    """
    _jinja()


def _jinja() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise SettingError("a report page needs jinja2: pip install 'edgecae[report]'") from error
    return jinja2


def figures(validation: HeldOut, denoise: Denoise | None) -> dict[str, dict[str, float]]:
    """Mean PSNR (dB), SSIM and MSE (0–255 scale squared) by noise; None: of the noisy images."""
    measures = {"psnr": quality.psnr, "ssim": quality.ssim, "mse": quality.mse}
    found = {}
    for spec, noisy in validation.noisy.items():
        results = noisy if denoise is None else [denoise(image) for image in noisy]
        pairs = list(zip(validation.clean, results, strict=True))
        found[spec] = {
            name: float(np.mean([measure(*pair) for pair in pairs]))
            for name, measure in measures.items()
        }
    return found


def write(path: Path, report: Report, overwrite: bool = False) -> None:
    """Write the page of a conversion, whole or not at all.

    Args:
        path: of the HTML file.
        report: of the conversion.
        overwrite: replace a file that exists.

    Raises:
        SettingError: jinja2 is not installed.
        SinkError: the file exists and is not to be replaced, or can't be written.
    """
    source = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    environment = _jinja().Environment(autoescape=True, trim_blocks=True)
    text = environment.from_string(source).render(_context(report))
    atomic.write_text(path, text, overwrite)


def _context(report: Report) -> dict[str, Any]:
    model, networks = report.model, report.networks
    shape = None if model.open_size else model.frame_size
    exact = export.finish(export.to_tflite(networks.exact, "float32", shape), False, None)
    found = analysis.analyse(model.content, exact, _frames(report))
    profile = None
    if model.metadata.precision in READABLE and report.refused is None:
        profile = inspect.profile(inspect.inspect(model.path))
    return {
        "name": model.metadata.name,
        "precision": model.metadata.precision,
        "use": report.use[0].upper() + report.use[1:],
        "facts": list(_facts(report)),
        "measured_on": report.measured_on,
        "quality": list(_quality(report)),
        "results": drawings.results(found),
        "shown": SHOWN,
        "timing": _timing(profile),
        "timed": profile is not None,
        "ops": list(_ops(report, profile)),
        "bars": drawings.bars(found.errors),
        "errors": found.errors,
        "infinity": math.inf,
        "qat": report.quantized == "QAT",
        "ranges": report.ranges[0].upper() + report.ranges[1:],
        "spans": drawings.spans(found.errors),
        "maps": drawings.maps(found),
    }


def _frames(report: Report) -> list[NDArray[np.uint8]]:
    stride = report.model.metadata.stride
    side = LARGEST_SIDE // stride * stride

    def crop(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(image[:side, :side] if report.model.open_size else image)

    return [crop(image) for image in report.validation.noisy[SHOWN][:COMPARED]]


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    model = report.model
    yield "file", f"{model.path.name}, {len(model.content):,} bytes"
    yield "parameters", f"{model.parameters:,}"
    yield (
        "MACs",
        f"{model.macs_per_pixel / 1000:.2f} k per pixel, "
        f"{model.macs_per_pixel_padded / 1000:.2f} k with channels padded to Arm's tiles",
    )
    yield "tensors", tensors(model)
    yield "ranges", report.ranges
    yield "measured on", report.measured_on
    yield "stride, halo", f"{model.metadata.stride}, {model.metadata.halo} pixels"
    yield "noise", model.metadata.noise
    yield "measured with", report.backend
    yield "made with", ", ".join(f"{k} {v}" for k, v in model.metadata.made_with.items())


def _quality(report: Report) -> Iterator[tuple[str, list[tuple[str, Mapping[str, float], Any]]]]:
    rows = {"noisy": figures(report.validation, None)}
    rows["float"] = figures(
        report.validation, keras_denoiser(report.networks.reference, *report.around)
    )
    if report.quantized:
        denoise = keras_denoiser(report.networks.converted, *report.around)
        rows[f"{report.quantized} network"] = figures(report.validation, denoise)
    rows[f"{report.model.metadata.precision} file"] = figures(report.validation, report.denoise)
    for spec, reference in rows["float"].items():
        yield (
            spec,
            [
                (
                    form,
                    found[spec],
                    None if form in ("noisy", "float") else reference["psnr"] - found[spec]["psnr"],
                )
                for form, found in rows.items()
            ],
        )


def _timing(profile: inspect.Profile | None) -> str:
    if profile is None:
        return "MACs at the stored frame size. Not timed: edgecae inspect refuses the file."
    return (
        f"MACs at the stored frame size; times at {profile.width}×{profile.height}, each operation "
        f"by itself, median, {profile.threads} thread, {profile.backend}: {profile.sum:.2f} ms in "
        f"sum, {profile.model:.2f} ms for the whole model."
    )


def _ops(report: Report, profile: inspect.Profile | None) -> Iterator[dict[str, Any]]:
    total = sum(op.macs for op in report.model.ops) or 1
    times: Sequence[float | None] = [None] * len(report.model.ops)
    if profile is not None:
        times = profile.ops
    for op, ms in zip(report.model.ops, times, strict=True):
        yield {
            "op": op.op,
            "dtype": op.dtype,
            "shape": "×".join(map(str, op.output_shape)) or "scalar",
            "macs": op.macs,
            "mac_share": op.macs / total,
            "ms": ms,
            "time_share": ms / profile.sum if ms is not None and profile is not None else 0.0,
        }
