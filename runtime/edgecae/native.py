"""A hook around calls of C++ libraries that print on file descriptor 2.

Standard error belongs to the process, and a library leaves it alone. So the hook does nothing
until the program that owns the process installs one, as the command line does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Hook", "install", "quiet"]

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
