"""Files for a decoder's library to read: ordinary ones, whose failed reads are kept."""

from __future__ import annotations

import errno
import io
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgecae.errors import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["FileReader", "open_ordinary"]

_POLL = 0.01
"""Seconds between two reads of a pipe that does not block and has nothing yet."""


def open_ordinary(path: Path) -> BinaryIO:
    """Open a file to read, unbuffered, unless it is something that reading might never end of.

    Args:
        path: of the file. A named pipe would wait for its writer, and a device has no end.

    Raises:
        SourceError: it is a pipe, a socket or a device.
        OSError: it can't be opened, or is a folder.
    """
    # Without blocking: a named pipe opens at once, and is seen to be one.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise SourceError(f"{path} is no ordinary file but a pipe, a socket or a device")
    return os.fdopen(descriptor, "rb", buffering=0)


class FileReader(io.RawIOBase):
    """Reads a binary file for FFmpeg or Pillow, and tells a failed read from the file's end.

    Libraries take a failed read for the end of the file, or for damaged content: half a video then
    looks like a whole one. Here a failed read ends the file as well, and its error is kept.

    It has no ``fileno`` on purpose: Pillow and libtiff would map the file into memory, and a read
    that fails there ends the process with SIGBUS.

    Args:
        file: open for reading, unbuffered: a thread that waits in the read of one of Python's
            buffers holds its lock. It is not closed with this.
        name: of the file, for messages; FFmpeg looks at its suffix.

    Attributes:
        error: of the first read that failed; None as long as all went well.
        at_end: whether the latest read found the end of the file.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__()
        self.name = name
        self.error: OSError | None = None
        self.at_end = False
        self._file = file

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, or a part of it; 0: at the end, or the file can't be read any further."""
        view = memoryview(buffer).cast("B")
        try:
            while (content := self._file.read(len(view))) is None:
                time.sleep(_POLL)
        except OSError as error:
            self.error = self.error or error
            return 0
        self.at_end = not content and len(view) > 0
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; see :meth:`io.IOBase.seek`."""
        return self._file.seek(offset, whence)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """Whether the file has positions, which a pipe has not."""
        return self._file.seekable()

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            SourceError: a read has failed.
        """
        if self.error is not None:
            why = self.error.strerror or type(self.error).__name__
            raise SourceError(f"{self.name} can't be read any further: {why}") from self.error
