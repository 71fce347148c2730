"""How the command line logs: text for people, or one JSON object a line for programs."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import logging
import os
import sys
import threading
from typing import Any, TextIO

from edgecae.commands import hidden
from edgecae.commands.standard_streams import Stderr
from edgecae.commands.terminal import printable

__all__ = ["FORMATS", "JsonFormatter", "JsonLines", "TextFormatter", "prepare_tensorflow", "set_up"]

FORMATS = ("text", "json")


class TextFormatter(logging.Formatter):
    """The message alone; an error begins with the program's name and ends with its reason."""

    def format(self, record: logging.LogRecord) -> str:
        """A traceback comes first, so that the last line says what is wrong."""
        program = "edgecae: " if record.levelno >= logging.ERROR else ""
        trace = printable(self.formatException(record.exc_info)) + "\n" if record.exc_info else ""
        return f"{trace}{program}{printable(record.getMessage(), one_line=True)}"


class JsonFormatter(logging.Formatter):
    """``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and ``exception`` if any."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII alone."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        entry: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": hidden.clean(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = hidden.clean(self.formatException(record.exc_info))
        return json.dumps(entry)


class JsonLines(io.TextIOBase):
    """A standard error that makes a record, of level INFO, of every line written to it.

    What commands tell the user, warnings of Python and tracebacks of threads so come as JSON too;
    what libraries in C write to file descriptor 2 does not.
    """

    def __init__(self, to: TextIO | Stderr) -> None:
        self._to = to
        self._formatter = JsonFormatter()
        self._begun = ""
        self._lock = threading.RLock()  # a signal's handler may write while its thread does

    def write(self, text: str) -> int:
        """Pass on the lines that are whole; empty ones are left out."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in filter(str.strip, lines):
                record = logging.LogRecord("edgecae", logging.INFO, "", 0, line, None, None)
                self._to.write(self._formatter.format(record) + "\n")
        return len(text)

    def flush(self) -> None:
        """Flush what is below; a line that has no end yet is kept."""
        self._to.flush()

    def fileno(self) -> int:
        """Of what is below."""
        return self._to.fileno()

    def close(self) -> None:
        """Write the last line, should it lack its end."""
        if self._begun:
            self.write("\n")
        super().close()


def set_up(verbosity: int = 0, style: str = "text") -> contextlib.AbstractContextManager[Any]:
    """Log to standard error.

    Args:
        verbosity: 0 for warnings, 1 for what is going on, 2 for everything.
        style: one of :data:`FORMATS`.

    Returns:
        What to run a command in: with ``json``, all of standard error is JSON there.
    """
    log = logging.getLogger("edgecae")
    stderr = Stderr(sys.stderr) if not isinstance(sys.stderr, Stderr) else sys.stderr
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    log.handlers = [handler]
    log.propagate = False
    log.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG))
    if style == "text":
        return contextlib.redirect_stderr(stderr)
    lines = JsonLines(stderr)
    stack = contextlib.ExitStack()
    stack.callback(lines.close)
    stack.enter_context(contextlib.redirect_stderr(lines))
    return stack


def prepare_tensorflow() -> None:
    """Keep TensorFlow's messages about its own inside off standard error, and Keras 3 unloaded.

    Call it before TensorFlow is imported, in a process that this program owns. What goes wrong
    still comes as an exception; ``TF_CPP_MIN_LOG_LEVEL`` in the environment decides otherwise.
    Training uses Keras 2. Unless told so, TensorFlow loads Keras 3 as well, which takes seconds.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
