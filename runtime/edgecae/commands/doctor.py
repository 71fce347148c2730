"""``edgecae doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from edgecae.commands import terminal
from edgecae.device import doctor, speeds

__all__ = ["command", "render"]

MARKS = {"ok": ("✓", "green"), "absent": ("·", None), "warning": ("!", "yellow"),
         "fatal": ("✗", "red")}  # fmt: skip


def _section(title: str, findings: Sequence[doctor.Finding]) -> Iterator[str]:
    yield click.style(title, bold=True)
    for finding in findings:
        mark, colour = MARKS[finding.grade]
        yield f"  {click.style(mark, fg=colour)} {finding.about:<18} {finding.found}"
        if finding.remedy:
            yield f"    {'':<18} → {finding.remedy}"
    yield ""


def _speeds(report: doctor.DoctorReport) -> Iterator[str]:
    sizes = list(dict.fromkeys((speed.width, speed.height) for speed in report.speeds))
    fps = {(speed.model, speed.width, speed.height): speed for speed in report.speeds}
    threads = f"{report.threads} thread{'s' * (report.threads > 1)}"
    yield click.style(f"Speed: frames/s of denoising alone, {threads}", bold=True)
    yield f"    {'':<18}" + "".join(f"{f'{w}x{h}':>12}" for w, h in sizes)
    for model in dict.fromkeys(speed.model for speed in report.speeds):
        cells = [fps[model, *size] for size in sizes]
        row = "".join(f"{'~' * s.scaled + format(s.fps, '.1f'):>12}" for s in cells)
        yield f"    {model:<18}{row}"
    if any(speed.scaled for speed in report.speeds):
        yield "    ~ scaled by pixels from a smaller size, not measured"
    yield ""


def _advice(report: doctor.DoctorReport) -> Iterator[str]:
    yield click.style("This machine holds, with something left for the rest of a stream", bold=True)
    for advice in report.advice:
        yield f"    {advice}"
    missing = {(s.width, s.height) for s in report.speeds}
    missing -= {(advice.width, advice.height) for advice in report.advice}
    for width, height in sorted(missing):
        yield f"    {width}x{height}: no model holds {min(speeds.RATES)} frames/s"
    yield ""


def render(report: doctor.DoctorReport) -> str:
    """The report for people, with the colours of a terminal."""
    lines = [
        *_section("Software", report.software),
        *_section("Machine", report.machine),
        *_section("Cameras", report.cameras),
    ]
    if report.speeds:
        lines += [*_speeds(report), *_advice(report)]
    lines.append("edgecae can run here." if report.usable else "edgecae can't run here: see ✗.")
    return "\n".join(lines)


@click.command()
@click.option("--quick", is_flag=True, help="Measure 640x480 alone and scale the rest by pixels.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    help="Threads of the interpreter.  [default: the cores that are to be had, 4 at most]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, quick: bool, threads: int | None, as_json: bool) -> None:
    """Say what this machine lacks, and which model it can run how fast.

    Takes a quarter of a minute, most of it to measure. The exit status is 1 where edgecae can't
    run at all.
    """
    report = doctor.examine(quick, threads)
    terminal.echo(json.dumps(report.to_dict(), indent=2) if as_json else render(report))
    context.exit(0 if report.usable else 1)
