"""What was measured, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from edgecae.bench.comparison import Change, QualityChange
from edgecae.bench.latency import Latency
from edgecae.bench.quality import Quality, shown_frames
from edgecae.bench.results import Results
from edgecae.bench.roofline import Roofline
from edgecae.tflite.macs import CONVOLUTIONS

__all__ = ["format_comparison", "format_results"]

COLOURS = {
    "slower": "red",
    "worse": "red",
    "faster": "green",
    "better": "green",
    "same": None,
    "unsure": None,
}


def _title(text: str) -> str:
    return click.style(text, bold=True)


def _wide(names: Sequence[str]) -> int:
    return max((len(name) for name in names), default=0) + 2


def _latency(rows: Sequence[Latency]) -> Iterator[str]:
    if not rows:
        return
    wide = _wide([row.method for row in rows])
    yield _title("Latency: milliseconds a frame")
    yield (
        f"  {'':<{wide}}{'size':>10}{'threads':>8}{'median':>10}{'p95':>10}{'p99':>10}"
        f"{'frames/s':>10}{'peak MiB':>10}{'rounds ±':>9}{'runs':>6}  with"
    )
    for row in rows:
        apart = (max(row.rounds) - min(row.rounds)) / 2 / row.median_ms
        yield (
            f"  {row.method:<{wide}}{f'{row.width}x{row.height}':>10}{row.threads:>8}"
            f"{row.median_ms:>10.2f}{row.p95_ms:>10.2f}{row.p99_ms:>10.2f}{row.fps:>10.1f}"
            f"{row.peak_bytes / 2**20:>10.0f}{apart:>9.1%}{row.runs:>6}  {row.made_with}"
        )
    yield ""


def _quality(rows: Sequence[Quality]) -> Iterator[str]:
    for name in dict.fromkeys(row.set for row in rows):
        of_set = [row for row in rows if row.set == name]
        sigmas = list(dict.fromkeys(row.sigma for row in of_set))
        wide = _wide([row.method for row in of_set])
        yield _title(f"Quality on {name}, {of_set[0].images} images: PSNR in dB, SSIM, MSE")
        heads = "".join(f"{f'σ {sigma:g}':>24}" for sigma in sigmas)
        yield f"  {'':<{wide}}{heads}"
        for method in dict.fromkeys(row.method for row in of_set):
            cells = {row.sigma: row for row in of_set if row.method == method}
            texts = [_cell(cells.get(sigma)) for sigma in sigmas]
            yield f"  {method:<{wide}}{''.join(f'{text:>24}' for text in texts)}".rstrip()
        yield ""
        yield from _over_time(of_set)
        yield from _int8(of_set)


def _cell(row: Quality | None) -> str:
    return "-" if row is None else f"{_decibels(row.psnr)} {row.ssim:.4f} {row.mse:.1f}"


def _decibels(value: float | None) -> str:
    return "∞" if value is None else f"{value:.2f}"


def _over_time(rows: Sequence[Quality]) -> Iterator[str]:
    clips = [(row, row.over_time) for row in rows if row.over_time is not None]
    if not clips:
        return
    frames = shown_frames(len(clips[0][1].psnr))
    wide = _wide(["over time", *(row.method for row, _ in clips)])
    heads = "".join(f"{f'frame {index + 1}':>11}" for index in frames)
    yield f"  {'over time':<{wide}}{'σ':>6}{heads}{'flicker':>10}"
    for row, clip in clips:
        cells = "".join(f"{_decibels(clip.psnr[index]):>11}" for index in frames)
        yield f"  {row.method:<{wide}}{row.sigma:>6g}{cells}{clip.flicker:>10.2f}"
    yield ""


def _int8(rows: Sequence[Quality]) -> Iterator[str]:
    floats = {(row.method, row.sigma): row for row in rows}
    pairs = [row for row in rows if row.float_method is not None]
    if not pairs:
        return
    wide = _wide(["int8 against float", *(row.method for row in pairs)])
    yield f"  {'int8 against float':<{wide}}{'σ':>6}{'loss dB':>9}{'PSNR between':>14}{'MSE':>8}"
    for row in pairs:
        twin = floats.get((str(row.float_method), row.sigma))
        loss = "-"
        if twin is not None and twin.psnr is not None and row.psnr is not None:
            loss = f"{twin.psnr - row.psnr:.3f}"
        mse = "-" if row.mse_to_float is None else f"{row.mse_to_float:.3f}"
        between = _decibels(row.psnr_to_float)
        yield f"  {row.method:<{wide}}{row.sigma:>6g}{loss:>9}{between:>14}{mse:>8}"
    yield ""


def _roofline(roof: Roofline) -> Iterator[str]:
    threads = f"{roof.threads} thread{'s' * (roof.threads > 1)}"
    yield _title(f"Roofline of {roof.model} at {roof.width}x{roof.height}, {threads}")
    best, over_best, over = roof.best_gmacs, roof.floor_over_ideal, roof.over_floor
    yield f"{roof.ideal_ms:>11.2f} ms  at this machine's best, {best:.0f} GMAC/s of int8"
    yield f"{roof.floor_ms:>11.2f} ms  its convolutions alone: {over_best:.2f} times that"
    yield f"{roof.model_ms:>11.2f} ms  the whole model: {over:.2f} times its convolutions"
    yield f"      {'op':<24}{'output shape':<18}{'ms':>9}{'share':>8}{'GMAC/s':>8}{'of best':>9}"
    for number, step in enumerate(roof.steps):
        shape = "×".join(map(str, step.output_shape))
        line = f"  {number:>3} {step.op:<24}{shape:<18}{step.ms:>9.3f}{step.share:>8.1%}"
        if step.op in CONVOLUTIONS:
            line += f"{step.gmacs:>8.0f}{step.gmacs / roof.best_gmacs:>9.0%}"
        yield line
    for op, share in roof.others.items():
        yield f"      all {op}: {share:.1%}"
    yield ""


def format_results(results: Results) -> str:
    """Format all that was measured, and what could not be."""
    lines = [f"{results.conditions}, {results.conditions.date}"]
    lines += [f"! {warning}" for warning in results.conditions.warnings]
    lines += ["", *_latency(results.latency), *_quality(results.quality)]
    for roof in results.roofline:
        lines += _roofline(roof)
    if results.failed:
        lines += [_title("Not measured"), *(f"  {n}: {why}" for n, why in results.failed.items())]
    return "\n".join(lines).rstrip()


def format_comparison(times: Sequence[Change], qualities: Sequence[QualityChange]) -> str:
    """Format the differences between two measurements."""
    lines = [""]
    if times:
        wide = _wide([change.case for change in times])
        lines += [_title("Compared: milliseconds before and after, ratio and its spread")]
        lines += [
            f"  {c.case:<{wide}}{c.before_ms:>10.2f}{c.after_ms:>10.2f}{c.ratio:>8.3f}"
            f"  {c.spread[0]:.3f}…{c.spread[1]:.3f}  {_verdict(c.verdict)}"
            for c in times
        ]
    changed = [change for change in qualities if change.verdict != "same"]
    if qualities:
        same = len(qualities) - len(changed)
        lines += [_title(f"Compared: PSNR in dB before and after; {same} are the same")]
        wide = _wide([change.case for change in changed])
        lines += [
            f"  {c.case:<{wide}}{c.before:>10.3f}{c.after:>10.3f}  {_verdict(c.verdict)}"
            for c in changed
        ]
    return "\n".join(lines)


def _verdict(verdict: str) -> str:
    return click.style(verdict, fg=COLOURS[verdict])
