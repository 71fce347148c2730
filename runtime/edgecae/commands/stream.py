"""``edgecae stream``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import click

from edgecae import stream
from edgecae.commands import options, process, progress
from edgecae.device import allocator
from edgecae.errors import SourceError
from edgecae.media import sinks, sources
from edgecae.media.redact import redacted
from edgecae.stream.control import StreamControl
from edgecae.stream.session import Session
from edgecae.stream.watchdog import LIMIT

__all__ = ["command"]

_JSON_PERIOD = 1.0


def _json_lines() -> Callable[[StreamControl], None]:
    """Prints the figures of the moment, once a second however often it is called."""
    printed = time.monotonic()

    def show(control: StreamControl) -> None:
        nonlocal printed
        if time.monotonic() - printed >= _JSON_PERIOD:
            printed = time.monotonic()
            print(json.dumps(control.snapshot()), flush=True)

    return show


def _status(control: StreamControl) -> str:
    return ("" if control.offline_seconds is None else "offline · ") + control.stats.summary()


@click.command()
@click.option(
    "--source",
    "source_spec",
    required=True,
    metavar="S",
    shell_complete=options.complete_path,
    help="Camera (0, /dev/video0, picamera2:), stream (rtsp://, http://), video file, folder or "
    "glob of images, - (standard input), raw:640x480:rgb24@30 (the same, no header) or "
    "test:640x480@30?noise=gaussian:25&live=yes.",
)
@click.option(
    "--sink",
    "sink_specs",
    required=True,
    multiple=True,
    metavar="S",
    shell_complete=options.complete_path,
    help="Video file, folder for PNG files, - (Y4M to standard output), raw:rgb24 (the same, no "
    "header), view: (a web page), camera:/dev/video9 or null:. May be given several times.",
)
@options.denoiser
@options.threads_or_auto
@options.camera
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Milliseconds that a frame may take in the network; for --threads auto.",
)
@click.option(
    "--segment",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Go on in another file after so long; files are numbered, or named by strftime patterns.",
)
@click.option(
    "--hang",
    type=click.FloatRange(min=0, min_open=True),
    default=LIMIT,
    show_default=True,
    metavar="SECONDS",
    help="End with status 70 when one frame takes longer.",
)
@click.option(
    "--metrics",
    "metrics_address",
    metavar="[HOST:]PORT",
    help="Answer Prometheus at http://HOST:PORT/metrics; HOST is 127.0.0.1 unless given.",
)
@options.codec
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON, a line a second.")
@click.pass_context
def command(
    context: click.Context,
    source_spec: str,
    sink_specs: tuple[str, ...],
    model: str,
    threads: int | None,
    backend: str,
    strength: float | None,
    size: tuple[int, int] | None,
    fps: Fraction | None,
    pixel_format: str | None,
    stall: float,
    max_latency: float | None,
    segment: float | None,
    hang: float,
    metrics_address: str | None,
    codec: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Denoise the frames of a source and hand them to sinks.

    A file loses no frame. A camera or a network stream gives its newest frame, and is opened again
    when it goes away. SIGINT and SIGTERM end the stream after the frame at hand, with every file
    finished.
    """
    piped = [spec for spec in sink_specs if sinks.pipe.is_pipe(spec)]
    if len(piped) + as_json > 1:
        raise click.UsageError("standard output is for one thing: one pipe, or --json")
    if max_latency is not None and threads is not None:
        raise click.UsageError("--max-latency needs --threads auto, which chooses by it")

    allocator.use_one_arena()
    session = Session(
        source=source_spec,
        sinks=sink_specs,
        model=model,
        backend=backend,
        strength=strength,
        threads=threads,
        max_latency=max_latency,
        camera=sources.Settings(size, fps, pixel_format, stall),
        overwrite=overwrite,
        codec=codec,
        segment=segment,
        metrics=metrics_address,
        measure_noise=as_json,
        hang=hang,
    )
    with stream.stop_on_signals() as stop, progress.line() as show:
        print_json = _json_lines() if as_json else lambda control: None

        def report(control: StreamControl) -> None:
            show(lambda: _status(control))
            print_json(control)

        control = session.run(
            stop, lambda line: click.echo(line, err=True), report, process.hooks()
        )
    stats = control.stats
    if as_json:
        print(json.dumps({**control.snapshot(), **stats.figures(), "end": True}), flush=True)
    if not stats.frames and not stop.requested:
        raise SourceError(f"{redacted(source_spec)} holds no frame that can be decoded")
    click.echo(stats.summary(), err=True)
    if stats.stuck:
        # A thread waits in a system call for a source that says nothing. It can't be ended, and
        # may not wake in an interpreter that is being taken apart.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(progress.exit_status(stop))
    context.exit(progress.exit_status(stop))
