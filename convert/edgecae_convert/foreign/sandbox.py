"""What a process gives up before it opens a file that somebody else made.

Linux takes away the network (an empty network namespace), writing outside one folder, signals to
other processes (both by Landlock) and memory without end. Where a kernel or a container refuses one
of these, the process goes on without it: the first wall, the check of the file, does not depend on
them. Nothing needs rights or further libraries.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

__all__ = ["MAX_MEMORY", "MAX_MEMORY_TO_OPEN", "enter", "more_memory"]

MAX_MEMORY_TO_OPEN = 2 * 2**30
"""Bytes of data (``RLIMIT_DATA``) until a file is loaded; TensorFlow itself takes 0.6 GiB."""
MAX_MEMORY = 8 * 2**30
"""The same while the network runs and is converted."""
MAX_FILE = 2 * 2**30
"""Bytes of a file that it writes."""

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 38, 9
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of Landlock's system calls, the same on every architecture."""
RULESET_VERSION, PATH_BENEATH = 1, 1
WRITE_FILE, TRUNCATE = 1 << 1, 1 << 14
WRITING = {1: 0x1FF2, 2: 0x3FF2, 3: 0x7FF2}
"""By version of Landlock: the rights to write, make and remove files, not those to read and run."""
TCP = 3
"""To bind and to connect, since version 4."""
SCOPED = 3
"""Abstract sockets and signals of other processes, since version 6."""


def enter(folder: Path) -> None:
    """Give up what reading a file does not need. There is no way back.

    It must be called before the process has a second thread: most of this holds for the calling
    thread and those that it starts.

    Args:
        folder: the only one that stays writable; the working directory.
    """
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_TO_OPEN, MAX_MEMORY))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if libc.unshare(CLONE_NEWNET):  # root alone may; others become root of a namespace first
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _write_only_in(folder, libc)


def more_memory() -> None:
    """Allow the memory that running and converting takes, once a file is open."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))


def _write_only_in(folder: Path, libc: ctypes.CDLL) -> None:
    version = libc.syscall(CREATE_RULESET, None, 0, RULESET_VERSION)
    if version < 1:
        return  # the kernel has no Landlock
    writing = WRITING[min(version, 3)]
    attributes = struct.pack(
        "=QQQ", writing, TCP if version >= 4 else 0, SCOPED if version >= 6 else 0
    )
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(CREATE_RULESET, attributes, length, 0)
    if rules < 0:
        return
    try:
        null = WRITE_FILE | (TRUNCATE & writing)
        for path, rights in ((folder, writing), (Path(os.devnull), null)):
            with contextlib.suppress(OSError):
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                rule = struct.pack("=Qi", rights, place)
                libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0)
                os.close(place)
        libc.syscall(RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
