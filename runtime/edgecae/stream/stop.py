"""A request to end, which a signal can make."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

__all__ = ["Stop", "stop_on_signals"]

_SLICE = 0.1


@dataclass
class Stop:
    """A request to end after the frame at hand.

    A plain flag, looked at every tenth of a second: a signal's handler may interrupt whoever
    holds a lock, so that it must not need one.

    Attributes:
        signal: number of the signal that asked for it, if one did.
        requested: whether anybody asked.
    """

    signal: int | None = None
    requested: bool = False

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until somebody asks."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


@contextlib.contextmanager
def stop_on_signals(on_hangup: Callable[[], None] | None = None) -> Iterator[Stop]:
    """Turn SIGINT, SIGTERM and SIGHUP into a :class:`Stop` while the block runs.

    SIGHUP stays ignored where it is (``nohup``). Use it in the main thread. The handlers that were
    there come back afterwards.

    Args:
        on_hangup: called at SIGHUP in its place; it must take no lock, since it may interrupt
            whoever holds it.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if on_hangup is not None and number == getattr(signal, "SIGHUP", None):
            on_hangup()
            return
        stop.signal = number
        stop.requested = True

    numbers = {signal.SIGINT, signal.SIGTERM}
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
    if signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.add(hangup)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
