"""``edgecae compress``."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edgecae import atomic
from edgecae.codec import compressed_file
from edgecae.codec.autoencoder import Encoder
from edgecae.commands import options, terminal
from edgecae.media import images

__all__ = ["command"]

log = logging.getLogger(__name__)


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write."
)
@click.option(
    "--model",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="encoder.tflite, which edgecae convert --split makes.",
)
@options.threads
@options.max_pixels
@options.overwrite
def command(
    picture: Path, output: Path, model: Path, threads: int, max_pixels: int, overwrite: bool
) -> None:
    """Compress a picture into the latent of an autoencoder.

    The decoder that was made together with MODEL turns it into a picture again, denoised. Of a
    picture, its pixels alone are kept, turned upright: no transparency, no EXIF data, no colour
    profile.
    """
    atomic.check(output, overwrite)
    source = images.upright(images.read(picture, max_pixels))
    if source.alpha is not None:
        log.warning("%s: its transparency is not kept", picture)
    if source.fine is not None:
        log.warning("%s: of its 16 bits a channel, 8 are kept", picture)
    with Encoder(model, threads) as encoder:
        content = compressed_file.compress(source.pixels, encoder).to_bytes()
    atomic.write_bytes(output, content, overwrite, mode=picture.stat().st_mode)
    height, width = source.pixels.shape[:2]
    terminal.echo(
        f"{len(content):,} bytes, {8 * len(content) / (height * width):.2f} bits per pixel",
        err=True,
    )
