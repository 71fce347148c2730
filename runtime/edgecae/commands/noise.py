"""``edgecae noise``."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae.commands import credentials, options, terminal
from edgecae.commands.option_objects import options_of
from edgecae.device.machine import available_cores
from edgecae.media import sources
from edgecae.noise import noise_file
from edgecae.noise.encoded import Excerpt, LikeCamera, find_cameras
from edgecae.noise.measure import Measurement, measure_noise
from edgecae.noise.report import require_plot, write_plot
from edgecae.redact import redacted

__all__ = ["command", "frames_of", "render"]

log = logging.getLogger(__name__)

_CHANNELS = ("red", "green", "blue")

SETTLE = 10
"""Frames of a live source that are passed over: its exposure settles."""


def frames_of(
    specs: Sequence[str], settings: sources.SourceSettings, count: int
) -> Iterator[NDArray[np.uint8]]:
    """Pixels of the first frames of sources, one source after the other, ``count`` in all.

    Raises:
        SourceError: one can't be opened or read.
    """
    for spec in specs:
        with sources.open_source(spec, settings) as source:
            start = SETTLE if source.live else 0
            for frame in itertools.islice(source, start, start + count):
                count -= 1
                yield frame.pixels
        if not count:
            return


def render(measured: Measurement, cameras: Sequence[LikeCamera] = ()) -> str:
    """The result for people."""
    frames = f"{measured.frames} frame{'s' * (measured.frames != 1)}"
    low, high = measured.levels
    lines = [
        f"method   {measured.method}: {frames}, {measured.blocks:,} blocks of 8×8 pixels, "
        f"brightness {low:.0f} to {high:.0f}",
        f"line     variance = gain · mean + read²; σ of the curve lies "
        f"{100 * measured.fit_error:.1f} % off it (root mean square)",
        f"{'':<15}" + "".join(f"{name:>9}" for name in _CHANNELS),
    ]
    rows = [("gain", measured.gain), ("read", measured.read)]
    rows += [(f"σ at {percent} %", measured.sigma(percent / 100)) for percent in (10, 50, 90)]
    lines += [f"{name:<15}" + "".join(f"{value:9.3f}" for value in row) for name, row in rows]
    errors = [100 * statistics.median(curve.error) for curve in measured.curves]
    lines.append(f"{'sure to ± %':<15}" + "".join(f"{2 * value:9.1f}" for value in errors))
    channels = measured.spectrum.channels()
    shared = [
        ("neighbouring pixels", measured.correlation),
        *(
            (f"{_CHANNELS[i]} and {_CHANNELS[j]}", float(channels[i, j]))
            for i, j in ((0, 1), (0, 2), (1, 2))
        ),
        *(("a frame and the next", each) for each in measured.time[:1]),
    ]
    # Adding 0 takes the sign of −0 away.
    texts = [f"{name} {round(value, 2) + 0:.2f}" for name, value in shared]
    lines.append(f"shared   by {', '.join(texts)}")
    if measured.spectrum_error < 1:
        lines.append(f"spectrum sure to ± {200 * measured.spectrum_error:.0f} %")
    else:
        lines.append("spectrum not measured, too little is flat: taken for white noise")
    shares = [
        f"{100 * value:.1f} % {text}"
        for value, text in (
            (measured.moving, "of the blocks left out, something moves"),
            (measured.eaten, "of the blocks have lost their noise"),
            (measured.clipped, "of the pixels at black or white"),
            (measured.rows, "of the noise common to rows"),
        )
        if value >= 0.001
    ]
    if measured.hot:
        shares.append(f"{measured.hot:.0f} of a million pixels hot")
    if shares:
        lines.append(f"found    {'; '.join(shares)}")
    if cameras:
        lines.append(
            f"encoded  {len(cameras)} cameras whose video looks like this, distance "
            f"{cameras[0].distance:.2f} to {cameras[-1].distance:.2f}"
        )
    return "\n".join(lines)


@click.command()
@click.argument("source_specs", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write FILE.toml, for edgecae train --noise.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw σ over brightness and the spectrum into FILE.png.",
)
@click.option(
    "--frames",
    type=click.IntRange(1, 1000),
    default=60,
    show_default=True,
    metavar="N",
    help="Use the first N frames.",
)
@click.option(
    "--encoded",
    is_flag=True,
    help="The frames are of compressed video: find out what noise the encoder got, in minutes.",
)
@options_of(sources.SourceSettings, **options.CAMERA)
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    source_specs: tuple[str, ...],
    out: Path | None,
    plot: Path | None,
    frames: int,
    encoded: bool,
    source_settings: sources.SourceSettings,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure the noise of a camera, to train a network for it.

    SOURCE is whatever edgecae stream --source takes: a camera, a video, images, a folder of them;
    @FILE is what the first line of a file describes.
    Thirty frames of a scene in which nothing moves, from a stand, give σ over brightness and the
    spectrum. Fewer frames, or one picture, do where no warning says that they don't.
    """
    if out is not None:
        noise_file.require_writable(out, overwrite)
    if plot is not None:
        require_plot(plot, overwrite)
    source_specs = tuple(credentials.expanded(spec) for spec in source_specs)
    excerpt = Excerpt(frames_of(source_specs, source_settings, frames))
    measured = measure_noise(excerpt)
    cameras: tuple[LikeCamera, ...] = ()
    if encoded:
        cameras = find_cameras(excerpt.kept, threads=available_cores(), announce=log.info)
        if cameras:
            measured = measured.explained()
        else:
            log.warning("no camera was found whose video looks like these frames")
    for warning in measured.warnings:
        log.warning("%s", warning)
    named = ", ".join(redacted(spec) for spec in source_specs)
    if plot is not None:
        write_plot(plot, measured, named, overwrite)
    if out is not None:
        noise_file.write_noise_file(out, measured, named, overwrite, cameras)
    if as_json:
        alike = [dataclasses.asdict(camera) for camera in cameras]
        terminal.echo(json.dumps({**measured.to_dict(), "encoded": alike}, indent=2))
    else:
        terminal.echo(render(measured, cameras))
