"""The results of a conversion as one HTML page that needs no network: tables, bars and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from edgecae import atomic
from edgecae.errors import SettingError
from edgecae.tflite import inspect
from edgecae_convert.report import drawings
from edgecae_convert.report.results import ConversionResults, Details, tensors

__all__ = ["check", "write"]


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


def write(path: Path, results: ConversionResults, overwrite: bool = False) -> None:
    """Write the page of a conversion, whole or not at all.

    Args:
        path: of the HTML file.
        results: of the conversion, with details.
        overwrite: replace a file that exists.

    Raises:
        SettingError: jinja2 is not installed, or the results have no details.
        SinkError: the file exists and is not to be replaced, or can't be written.
    """
    source = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    environment = _jinja().Environment(autoescape=True, trim_blocks=True)
    if results.details is None:
        raise SettingError("a page shows details, which convert(details=True) measures")
    text = environment.from_string(source).render(_context(results, results.details))
    atomic.write_text(path, text, overwrite)


def _context(results: ConversionResults, details: Details) -> dict[str, Any]:
    model, found = results.model, details.analysis
    profile = None
    if model.metadata.precision in ("int8", "float32") and results.refused is None:
        profile = inspect.profile(inspect.inspect_file(model))
    return {
        "name": model.metadata.name,
        "precision": model.metadata.precision,
        "use": results.use[0].upper() + results.use[1:],
        "facts": list(_facts(results)),
        "measured_on": results.measured_on,
        "quality": list(_quality(details)),
        "results": drawings.results(found),
        "shown": details.noise,
        "timing": _timing(profile),
        "timed": profile is not None,
        "ops": list(_ops(results, profile)),
        "bars": drawings.bars(found.errors),
        "errors": found.errors,
        "infinity": math.inf,
        "qat": results.quantized == "QAT",
        "ranges": results.ranges[0].upper() + results.ranges[1:],
        "spans": drawings.spans(found.errors),
        "maps": drawings.maps(found),
    }


def _facts(results: ConversionResults) -> Iterator[tuple[str, str]]:
    model = results.model
    yield "file", f"{model.path.name}, {len(model.content):,} bytes"
    yield "parameters", f"{model.parameters:,}"
    yield (
        "MACs",
        f"{model.macs_per_pixel / 1000:.2f} k per pixel, "
        f"{model.macs_per_pixel_padded / 1000:.2f} k with channels padded to Arm's tiles",
    )
    yield "tensors", tensors(model)
    yield "ranges", results.ranges
    yield "measured on", results.measured_on
    yield "stride, halo", f"{model.metadata.stride}, {model.metadata.halo} pixels"
    yield "noise", model.metadata.noise
    yield "measured with", results.backend
    yield "made with", ", ".join(f"{k} {v}" for k, v in model.metadata.made_with.items())


def _quality(details: Details) -> Iterator[tuple[str, list[tuple[str, Mapping[str, float], Any]]]]:
    for spec, reference in details.figures["float"].items():
        yield (
            spec,
            [
                (
                    form,
                    found[spec],
                    None if form in ("noisy", "float") else reference["psnr"] - found[spec]["psnr"],
                )
                for form, found in details.figures.items()
            ],
        )


def _timing(profile: inspect.Profile | None) -> str:
    if profile is None:
        return "MACs at the stored frame size. Not timed: edgecae does not run the file."
    return (
        f"MACs at the stored frame size; times at {profile.width}×{profile.height}, each operation "
        f"by itself, median, {profile.threads} thread, {profile.backend}: {profile.sum:.2f} ms in "
        f"sum, {profile.model:.2f} ms for the whole model."
    )


def _ops(results: ConversionResults, profile: inspect.Profile | None) -> Iterator[dict[str, Any]]:
    total = sum(op.macs for op in results.model.ops) or 1
    times: Sequence[float | None] = [None] * len(results.model.ops)
    if profile is not None:
        times = profile.ops
    for op, ms in zip(results.model.ops, times, strict=True):
        yield {
            "op": op.op,
            "dtype": op.dtype,
            "shape": "×".join(map(str, op.output_shape)) or "scalar",
            "macs": op.macs,
            "mac_share": op.macs / total,
            "ms": ms,
            "time_share": ms / profile.sum if ms is not None and profile is not None else 0.0,
        }
