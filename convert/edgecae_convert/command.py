"""``edgecae convert``."""

from __future__ import annotations

from pathlib import Path

import click

from edgecae import atomic
from edgecae.commands import options, terminal
from edgecae_convert import c_header, recurrent
from edgecae_convert.conversion import convert
from edgecae_convert.report import page as pages
from edgecae_convert.report.results import ConversionResults, TooMuchLostError, text
from edgecae_convert.verify import MAX_LOW_DROP
from edgecae_train._tf import find_devices
from edgecae_train.architectures import ARCHITECTURES

__all__ = ["command"]

RANGES = {"0:1": (0.0, 1.0), "0:255": (0.0, 255.0), "-1:1": (-1.0, 1.0)}


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN|MODEL")
@click.option("--int8", "precision", flag_value="int8", help="Fully integer, from the QAT weights.")
@click.option(
    "--int16x8",
    "precision",
    flag_value="int16x8",
    help="Activations of 16 bits, weights of 8; for comparison.",
)
@click.option(
    "--float16",
    "precision",
    flag_value="float16",
    help="Weights of 16 bits, computes in float; for comparison.",
)
@click.option("--float32", "precision", flag_value="float32", help="Float, for comparison.")
@click.option(
    "--ptq",
    is_flag=True,
    help="With --int8: post-training quantization of the float weights.",
)
@click.option(
    "--calibrate",
    metavar="FOLDER|builtin",
    help="Photos for the ranges of --ptq and --int16x8.  [default: the run's training data]",
)
@click.option(
    "--architecture",
    type=click.Choice(sorted(ARCHITECTURES)),
    help="Of MODEL.weights.h5 that Keras wrote.",
)
@click.option(
    "--noise",
    help="What MODEL was trained for.  [default: what a shipped gate says, else gaussian:0-55]",
)
@click.option(
    "--range",
    "value_range",
    type=click.Choice(list(RANGES)),
    default="0:1",
    show_default=True,
    help="What black and white are to MODEL.keras, MODEL.h5 or a SavedModel.",
)
@click.option(
    "--signature",
    metavar="NAME[:OUTPUT]",
    default="",
    help="Signature of a SavedModel, and its output where it has several.  "
    "[default: serving_default]",
)
@click.option("--trust-code", is_flag=True, help="Run code that MODEL names.")
@click.option(
    "--still",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="MODEL.tflite",
    help="With a gate: the model for single frames to put it before.  [default: the shipped one]",
)
@click.option(
    "--size",
    metavar="WxH",
    callback=options.size,
    help="One fixed frame size, for targets that need static shapes.  [default: any size]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: RUN/MODEL-int8.tflite, -int8-ptq, -float32 and so on]",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Largest mean loss of PSNR against the float network, dB.",
)
@click.option(
    "--max-low-drop",
    type=click.FloatRange(min=0),
    default=MAX_LOW_DROP,
    show_default=True,
    help="Largest loss at noise of σ 5, where rounding to 8 bits counts most, dB.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Write a page: operations, times, and the error of every tensor.",
)
@click.option(
    "--c-array",
    "c_array",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.h",
    help="Write a C header with the model's bytes and quantization, too.",
)
@click.option(
    "--split",
    is_flag=True,
    help="With --int8: write encoder.tflite and decoder.tflite beside the file, too.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there already.")
def command(
    path: Path,
    precision: str | None,
    ptq: bool,
    calibrate: str | None,
    architecture: str | None,
    noise: str | None,
    value_range: str,
    signature: str,
    trust_code: bool,
    still: Path | None,
    size: tuple[int, int] | None,
    output: Path | None,
    max_drop: float,
    max_low_drop: float,
    page: Path | None,
    c_array: Path | None,
    split: bool,
    overwrite: bool,
) -> None:
    """Convert a run directory or a model to a TFLite file, and check it against the float network.

    A model trained elsewhere is MODEL.weights.h5 with an --architecture, MODEL.keras, MODEL.h5 or a
    SavedModel directory; --calibrate then has the pictures for measuring, too.

    A gate (edgecae train --model nano-video, a run of it, or nano-video itself) is put before a
    model for single frames, which makes a recurrent model for video; --still and --int8 go with it.

    A network of gray frames (N×H×W×1) becomes a file that denoises gray frames, and colour ones
    channel by channel.

    Fails, and leaves no file, where a tensor has a type that the format does not have, or the
    file is too much worse than the float network on held-out images.
    """
    if precision is None:
        raise click.UsageError("give --int8, --int16x8, --float16 or --float32")
    gate = recurrent.is_gate(path)
    if gate:
        others = ptq or calibrate or architecture or signature or size or split or page
        if precision != "int8" or others or trust_code or value_range != "0:1":
            raise click.UsageError(
                f"{path} is a gate: it goes with --int8, --still, --noise and -o"
            )
    elif still is not None:
        raise click.UsageError(f"--still goes with a gate, and {path} is none")
    if ptq and precision != "int8":
        raise click.UsageError("--ptq goes with --int8")
    if split and precision != "int8":
        raise click.UsageError("--split goes with --int8")
    find_devices()
    if page is not None:
        pages.check()
    for other in (page, c_array):
        if other is not None:
            atomic.check(other, overwrite)
    try:
        if gate:
            results = recurrent.convert(
                path,
                output,
                still=still,
                noise=noise,
                max_drop=max_drop,
                max_low_drop=max_low_drop,
                overwrite=overwrite,
            )
        else:
            results = convert(
                path,
                output,
                precision=precision,
                ptq=ptq,
                calibrate=calibrate,
                size=size,
                architecture=architecture,
                noise=noise,
                trust=trust_code,
                signature=signature,
                value_range=RANGES[value_range],
                max_drop=max_drop,
                max_low_drop=max_low_drop,
                split=split,
                details=page is not None,
                overwrite=overwrite,
            )
    except TooMuchLostError as error:
        _show(error.results)
        raise
    _show(results)
    terminal.echo(f"\n{results.model.path}")
    for half in results.halves:
        terminal.echo(half)
    if page is not None:
        pages.write(page, results, overwrite)
        terminal.echo(page)
    if c_array is not None:
        c_header.write(c_array, results.model, overwrite)
        terminal.echo(c_array)


def _show(results: ConversionResults) -> None:
    """Print the table, and what is suspicious to standard error."""
    terminal.echo(text(results))
    for each in results.warnings:
        terminal.echo(f"Warning: {each}", err=True)
