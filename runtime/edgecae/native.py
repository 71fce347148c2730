"""What native libraries do to their process: print on file descriptor 2, and make it real-time.

Standard error belongs to the process, and a library leaves it alone. So the hook around noisy calls
does nothing until the program that owns the process installs one, as the command line does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

__all__ = ["Hook", "install", "quiet", "scheduling_kept"]

_TASKS = Path("/proc/self/task")
"""A folder for each thread of this process; on Linux alone."""

Hook = Callable[[], AbstractContextManager[object]]
"""Makes a context in which native output is held back."""

_hook: Hook = contextlib.nullcontext


def install(hook: Hook) -> None:
    """Run every noisy native call of this process inside a context that ``hook`` makes.

    Several threads may be in such a context at the same time.
    """
    global _hook
    _hook = hook


def quiet() -> AbstractContextManager[object]:
    """Make the context that a noisy native call runs in."""
    return _hook()


@contextlib.contextmanager
def scheduling_kept() -> Iterator[None]:
    """Undo what a native call does to the scheduling of its thread and of threads that it starts.

    Where the user is root, SVT-AV1 makes both real-time (SCHED_FIFO, 99). Then other programs, and
    what this one starts, wait for a processor for as long as these threads have something to do.
    """
    if not (hasattr(os, "sched_setscheduler") and _TASKS.is_dir()):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    before = set(_TASKS.iterdir())
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)
            for thread in set(_TASKS.iterdir()) - before:
                with contextlib.suppress(OSError):  # one that has ended
                    os.sched_setscheduler(int(thread.name), policy, priority)
