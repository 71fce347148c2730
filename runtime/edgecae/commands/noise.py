"""``edgecae noise``."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae.commands import credentials, options, terminal
from edgecae.commands.option_objects import options_of
from edgecae.media import sources
from edgecae.noise import measure
from edgecae.redact import redacted

__all__ = ["command", "frames_of", "render"]

log = logging.getLogger(__name__)

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


def render(measured: measure.Measurement) -> str:
    """The result for people."""
    frames = f"{measured.frames} frame{'s' * (measured.frames != 1)}"
    low, high = measured.levels
    lines = [
        f"method   {measured.method}: {frames}, {measured.blocks:,} blocks of 8×8 pixels, "
        f"brightness {low:.0f} to {high:.0f}",
        f"fit      σ within {100 * measured.fit_error:.1f} % (root mean square over brightness); "
        f"correlation of neighbours {measured.correlation:.2f}",
        f"{'':<15}{'red':>9}{'green':>9}{'blue':>9}",
    ]
    rows = [("gain", measured.gain), ("read", measured.read)]
    rows += [(f"σ at {percent} %", measured.sigma(percent / 100)) for percent in (10, 50, 90)]
    lines += [f"{name:<15}" + "".join(f"{value:9.3f}" for value in row) for name, row in rows]
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
    "--frames",
    type=click.IntRange(1, 1000),
    default=60,
    show_default=True,
    metavar="N",
    help="Use the first N frames.",
)
@options_of(sources.SourceSettings, **options.CAMERA)
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    source_specs: tuple[str, ...],
    out: Path | None,
    frames: int,
    source_settings: sources.SourceSettings,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure the noise of a camera, to train a network for it.

    SOURCE is whatever edgecae stream --source takes: a camera, a video, images, a folder of them;
    @FILE is what the first line of a file describes.
    Frames of a scene in which nothing moves give the best figures; one picture does as well.
    """
    if out is not None:
        measure.require_writable(out, overwrite)
    source_specs = tuple(credentials.expanded(spec) for spec in source_specs)
    measured = measure.measure_noise(frames_of(source_specs, source_settings, frames))
    for warning in measured.warnings:
        log.warning("%s", warning)
    if out is not None:
        named = ", ".join(redacted(spec) for spec in source_specs)
        measure.write_noise_file(out, measured, named, overwrite)
    terminal.echo(json.dumps(measured.to_dict(), indent=2) if as_json else render(measured))
