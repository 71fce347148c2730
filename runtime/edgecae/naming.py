"""Log lines that name the stream they are about, where a process has several."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar, copy_context
from typing import Any

__all__ = ["in_this_stream", "logger", "named"]

_NAME: ContextVar[str] = ContextVar("stream", default="")


class _Log(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """See :class:`logging.LoggerAdapter`."""
        name = _NAME.get()
        return (f"{name}: {msg}" if name else msg), kwargs


def logger(module: str) -> logging.LoggerAdapter[logging.Logger]:
    """A module's logger, whose lines begin with the name of the stream that they come from."""
    return _Log(logging.getLogger(module))


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """The block is the stream of that name, without ``%``; empty: it needs none."""
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


def in_this_stream(call: Callable[[], None]) -> Callable[[], None]:
    """The call for another thread, as one of the stream that this thread belongs to."""
    context = copy_context()
    return lambda: context.run(call)
