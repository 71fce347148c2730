"""``edgecae denoise`` with a picture on standard input or output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from edgecae.commands import terminal
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.stream import pictures

__all__ = ["is_meant", "picture_format", "run"]

_DASH = Path("-")

picture_format = click.option(
    "--format",
    "picture_format",
    type=click.Choice(sorted(kind.lower() for kind in images.WRITTEN_KINDS)),
    help="Of the picture on standard output; as it came, or PNG, unless given.",
)


def is_meant(inputs: tuple[Path, ...], output: Path, kind: str | None) -> bool:
    """Whether a picture comes from standard input or goes to standard output.

    Raises:
        click.UsageError: several inputs are to become one picture, or a format without "-".
    """
    meant = _DASH in (*inputs, output)
    if meant and len(inputs) > 1:
        raise click.UsageError('"-" stands for one picture; give one input')
    if kind and output != _DASH:
        raise click.UsageError("--format is for -o -; the suffix of a file says its format")
    return meant


def run(
    inputs: tuple[Path, ...],
    output: Path,
    kind: str | None,
    coding: images.Coding,
    max_pixels: int,
    overwrite: bool,
    open_denoiser: Callable[[], Denoiser],
) -> None:
    """Denoise the picture; see :func:`edgecae.stream.pictures.denoise_picture`.

    Raises:
        SourceError, SinkError: what went wrong.
    """
    (path,) = inputs
    if output == _DASH and sys.stdout.isatty():
        raise SinkError("standard output is a terminal, and a picture is no text: give a file")
    if path != _DASH and not images.is_picture_name(path):
        raise SourceError(
            f"{path} is no image; edgecae stream --sink - writes video to standard output"
        )
    if output != _DASH:
        coding.check([images.kind_to_write(output)])
        if output.exists() and not overwrite:
            raise SinkError(f"{output} exists; --overwrite replaces it")
    source = sys.stdin.buffer if path == _DASH else path
    target = sys.stdout.buffer if output == _DASH else output
    with open_denoiser() as denoiser:
        terminal.echo(f"{denoiser.metadata.name}, {denoiser.backend}", err=True)
        pictures.denoise_picture(
            source,
            target,
            denoiser,
            kind=kind.upper() if kind else None,
            coding=coding,
            max_pixels=max_pixels,
        )
