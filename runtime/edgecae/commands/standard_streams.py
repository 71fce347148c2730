"""Standard input, output and error of the process, whatever became of them.

Each may be closed when the process begins, and nobody may read what it says. Messages are worth
less than the work: standard error loses them. Standard output is what was asked for: the command
fails where it can't be written, see :func:`.cli.main`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from edgecae.commands import hidden

__all__ = ["Stderr", "Stdout", "open_missing"]

_MODES = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)
"""How the null device stands in for each: from the first nothing comes, the second fails."""


def open_missing() -> None:
    """Open those that are closed: else a recording may become descriptor 2, which libraries use."""
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


class Stderr(io.TextIOBase):
    """Standard error that shows no secret and never fails: what can't be written is lost.

    Where it is the process's, it has a descriptor of its own. Descriptor 2 is diverted while a
    library in C++ is to be silent: what another thread has to say meanwhile must not go with it.

    Args:
        to: standard error as it is, for the process or in memory.
    """

    def __init__(self, to: TextIO) -> None:
        self._to: TextIO | None = to
        self._descriptor = -1
        self._encoding, self._errors = to.encoding or "utf-8", to.errors or "backslashreplace"
        with contextlib.suppress(AttributeError, OSError, ValueError):  # in memory, or closed
            if to.fileno() == 2:
                self._descriptor = os.dup(2)
                self._to = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of what is below."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Of what is below."""
        return self._errors

    def write(self, text: str) -> int:
        """Write at once, as far as that is possible."""
        shown = hidden.clean(text)
        with contextlib.suppress(OSError, ValueError):
            if self._to is not None:
                self._to.write(shown)
            else:
                left = memoryview(shown.encode(self._encoding, self._errors))
                while left:
                    left = left[os.write(self._descriptor, left) :]
        return len(text)

    def flush(self) -> None:
        """Flush what is below."""
        with contextlib.suppress(OSError, ValueError):
            if self._to is not None:
                self._to.flush()

    def fileno(self) -> int:
        """Of what is below."""
        return self._descriptor if self._to is None else self._to.fileno()

    def isatty(self) -> bool:
        """Whether people look at it."""
        return os.isatty(self._descriptor) if self._to is None else self._to.isatty()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


class Stdout:
    """Standard output that remembers that it could not be written; all else is as it was.

    Args:
        to: standard output as it is.

    Attributes:
        failure: the latest error.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)

    def write(self, text: str) -> int:
        """Write; an error is raised as ever."""
        with self._noted():
            return self._to.write(text)

    def flush(self) -> None:
        """Flush; an error is raised as ever."""
        with self._noted():
            self._to.flush()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            raise

    def finish(self) -> None:
        """Write what is held back; where it can't be, Python shall not try again at its end."""
        try:
            self.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._to.fileno())
                os.close(null)
                self._to.flush()
        except ValueError:  # it was closed
            pass
