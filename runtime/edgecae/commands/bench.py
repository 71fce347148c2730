"""``edgecae bench``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from edgecae import models
from edgecae.bench import comparison, measure, pca, quality, report, results, text
from edgecae.bench.peers import PEERS
from edgecae.commands import options, progress
from edgecae.device.machine import look_here
from edgecae.tflite.interpreter import BACKENDS

__all__ = ["command"]

log = logging.getLogger(__name__)

REGRESSED = 1
"""Exit status where a comparison finds something slower or worse."""


def _sizes(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[int, int]] | None:
    found = [options.size(ctx, param, value) for value in values]
    return [size for size in found if size is not None] or None


@click.command()
@click.option("--model", "names", multiple=True, metavar="NAME|FILE", default=[models.DEFAULT],
              show_default=True, shell_complete=options.complete_model,
              help="Shipped model or a file, int8 or float32. May be repeated, as all that follow "
              "may up to --backend.")  # fmt: skip
@click.option("--size", "sizes", multiple=True, metavar="WxH", callback=_sizes,
              help="Frame size.  [default: 320x240 to 3840x2160; peers 640x480]")  # fmt: skip
@click.option("--threads", multiple=True, type=click.IntRange(1, 64),
              help="Threads of what computes.  [default: 1, and the cores there are]")  # fmt: skip
@click.option("--backend", "backends", multiple=True, type=click.Choice(["auto", *BACKENDS]),
              default=["auto"], show_default=True, help="TFLite interpreter.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(0), default=3, show_default=True,
              help="Of each latency, each in a new process; 0: no latencies.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=2.0, show_default=True,
              help="For a round of a case, about.")  # fmt: skip
@click.option("--quality", "sets", multiple=True, type=click.Path(path_type=Path),
              help="Folder of clean images, or a clip. May be repeated.")  # fmt: skip
@click.option("--sigma", "sigmas", multiple=True, type=click.FloatRange(0, 255),
              help="Of the noise for --quality. May be repeated.  [default: 5, 15, 25, 50]"
              )  # fmt: skip
@click.option("--peers", is_flag=True, help="Other denoisers as well.")
@click.option("--without", multiple=True, type=click.Choice(list(PEERS)), metavar="PEER",
              help="Leave a peer out; cbm3d takes a minute a photo.")  # fmt: skip
@click.option(
    "--pca",
    "photos",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="PCA fitted on FOLDER beside --halves, on --quality; nothing else is measured.",
)
@click.option("--halves", nargs=2, type=click.Path(path_type=Path), metavar="ENCODER DECODER",
              help="Files of edgecae convert --split, for --pca.")  # fmt: skip
@click.option("--roofline", is_flag=True, help="The model beside its convolutions alone.")
@click.option("--report", "page", type=click.Path(path_type=Path, dir_okay=False),
              help="Write an HTML page: tables, plots, crops.")  # fmt: skip
@options.overwrite
@click.option("--compare", type=click.Path(path_type=Path),
              help="What --json printed earlier: say what became slower or worse.")  # fmt: skip
@click.option("--against", metavar="PYTHON",
              help="A Python with another edgecae, timed in turn with this one.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    sizes: list[tuple[int, int]] | None,
    threads: tuple[int, ...],
    backends: tuple[str, ...],
    rounds: int,
    seconds: float,
    sets: tuple[Path, ...],
    sigmas: tuple[float, ...],
    peers: bool,
    without: tuple[str, ...],
    photos: Path | None,
    halves: tuple[Path, Path] | None,
    roofline: bool,
    page: Path | None,
    overwrite: bool,
    compare: Path | None,
    against: str | None,
    as_json: bool,
) -> None:
    """Measure latency and memory, quality, and what else one could run, here.

    Nothing else should run meanwhile. The exit status is 1 where --compare or --against finds
    something slower or worse, beyond what is noise.
    """
    if photos is not None or halves is not None:
        if photos is None or halves is None or not sets:
            raise click.UsageError(
                "--pca FOLDER, --halves ENCODER DECODER and --quality go together"
            )
        if peers or roofline or page or compare or against:
            raise click.UsageError("--pca measures the halves alone, and goes with no other")
        with progress.line() as show:
            rows = pca.compare(
                halves, photos, sets, sigmas or pca.SIGMAS, lambda doing: show(lambda: doing)
            )
        about = [row.to_dict() for row in rows]
        click.echo(json.dumps(about, indent=1) if as_json else pca.render(rows))
        return
    before = results.read(compare) if compare else None
    if page is not None:
        report.require_writable(page, overwrite)
    plan = measure.Plan(
        models=names,
        sizes=sizes,
        threads=threads or sorted({1, look_here().cpu.usable}),
        backends=backends,
        rounds=rounds,
        seconds=seconds,
        peers=measure.all_peers(without) if peers else (),
        sets=sets,
        sigmas=sigmas or quality.SIGMAS,
        roofline=roofline,
        against=against,
    )
    with progress.line() as show:
        found, changes, strip = measure.measure(plan, lambda doing: show(lambda: doing))
    if page is not None:
        report.write(page, report.render(found, strip), overwrite)
    better: list[comparison.QualityChange] = []
    if before is not None:
        if before.latency and found.latency:
            comparison.require_alike(before.conditions, found.conditions)
        changes = [*changes, *comparison.compare(before.latency, found.latency)]
        better = comparison.compare_quality(before.quality, found.quality)
    if as_json:
        everything: dict[str, Any] = found.to_dict()
        if compare or against:
            everything["comparison"] = {
                "latency": [change.to_dict() for change in changes],
                "quality": [change.to_dict() for change in better],
            }
        click.echo(json.dumps(everything, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(text.render(found))
        if compare or against:
            click.echo(text.compared(changes, better))
    for warning in found.conditions.warnings if as_json else ():
        log.warning("%s", warning)
    bad = [change.case for change in changes if change.verdict == "slower"]
    bad += [change.case for change in better if change.verdict == "worse"]
    if bad:
        log.error("slower or worse than before: %s", "; ".join(bad))
        context.exit(REGRESSED)
