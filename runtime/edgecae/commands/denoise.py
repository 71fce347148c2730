"""``edgecae denoise``."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click

from edgecae import stream
from edgecae.commands import options, picture_pipe, process, progress, terminal
from edgecae.commands.option_objects import option_of, options_of
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SourceError
from edgecae.media.images import SUBSAMPLINGS, Coding
from edgecae.media.sinks.base import Encoding
from edgecae.stream import batch
from edgecae.stream.session import Session

__all__ = ["command"]


@click.command()
@click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT..."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File, or folder where there are several inputs or a folder of them.",
)
@option_of(Session, "model", **options.DENOISER["model"])
@option_of(Session, "backend", **options.DENOISER["backend"])
@option_of(Session, "strength", **options.DENOISER["strength"])
@options.threads
@option_of(Session, "codec")
@options_of(
    Coding,
    quality={"type": click.IntRange(1, 100)},
    subsampling={"type": click.Choice(SUBSAMPLINGS)},
)
@picture_pipe.picture_format
@options_of(Encoding, **options.ENCODING)
@click.option("--pixel-format", metavar="F", help="Of a video, as FFmpeg names it.")
@click.option("--no-audio", is_flag=True, help="Leave the sound of videos out.")
@click.option(
    "--fps",
    callback=options.rate,
    metavar="RATE",
    help="Frames a second of a video without timestamps, such as .h264.",
)
@click.option(
    "--deinterlace",
    is_flag=True,
    help="Make whole pictures of interlaced frames; else their two fields are denoised apart.",
)
@options.max_pixels
@options.overwrite
@click.pass_context
def command(
    context: click.Context,
    inputs: tuple[Path, ...],
    output: Path,
    model: str,
    threads: int,
    backend: str,
    strength: float | None,
    codec: str,
    coding: Coding,
    picture_format: str | None,
    encoding: Encoding,
    pixel_format: str | None,
    no_audio: bool,
    fps: Fraction | None,
    deinterlace: bool,
    max_pixels: int,
    overwrite: bool,
) -> None:
    """Denoise images, folders and videos.

    An image keeps its depth of 8 or 16 bits, transparency, EXIF data and colour profile; a video
    its timestamps, sound, subtitles and metadata. What a format can't hold is named. A folder
    keeps its names; results that are there already are left alone, so that an interrupted run goes
    on where it stopped, also within a video.

    "-" stands for a picture on standard input or output.
    """
    if picture_pipe.is_meant(inputs, output, picture_format):
        picture_pipe.run(
            inputs, output, picture_format, coding, max_pixels, overwrite,
            lambda: Denoiser(model, threads, backend, strength),
        )  # fmt: skip
        return
    jobs = batch.plan_batch(inputs, output)
    with (
        Denoiser(model, threads, backend, strength) as denoiser,
        stream.stop_on_signals() as stop,
        progress.line() as show,
    ):
        files = progress.Files(show, len(jobs))
        terminal.echo(f"{denoiser.metadata.name}, {denoiser.backend}, {threads} threads", err=True)
        outcome = batch.run_batch(
            jobs,
            denoiser,
            overwrite=overwrite,
            codec=codec,
            coding=coding,
            encoding=replace(encoding, pixel_format=pixel_format, audio=not no_audio),
            rate=fps,
            deinterlace=deinterlace,
            max_pixels=max_pixels,
            stop=stop,
            report=lambda stats: show(lambda: f"{files.line}{progress.of_video(stats)}"),
            hooks=process.hooks(),
            progress=files.tell,
        )
    present = f", {outcome.present} were there already" if outcome.present else ""
    terminal.echo(
        f"{outcome.done} of {len(jobs)} files, {outcome.frames} pictures{present}", err=True
    )
    if outcome.stopped:
        context.exit(progress.exit_status(stop) or progress.STOPPED)
    if outcome.failed:
        raise SourceError(f"{len(outcome.failed)} of {len(jobs)} files could not be denoised")
