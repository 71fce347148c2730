"""Files that take long to make: none that is there already is replaced, none half written."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgecae.errors import SinkError

__all__ = ["check", "write_bytes", "write_text"]


def check(path: Path, overwrite: bool) -> None:
    """Find out before the work whether a file can be written.

    Raises:
        SinkError: it exists, or its folder does not.
    """
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")
    if not path.absolute().parent.is_dir():
        raise SinkError(f"{path} can't be written: there is no folder {path.parent}")


def write_text(path: Path, text: str) -> None:
    """Write a file as UTF-8; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; an existing one is replaced.

    Raises:
        SinkError: it can't be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise SinkError(f"{path} can't be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
