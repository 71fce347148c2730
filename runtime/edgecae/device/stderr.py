"""Keep chatter of libraries written in C++ off standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

__all__ = ["silenced"]


@dataclass
class _Diverted:
    """Where standard error goes while somebody wants it silent: the process has but one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    holders: int = 0
    saved: int = -1
    held: IO[bytes] | None = None

    def begin(self) -> None:
        with self.lock:
            self.holders += 1
            if self.holders == 1:
                sys.stderr.flush()
                self.saved = os.dup(2)
                # In memory: needs no folder that can be written, and no module to find one.
                self.held = os.fdopen(os.memfd_create("stderr"), "w+b")
                os.dup2(self.held.fileno(), 2)

    def end(self, failed: bool) -> None:
        with self.lock:
            assert self.held is not None
            if failed:
                self.held.seek(0)
                os.write(self.saved, self.held.read())
            self.holders -= 1
            if self.holders == 0:
                os.dup2(self.saved, 2)
                os.close(self.saved)
                self.held.close()


_diverted = _Diverted()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only if the block fails.

    For the whole process, so that several threads may be inside at once: it comes back when the
    last one leaves. Use it around short calls.
    """
    _diverted.begin()
    failed = True
    try:
        yield
        failed = False
    finally:
        _diverted.end(failed)
