"""A limit in time for calls of libraries that have none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["LateCalls", "StillRunningError", "within"]

T = TypeVar("T")


class StillRunningError(TimeoutError):
    """A call that was not made, because an earlier one for the same has not come back."""


class LateCalls:
    """Calls that were given up and may still run, each known by what it was for.

    What hangs once hangs again: whoever asks a dead device every half minute for a night shall
    leave one thread and one open file behind, not a thousand.
    """

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}

    def running(self, what: str) -> bool:
        """Whether one for this has not come back yet."""
        thread = self._threads.get(what)
        return thread is not None and thread.is_alive()

    def add(self, what: str, thread: threading.Thread) -> None:
        """Remember one."""
        self._threads[what] = thread


def within(
    seconds: float,
    call: Callable[[], T],
    late: Callable[[T], object] = lambda result: None,
    what: str = "",
    calls: LateCalls | None = None,
) -> T:
    """What ``call`` returns or raises, if it does so in time.

    It runs in a daemon thread of its own, because nothing else ends a system call: a name that no
    server resolves, a device whose driver hangs. A thread that is late is left behind; one at most
    for the same thing, where ``calls`` is given.

    Args:
        seconds: to wait.
        call: without arguments.
        late: gets a result that came too late for anybody, to close it.
        what: the call is for, such as the device.
        calls: where those that are late are kept.

    Raises:
        StillRunningError: an earlier call for the same thing has not come back.
        TimeoutError: it took longer.
    """
    if calls is not None and calls.running(what):
        raise StillRunningError("an earlier attempt has not come back")
    lock, done = threading.Lock(), threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []
    given_up = False

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # raised again by the caller
            errors.append(error)
        else:
            with lock:
                results.append(result)
            if given_up:
                late(result)
        done.set()

    thread = threading.Thread(target=work, name="within", daemon=True)
    thread.start()
    done.wait(seconds)
    with lock:
        given_up = not results
    if results:
        return results[0]
    if errors:
        raise errors[0]
    if calls is not None:
        calls.add(what, thread)
    raise TimeoutError(f"no answer within {seconds:g} s")
