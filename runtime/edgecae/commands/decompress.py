"""``edgecae decompress``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edgecae import atomic
from edgecae.codec import compressed_file
from edgecae.codec.autoencoder import Decoder
from edgecae.commands import options
from edgecae.errors import SourceError
from edgecae.media import images
from edgecae.media.file_reader import open_ordinary

__all__ = ["command"]


def _read_limited(path: Path) -> tuple[bytes, int]:
    """Content and permissions of a file of :data:`compressed_file.MAX_FILE_SIZE` bytes at most."""
    try:
        with open_ordinary(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(compressed_file.MAX_FILE_SIZE + 1)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > compressed_file.MAX_FILE_SIZE:
        raise SourceError(f"{path} is larger than {compressed_file.MAX_FILE_SIZE} bytes")
    return content, mode


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The picture to write."
)
@click.option(
    "--model",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="decoder.tflite, made together with the encoder.",
)
@options.threads
@options.overwrite
def command(file: Path, output: Path, model: Path, threads: int, overwrite: bool) -> None:
    """Make a picture of what edgecae compress made."""
    atomic.check(output, overwrite)
    content, mode = _read_limited(file)
    try:
        with Decoder(model, threads) as decoder:
            picture = compressed_file.decompress(
                compressed_file.Compressed.from_bytes(content), decoder
            )
    except SourceError as error:
        raise SourceError(f"{file}: {error}") from error
    images.write(output, images.Picture(picture), mode=mode)
