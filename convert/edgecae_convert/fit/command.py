"""``edgecae fit``."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click
from rich.console import Console

from edgecae import models
from edgecae.commands import credentials, options, terminal
from edgecae.commands.option_objects import options_of
from edgecae.media import sources
from edgecae_convert.fit.fitting import Fitted, fit
from edgecae_convert.fit.plan import MAX_STEPS, Fit
from edgecae_train._tf import find_devices
from edgecae_train.command import progress

__all__ = ["command", "render"]

log = logging.getLogger(__name__)


def render(result: Fitted) -> str:
    """The result for people."""
    lines = [f"{'PSNR (dB), int8 files':<52}{'noisy':>7}{'shipped':>9}{'fitted':>8}{'gain':>7}"]
    lines += [
        f"{f'{each.pictures} {each.on}':<52}{each.noisy:7.2f}{each.shipped:9.2f}"
        f"{each.fitted:8.2f}{each.gain:+7.2f}"
        for each in result.gains
    ]
    times = ", ".join(f"{name} {value:.0f} s" for name, value in result.seconds.items())
    lines += ["", f"time     {times}; {result.steps} steps"]
    if result.picture is not None:
        lines.append(f"picture  {result.picture}")
    copy = "" if result.kept == "fitted" else ": the file is a copy of the shipped model"
    lines.append(f"result   {result.why}{copy}")
    return "\n".join(lines)


@click.command()
@click.argument("source", required=False, default="")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The model file to write.",
)
@click.option(
    "--pairs", default="", metavar="FOLDER", help="Noisy and clean pictures, in place of SOURCE."
)
@click.option(
    "--bursts",
    default="",
    metavar="FOLDER",
    help="A subfolder of shots for each still scene, in place of SOURCE.",
)
@click.option(
    "--data",
    default="builtin",
    show_default=True,
    metavar="FOLDER|builtin",
    help="Clean photos that get the noise of SOURCE.",
)
@click.option(
    "--model",
    type=click.Choice(sorted(models.still_names())),
    default="small",
    show_default=True,
    help="Shipped model to start from and to compare with.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    help="Time for all of it.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, MAX_STEPS),
    metavar="N",
    help="Train so many steps, however long they take.",
)
@click.option(
    "--frames",
    type=click.IntRange(1, 1000),
    default=40,
    show_default=True,
    metavar="N",
    help="Record the first N frames.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for frames, noise and training.  [default: OUTPUT, ending in .fit]",
)
@options_of(sources.SourceSettings, **options.CAMERA)
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    source: str,
    output: Path,
    pairs: str,
    bursts: str,
    data: str,
    model: str,
    minutes: float,
    steps: int | None,
    frames: int,
    work: Path | None,
    source_settings: sources.SourceSettings,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit a shipped model to a camera: record, measure, train, convert, compare.

    SOURCE is whatever edgecae stream --source takes: a camera, a video, a folder of pictures;
    @FILE is what the first line of a file describes. A scene in which nothing moves is best.

    The file that is written is never more than 0.02 dB worse than the shipped model, on pictures
    that training did not see: where the fitted one is, or gains nothing, it is a copy of the
    shipped one. The same command again goes on after an interruption.
    """
    if sum(map(bool, (source, pairs, bursts))) != 1:
        raise click.UsageError("give one of SOURCE, --pairs and --bursts")
    if data != "builtin" and not source:
        raise click.UsageError("--data goes with a SOURCE, whose noise the photos get")
    find_devices()
    console = Console(stderr=True)
    asked = Fit(
        credentials.expanded(source) if source else "", pairs, bursts, data, model, minutes,
        frames, steps or 0,
    )  # fmt: skip
    with progress(console) as report:
        result = fit(
            asked,
            output,
            work,
            source_settings=source_settings,
            overwrite=overwrite,
            announce=lambda line: console.print(
                terminal.printable(line), markup=False, highlight=False
            ),
            report=report,
        )
    for warning in result.warnings:
        log.warning("%s", warning)
    terminal.echo(json.dumps(result.to_dict(), indent=2) if as_json else render(result))
    if not as_json:
        terminal.echo(result.output)
