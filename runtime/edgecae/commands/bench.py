"""``edgecae bench``."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from edgecae.bench import comparison, measure, pca, report, results, text
from edgecae.bench.options import BenchOptions
from edgecae.commands import options, progress, terminal
from edgecae.commands.option_objects import options_of

__all__ = ["command"]

log = logging.getLogger(__name__)

REGRESSED = 1
"""Exit status where a comparison finds something slower or worse."""


@dataclass(frozen=True)
class OutputOptions:
    """What to do with what was measured, and what to measure in its place.

    Attributes:
        photos: folder that PCA is fitted on; None: latencies and quality are measured.
        autoencoder: model files of encoder and decoder, to compare with PCA.
        page: HTML page to write.
        compare: earlier results, to compare with.
        as_json: whether to print JSON.
    """

    photos: Path | None = field(
        default=None,
        metadata={
            "flag": "--pca",
            "type": click.Path(path_type=Path),
            "metavar": "FOLDER",
            "help": "PCA fitted on FOLDER beside --halves, on --quality; nothing else is measured.",
        },
    )
    autoencoder: tuple[Path, Path] | None = field(
        default=None,
        metadata={
            "flag": "--halves",
            "nargs": 2,
            "type": click.Path(path_type=Path),
            "metavar": "ENCODER DECODER",
            "help": "Files of edgecae convert --split, for --pca.",
        },
    )
    page: Path | None = field(
        default=None,
        metadata={
            "flag": "--report",
            "type": click.Path(path_type=Path, dir_okay=False),
            "help": "Write an HTML page: tables, plots, crops.",
        },
    )
    compare: Path | None = field(
        default=None,
        metadata={
            "type": click.Path(path_type=Path),
            "help": "What --json printed earlier: say what became slower or worse.",
        },
    )
    as_json: bool = field(default=False, metadata={"flag": "--json", "help": "Print JSON."})


def _sizes(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    found = [options.size(ctx, param, value) for value in values]
    return tuple(size for size in found if size is not None)


def _print_pca(bench: BenchOptions, output: OutputOptions) -> None:
    """Measure PCA beside an autoencoder, and print the table."""
    if output.photos is None or output.autoencoder is None or not bench.sets:
        raise click.UsageError("--pca FOLDER, --halves ENCODER DECODER and --quality go together")
    if bench.peers or bench.roofline or output.page or output.compare or bench.against:
        raise click.UsageError("--pca measures encoder and decoder alone, and goes with no other")
    sigmas = bench.sigmas or pca.SIGMAS
    with progress.line() as show:
        rows = pca.compare_with_pca(
            output.autoencoder, output.photos, bench.sets, sigmas, lambda doing: show(lambda: doing)
        )
    about = [row.to_dict() for row in rows]
    terminal.echo(json.dumps(about, indent=1) if output.as_json else pca.format_table(rows))


@click.command()
@options_of(
    BenchOptions,
    models={"shell_complete": options.complete_model},
    sizes={"callback": _sizes},
)
@options_of(OutputOptions)
@options.overwrite
@click.pass_context
def command(
    context: click.Context,
    bench_options: BenchOptions,
    output_options: OutputOptions,
    overwrite: bool,
) -> None:
    """Measure latency and memory, quality, and what else one could run, here.

    Nothing else should run meanwhile. The exit status is 1 where --compare or --against finds
    something slower or worse, beyond what is noise.
    """
    bench, output = bench_options, output_options
    if output.photos is not None or output.autoencoder is not None:
        _print_pca(bench, output)
        return
    before = results.read_results(output.compare) if output.compare else None
    if output.page is not None:
        report.require_writable(output.page, overwrite)
    with progress.line() as show:
        found, changes, strip = measure.measure_all(bench, lambda doing: show(lambda: doing))
    if output.page is not None:
        report.write_page(output.page, report.render_page(found, strip), overwrite)
    better: list[comparison.QualityChange] = []
    if before is not None:
        if before.latency and found.latency:
            comparison.require_alike(before.conditions, found.conditions)
        changes = [*changes, *comparison.compare_latencies(before.latency, found.latency)]
        better = comparison.compare_quality(before.quality, found.quality)
    compared = output.compare is not None or bench.against is not None
    if output.as_json:
        everything: dict[str, Any] = found.to_dict()
        if compared:
            everything["comparison"] = {
                "latency": [change.to_dict() for change in changes],
                "quality": [change.to_dict() for change in better],
            }
        terminal.echo(json.dumps(everything, indent=1, allow_nan=False))
    else:
        terminal.echo(text.format_results(found))
        if compared:
            terminal.echo(text.format_comparison(changes, better))
    for warning in found.conditions.warnings if output.as_json else ():
        log.warning("%s", warning)
    bad = [change.case for change in changes if change.verdict == "slower"]
    bad += [change.case for change in better if change.verdict == "worse"]
    if bad:
        log.error("slower or worse than before: %s", "; ".join(bad))
        context.exit(REGRESSED)
