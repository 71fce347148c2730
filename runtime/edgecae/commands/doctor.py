"""``edgecae doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecae.commands import cameras, terminal
from edgecae.device import doctor, speeds

if TYPE_CHECKING:
    from edgecae.stream.cameras.capacity import CapacityReport

__all__ = ["command", "render"]

MARKS = {"ok": ("✓", "green"), "absent": ("·", None), "warning": ("!", "yellow"),
         "fatal": ("✗", "red")}  # fmt: skip


def _section(title: str, findings: Sequence[doctor.Finding]) -> Iterator[str]:
    yield click.style(title, bold=True)
    for finding in findings:
        mark, colour = MARKS[finding.grade]
        about, found = (terminal.printable(text, True) for text in (finding.about, finding.found))
        yield f"  {click.style(mark, fg=colour)} {about:<18} {found}"
        if finding.remedy:
            yield f"    {'':<18} → {terminal.printable(finding.remedy, True)}"
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


def _capacity(fit: CapacityReport) -> Iterator[str]:
    many = f"{fit.threads} core{'s' * (fit.threads > 1)}"
    yield click.style(f"The cameras of the file, on {many}", bold=True)
    for one in fit.cameras:
        what = f"{one.width}x{one.height} at {one.rate:.1f}/s" if one.width else "size not known"
        takes = f"{one.cores[one.model]:.2f} cores" if one.width else ""
        late = one.model in one.late
        mark, colour = MARKS["warning" if one.trouble or late else "ok"]
        yield f"  {click.style(mark, fg=colour)} {one.name:<18} {what:<24} {one.model:<12} {takes}"
        if late:
            yield f"    {'':<18} → a frame of {one.model} takes longer than there is time for it"
        if one.trouble:
            yield f"    {'':<18} → {terminal.printable(one.trouble, True)}"
        elif one.width:
            fits = ", ".join(one.fits) or "none"
            yield f"    {'':<18}   would fit, the others as they are: {fits}"
    mark, colour = MARKS["ok" if fit.holds else "warning"]
    verdict = "this machine holds them" if fit.holds else "this machine does not hold them"
    yield f"  {click.style(mark, fg=colour)} together {fit.cores:.2f} of {many}: {verdict}"
    alike = ", ".join(
        f"{name} {cores:.2f}{'' if cores <= fit.threads else ' (too much)'}"
        for name, cores in fit.alike.items()
    )
    yield f"    cores with one model for all: {alike}"
    yield ""


def render(report: doctor.DoctorReport, fit: CapacityReport | None = None) -> str:
    """The report for people, with the colours of a terminal.

    Args:
        report: on the machine.
        fit: on the cameras of a file.
    """
    lines = [
        *_section("Software", report.software),
        *_section("Machine", report.machine),
        *_section("Cameras", report.cameras),
    ]
    if report.speeds:
        lines += [*_speeds(report), *_advice(report)]
    if fit is not None:
        lines += _capacity(fit)
    lines.append("edgecae can run here." if report.usable else "edgecae can't run here: see ✗.")
    return "\n".join(lines)


@click.command()
@click.option("--quick", is_flag=True, help="Measure 640x480 alone and scale the rest by pixels.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    help="Threads of the interpreter.  [default: the cores that are to be had, 4 at most]",
)
@cameras.option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    quick: bool,
    threads: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say what this machine lacks, which models it can run, and how fast.

    Takes a quarter of a minute, most of it to measure. With --config FILE, looks at each camera of
    the file, and says whether this machine holds them and which models it would hold. The exit
    status is 1 where edgecae can't run at all, or where the machine does not hold the cameras.
    """
    if config is None:
        report, fit = doctor.examine(quick, threads), None
    elif quick or threads:
        raise click.UsageError("--quick and --threads don't go with --config, which has threads")
    else:
        file = cameras.read(config)
        report, fit = doctor.examine(measure=False), None
        if report.usable:
            from edgecae.stream.cameras import capacity

            fit = capacity.examine(file)
    if as_json:
        said = report.to_dict() | ({} if fit is None else {"fit": fit.to_dict()})
        terminal.echo(json.dumps(said, indent=2))
    else:
        click.echo(render(report, fit))  # with colours on a terminal; its texts are printable
    context.exit(0 if report.usable and (fit is None or fit.holds) else 1)
