"""A timeout for calls of libraries that have none."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextvars import copy_context
from typing import TypeVar

__all__ = ["PendingCalls", "StillRunningError", "call_with_timeout"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_POLL = 0.1
"""Seconds between two looks whether the caller still wants the result."""


class StillRunningError(TimeoutError):
    """A call that was not made, because an earlier one with the same key is still running."""


class PendingCalls:
    """Calls that were given up and may still run, by key.

    A device that hangs once hangs again: an attempt every half minute for a night shall leave one
    thread and one open file behind, not a thousand.
    """

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}

    def running(self, key: str) -> bool:
        """Return whether a call with this key has not come back yet."""
        thread = self._threads.get(key)
        return thread is not None and thread.is_alive()

    def add(self, key: str, thread: threading.Thread) -> None:
        """Remember the thread of a call."""
        self._threads[key] = thread


def call_with_timeout(
    seconds: float | None,
    call: Callable[[], T],
    discard: Callable[[T], object] = lambda result: None,
    *,
    key: str = "",
    pending: PendingCalls | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> T:
    """Return what ``call`` returns, or raise what it raises, if it does so in time.

    The call runs in a daemon thread of its own, because nothing else ends a system call: a name
    that no server resolves, a device whose driver hangs. A thread that is late is left behind.

    Each result has one owner: either it is returned, or ``discard`` gets it.

    Args:
        seconds: to wait; None: for ever.
        call: takes no arguments.
        discard: closes a result that came too late. It is called in the thread of the call.
        key: what the call is for, such as the device.
        pending: remembers late calls; with it, a late call with the same key must end before the
            next one is made.
        cancelled: asked every tenth of a second: whether to give up at once.

    Raises:
        StillRunningError: an earlier call with the same key is still running.
        TimeoutError: the call took longer.
        CancelledError: ``cancelled`` returned true before the call came back.
    """
    if pending is not None and pending.running(key):
        raise StillRunningError("an earlier attempt has not come back")
    # The future is pending as long as the call runs. It becomes finished or cancelled, whichever
    # comes first, and its lock makes that one step: so it decides who owns the result.
    future: Future[T] = Future()

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # raised again by the caller, if it still waits
            with contextlib.suppress(InvalidStateError):
                future.set_exception(error)
            return
        try:
            future.set_result(result)
        except InvalidStateError:
            _discard(discard, result)

    context = copy_context()  # whoever makes the call: what it logs may depend on that
    thread = threading.Thread(
        target=context.run, args=(work,), name="call with timeout", daemon=True
    )
    thread.start()
    try:
        _wait(future, seconds, cancelled)
        give_up = future.cancel()
    except BaseException:  # such as KeyboardInterrupt
        if not future.cancel() and future.exception() is None:
            _discard(discard, future.result())
        raise
    if not give_up:
        try:
            return future.result()
        finally:
            del future  # else it, its error and the traceback of that keep each other in memory
    if pending is not None:
        pending.add(key, thread)
    if cancelled():
        raise CancelledError
    raise TimeoutError(f"no answer within {seconds:g} s")


def _wait(future: Future[T], seconds: float | None, cancelled: Callable[[], bool]) -> None:
    """Wait until the future is finished, the time is over, or the caller gives up."""
    end = None if seconds is None else time.monotonic() + seconds
    while not future.done() and not cancelled():
        left = _POLL if end is None else min(_POLL, end - time.monotonic())
        if left <= 0:
            return
        try:
            future.exception(left)
        except TimeoutError:
            continue


def _discard(discard: Callable[[T], object], result: T) -> None:
    try:
        discard(result)
    except Exception as error:
        log.debug("what came too late can't be closed", exc_info=error)
