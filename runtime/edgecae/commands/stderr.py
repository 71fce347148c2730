"""Keep the output of C++ libraries off standard error, for a process that this program owns."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

__all__ = ["silenced"]


def _scratch_file() -> IO[bytes]:
    """Open a nameless file: in memory, where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


@dataclass
class _Diversion:
    """Where file descriptor 2 leads while at least one thread wants it silent."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    holders: int = 0
    saved: int = -1
    held_back: IO[bytes] | None = None

    def begin(self) -> None:
        with self.lock:
            self.holders += 1
            if self.holders == 1:
                sys.stderr.flush()
                with contextlib.suppress(OSError):  # no descriptors left: then it is not silent
                    self.held_back = _scratch_file()
                    self.saved = os.dup(2)
                    os.dup2(self.held_back.fileno(), 2)

    def end(self, failed: bool) -> None:
        with self.lock:
            self.holders -= 1
            if self.saved < 0 or self.held_back is None:
                return
            if failed:
                with contextlib.suppress(OSError):  # nobody reads standard error
                    self.held_back.seek(0)
                    os.write(self.saved, self.held_back.read())
            if self.holders == 0:
                os.dup2(self.saved, 2)
                os.close(self.saved)
                self.held_back.close()
                self.saved, self.held_back = -1, None


_diversion = _Diversion()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only if the block fails.

    The descriptor belongs to the whole process: output of other threads is held back as well, and
    the descriptor comes back when the last thread leaves. Use it around short calls, in a process
    whose own messages go another way (see :func:`edgecae.commands.logs.set_up`).
    """
    _diversion.begin()
    failed = True
    try:
        yield
        failed = False
    finally:
        _diversion.end(failed)
