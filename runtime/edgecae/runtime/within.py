"""A limit in time for calls of libraries that have none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["within"]

T = TypeVar("T")


def within(
    seconds: float, call: Callable[[], T], late: Callable[[T], object] = lambda result: None
) -> T:
    """What ``call`` returns or raises, if it does so in time.

    It runs in a daemon thread of its own, because nothing else ends a system call: a name that no
    server resolves, a device whose driver hangs. A thread that is late is left behind.

    Args:
        seconds: to wait.
        call: without arguments.
        late: gets a result that came too late for anybody, to close it.

    Raises:
        TimeoutError: it took longer.
    """
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

    threading.Thread(target=work, name="within", daemon=True).start()
    done.wait(seconds)
    with lock:
        given_up = not results
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise TimeoutError(f"no answer within {seconds:g} s")
