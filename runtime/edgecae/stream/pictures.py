"""Denoise one picture: a file, or what is open, such as standard input and output."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from edgecae import atomic
from edgecae.denoise.denoiser import Denoiser
from edgecae.denoise.still import denoise_still, is_unchanged
from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.media.file_reader import FileReader, open_ordinary
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.images.formats import STDIN, STDOUT

__all__ = ["denoise_picture", "permissions"]

MAX_PIPE_BYTES = 2**30
"""Of a picture that comes through a pipe: it is held in memory."""


def denoise_picture(
    source: Path | IO[bytes],
    target: Path | IO[bytes],
    denoiser: Denoiser,
    *,
    kind: str | None = None,
    coding: images.Coding | None = None,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Denoise one picture.

    Where nothing of the result is taken, and neither format nor coding is to change, the result is
    the file itself, byte for byte: encoded again, it would be larger, or worse.

    Args:
        source: a file by its path, or one that is open for reading and called "standard input" in
            messages; a gigabyte at most.
        target: a file by its path, which is replaced, or one that is open for writing.
        denoiser: opened.
        kind: Pillow's name of the format of an open target; None: that of the source, or PNG where
            that is not written.
        coding: how the result is encoded.
        max_pixels: of the picture.

    Raises:
        SourceError: the source is no picture that can be read.
        SinkError: the target can't be written.
    """
    if isinstance(target, Path):
        kind = images.kind_to_write(target)
    content = source if isinstance(source, Path) else _read_all(source)
    if isinstance(content, Path):
        picture = images.read(content, max_pixels)
    else:
        picture = images.read_stream(content, STDIN, max_pixels)
    kind = kind or (picture.kind if picture.kind in images.WRITTEN_KINDS else None) or "PNG"
    mode = permissions(source) if isinstance(source, Path) else None
    picture = denoise_still(picture, denoiser)
    same = kind == picture.kind and coding in (None, images.Coding())
    if same and is_unchanged(denoiser):
        del picture
        with _writing(target, mode) as file:
            _copy(content, file)
    elif isinstance(target, Path):
        images.write(target, picture, mode=mode, coding=coding)
    else:
        with _writing(target, mode) as file:
            images.write_stream(file, STDOUT, kind, picture, coding)


def permissions(source: Path) -> int:
    """Mode of a file that a result is made of; of its owner alone where that can't be known."""
    try:
        return source.stat().st_mode
    except OSError:
        return 0o600


@contextlib.contextmanager
def _writing(target: Path | IO[bytes], mode: int | None) -> Iterator[IO[bytes]]:
    """Yield a file with positions, whose content goes to the target when it is whole."""
    if isinstance(target, Path):
        with atomic.writing(target, mode=mode) as temporary, temporary.open("wb") as file:
            yield file
        return
    whole = io.BytesIO()
    yield whole
    try:
        target.write(whole.getbuffer())
        target.flush()
    except OSError as error:
        raise SinkError(f"{STDOUT} can't be written: {error.strerror or error}") from error


def _copy(content: Path | io.BytesIO, file: IO[bytes]) -> None:
    if not isinstance(content, Path):
        file.write(content.getbuffer())
        return
    with open_ordinary(content) as original:
        reader = FileReader(original, str(content))
        shutil.copyfileobj(reader, file)
        reader.check()


def _read_all(file: IO[bytes]) -> io.BytesIO:
    """All of an open file.

    Raises:
        SourceError: it can't be read, or has more than a gigabyte.
    """
    content = io.BytesIO()
    try:
        while part := file.read(2**24):
            content.write(part)
            if content.tell() > MAX_PIPE_BYTES:
                raise SourceError(
                    f"{STDIN} has more than {MAX_PIPE_BYTES:,} bytes; give the picture as a file"
                )
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{STDIN} can't be read: {error.strerror or error}") from error
    content.seek(0)
    return content
