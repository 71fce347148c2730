"""How the C library keeps the memory of a process with many threads."""

from __future__ import annotations

import contextlib
import ctypes
import os

__all__ = ["use_one_arena"]

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""


def use_one_arena() -> None:
    """Let all threads of this process take memory from one arena of glibc.

    glibc gives each thread an arena of its own, and what one has freed no other can use. A stream
    hands every picture from thread to thread: at VGA that is 15 MB, and nothing is won, since
    pictures and tensors are used again and threads seldom ask for memory at the same time. For the
    start of a process that does nothing but stream; ``MALLOC_ARENA_MAX`` in the environment
    decides otherwise, and other C libraries are left as they are.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc, or Windows
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
