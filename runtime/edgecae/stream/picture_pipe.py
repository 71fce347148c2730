"""Denoise one picture from or into an open file, such as standard input and output."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, BinaryIO

from edgecae import atomic
from edgecae.denoise.denoiser import Denoiser
from edgecae.denoise.still import denoise_still, is_unchanged
from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.media.file_reader import open_ordinary
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.images.formats import STDIN, STDOUT

__all__ = ["denoise_picture"]

MAX_BYTES = 2**30
"""Of a picture that comes through a pipe: it is held in memory."""


def denoise_picture(
    source: Path | IO[bytes],
    target: Path | IO[bytes],
    denoiser: Denoiser,
    *,
    kind: str | None = None,
    coding: images.Coding | None = None,
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
) -> None:
    """Denoise one picture.

    Args:
        source: a file by its path, or one that is open for reading and called "standard input" in
            messages; a gigabyte at most.
        target: likewise, for writing.
        denoiser: opened.
        kind: Pillow's name of the format of an open target; None: that of the source, or PNG where
            that is not written.
        coding: how the result is encoded.
        max_pixels: of the picture.
        overwrite: replace a file that exists.

    Raises:
        SourceError: the source is no picture, or has more than a gigabyte.
        SinkError: the target can't be written, or exists and ``overwrite`` is false.
    """
    if isinstance(target, Path):
        kind = images.kind_to_write(target)
        atomic.check(target, overwrite)
    content, name = _content(source)
    picture = images.read_stream(content, name, max_pixels)
    kind = kind or (picture.kind if picture.kind in images.WRITTEN_KINDS else None) or "PNG"
    mode = source.stat().st_mode if isinstance(source, Path) else None
    picture = denoise_still(picture, denoiser)
    result = content
    if not (is_unchanged(denoiser) and kind == picture.kind and coding in (None, images.Coding())):
        if isinstance(target, Path):
            images.write(target, picture, mode=mode, coding=coding)
            return
        result = io.BytesIO()
        images.write_stream(result, STDOUT, kind, picture, coding)
    if isinstance(target, Path):
        atomic.write_bytes(target, result.getvalue(), overwrite, mode)
        return
    try:
        target.write(result.getbuffer())
        target.flush()
    except OSError as error:
        raise SinkError(f"{STDOUT} can't be written: {error.strerror or error}") from error


def _content(source: Path | IO[bytes]) -> tuple[io.BytesIO, str]:
    """All of a source, and its name for messages."""
    name = str(source) if isinstance(source, Path) else STDIN
    try:
        if isinstance(source, Path):
            with open_ordinary(source) as file:
                content = _read_all(file)
        else:
            content = _read_all(source)
    except FileNotFoundError as error:
        raise SourceError(f"{name} does not exist") from error
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{name} can't be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise SourceError(f"{name} has more than {MAX_BYTES:,} bytes; give the picture as a file")
    return io.BytesIO(content), name


def _read_all(file: BinaryIO | IO[bytes]) -> bytes:
    content = bytearray()
    while (part := file.read(min(2**24, MAX_BYTES + 1 - len(content)))) and len(
        content
    ) <= MAX_BYTES:
        content += part
    return bytes(content)
