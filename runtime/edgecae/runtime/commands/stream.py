"""``edgecae stream``."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import click

from edgecae.errors import SourceError
from edgecae.runtime import Denoiser, metrics, sinks, sources, stream
from edgecae.runtime.commands import options, progress
from edgecae.runtime.frame import Frame
from edgecae.runtime.redact import redacted
from edgecae.runtime.stream import capture, load, tune
from edgecae.runtime.stream.control import StreamControl
from edgecae.runtime.stream.watchdog import LIMIT

__all__ = ["command"]

log = logging.getLogger(__name__)

_JSON_PERIOD = 1.0


def _json_lines(control: StreamControl) -> Callable[[], None]:
    """Prints the figures of the moment, once a second however often it is called."""
    printed = time.monotonic()

    def show() -> None:
        nonlocal printed
        if time.monotonic() - printed >= _JSON_PERIOD:
            printed = time.monotonic()
            print(json.dumps(control.snapshot()), flush=True)

    return show


def _chooser(
    control: StreamControl,
    make: Callable[[int], Denoiser],
    source: sources.Source,
    max_latency: float | None,
    stack: contextlib.ExitStack,
) -> Callable[[Frame], Sequence[Denoiser]]:
    """Measures on the first frame's size, says what it chose, and opens that."""

    def choose(frame: Frame) -> list[Denoiser]:
        measured = tune.measure(make, frame.pixels.shape)
        rate = float(source.rate) if source.live and source.rate else None
        choice = tune.best(measured, rate, max_latency)
        rejected = "; ".join(str(c) for c in measured if c is not choice)
        click.echo(f"chosen: {choice} (others: {rejected or 'none'})", file=sys.stderr)
        if max_latency is not None and choice.milliseconds > max_latency:
            log.warning(
                "no combination takes less than %g ms for a frame here; a smaller model or "
                "picture may",
                max_latency,
            )
        opened = [stack.enter_context(make(choice.threads)) for _ in range(choice.interpreters)]
        for denoiser in opened:
            control.adopt(denoiser)
        return opened

    return choose


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

    def make(count: int) -> Denoiser:
        denoiser = Denoiser(model, count, backend, strength)
        denoiser.measure_noise = watched
        return denoiser

    settings = sources.Settings(size, fps, pixel_format, stall)
    stats = stream.Stats()
    with contextlib.ExitStack() as stack:
        watched = (
            as_json
            or metrics_address is not None
            or any(spec.startswith("view:") for spec in sink_specs)
        )
        first = stack.enter_context(make(threads or 1))  # a wrong model is found before a camera
        stop = stack.enter_context(stream.stop_on_signals())
        source = stack.enter_context(
            capture.open_lasting(source_spec, settings, stop, redacted(source_spec))
        )
        control = StreamControl(source, stats, [], strength)
        sink_settings = sinks.Settings(source, overwrite, codec, segment, control)
        opened = [
            stack.enter_context(sinks.open_sink(spec, sink_settings))
            for spec in dict.fromkeys(sink_specs)
        ]
        if metrics_address is not None:
            url = stack.enter_context(metrics.serve(metrics_address, control.snapshot))
            click.echo(f"metrics at {url}", file=sys.stderr)
        show = stack.enter_context(progress.line())
        how = "threads by measuring" if threads is None else f"{threads} threads"
        click.echo(
            f"{source.name} → {first.metadata.name} ({first.backend}, {how}) → "
            f"{', '.join(sink.name for sink in opened)}",
            file=sys.stderr,
        )
        print_json = _json_lines(control) if as_json else lambda: None
        overload = load.Overload(source, stats, first.metadata.name)

        def status() -> str:
            return ("" if control.offline_seconds is None else "offline · ") + stats.summary()

        def report(stats: stream.Stats) -> None:  # noqa: ARG001 - the same ones
            show(status)
            print_json()
            if (said := overload.notice()) is not None:
                log.warning("%s", said)

        denoiser: Any = first
        if threads is None:
            denoiser = _chooser(control, make, source, max_latency, stack)
        else:
            control.adopt(first)
        stream.run(
            source, denoiser, opened, stop, report, stats=stats, buffers=settings.buffers, hang=hang
        )
    if not stats.frames and not stop.requested:
        raise SourceError(f"{source.name} holds no frame that can be decoded")
    click.echo(stats.summary(), file=sys.stderr)
    if as_json:
        print(json.dumps({**control.snapshot(), **stats.figures(), "end": True}), flush=True)
    context.exit(progress.exit_status(stop))
