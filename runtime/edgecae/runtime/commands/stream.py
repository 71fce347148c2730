"""``edgecae stream``."""

from __future__ import annotations

import contextlib
import json
import sys

import click

from edgecae.errors import SourceError
from edgecae.runtime import Denoiser, sinks, sources, stream
from edgecae.runtime.commands import options, progress

__all__ = ["command"]


@click.command()
@click.option(
    "--source",
    "source_spec",
    required=True,
    metavar="S",
    help="Video file, folder or glob of images, - (standard input), raw:640x480:rgb24@30 (standard "
    "input, no header) or test:640x480@30?frames=300&noise=gaussian:25.",
)
@click.option(
    "--sink",
    "sink_specs",
    required=True,
    multiple=True,
    metavar="S",
    help="Video file, folder for PNG files, - (Y4M to standard output), raw:rgb24 (the same, no "
    "header) or null:. May be given several times.",
)
@options.denoiser
@options.codec
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON at the end.")
@click.pass_context
def command(
    context: click.Context,
    source_spec: str,
    sink_specs: tuple[str, ...],
    model: str,
    threads: int,
    backend: str,
    strength: float | None,
    codec: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Denoise the frames of a source and hand them to sinks.

    SIGINT and SIGTERM end it after the frame at hand, with every file finished.
    """
    piped = [spec for spec in sink_specs if sinks.pipe.is_pipe(spec)]
    if len(piped) + as_json > 1:
        raise click.UsageError("standard output is for one thing: one pipe, or --json")
    with contextlib.ExitStack() as stack:
        denoiser = stack.enter_context(Denoiser(model, threads, backend, strength))
        source = stack.enter_context(sources.open_source(source_spec))
        stop = stack.enter_context(stream.stop_on_signals())
        show = stack.enter_context(progress.line())
        settings = sinks.Settings(source, overwrite, codec)
        opened = [
            stack.enter_context(sinks.open_sink(spec, settings))
            for spec in dict.fromkeys(sink_specs)
        ]
        click.echo(
            f"{source.name} → {denoiser.metadata.name} ({denoiser.backend}, {threads} threads) → "
            f"{', '.join(sink.name for sink in opened)}",
            file=sys.stderr,
        )
        stats = stream.run(source, denoiser, opened, stop, lambda stats: show(stats.summary()))
    if not stats.frames and not stop.requested:
        raise SourceError(f"{source.name} holds no frame that can be decoded")
    click.echo(stats.summary(), file=sys.stderr)
    if as_json:
        figures = {"frames": stats.frames, "broken": stats.broken, "fps": round(stats.rate, 3)}
        click.echo(json.dumps({**figures, **stats.percentiles()}))
    context.exit(progress.exit_status(stop))
