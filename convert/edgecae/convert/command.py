"""``edgecae convert``."""

from __future__ import annotations

from pathlib import Path

import click

from edgecae.convert.convert import convert
from edgecae.convert.report import text

__all__ = ["command"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--int8", "precision", flag_value="int8", help="Fully integer, from the QAT weights.")
@click.option("--float32", "precision", flag_value="float32", help="Float, for comparison.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: RUN/MODEL-int8.tflite or -float32.tflite]",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Largest mean loss of PSNR against the float network, dB.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there already.")
def command(
    run: Path,
    precision: str | None,
    output: Path | None,
    max_drop: float,
    overwrite: bool,
) -> None:
    """Convert the run directory RUN to a TFLite file, and check it against the float network.

    Fails, and leaves no file, where an int8 file holds a float tensor or is too much worse than
    the float network on held-out images.
    """
    if precision is None:
        raise click.UsageError("give --int8 or --float32")
    report = convert(
        run,
        output,
        int8=precision == "int8",
        max_drop=max_drop,
        overwrite=overwrite,
    )
    click.echo(text(report))
    click.echo(f"\n{report.model.path}")
