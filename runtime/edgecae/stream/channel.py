"""A bounded queue between two threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

__all__ = ["ClosedError", "FrameQueue"]

T = TypeVar("T")


class ClosedError(Exception):
    """A channel that is closed and empty: nothing will come any more."""


class FrameQueue(Generic[T]):
    """Items from one thread for another, in order, never more than ``size`` of them.

    Who sends or closes is told what nobody will get, and frees it.

    Args:
        size: how many may wait.
        newest: what happens when it is full: the oldest item is dropped, or the sender waits.
    """

    def __init__(self, size: int, newest: bool) -> None:
        self._size, self._newest = size, newest
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._woken = False

    def put(self, item: T) -> list[T]:
        """Send an item.

        Returns:
            What nobody will get: items that this one replaced, or itself where it is closed.
        """
        gone: list[T] = []
        with self._changed:
            if not self._newest:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                return [item]
            while len(self._items) >= self._size:
                gone.append(self._items.popleft())
            self._items.append(item)
            self._changed.notify_all()
        return gone

    def get(self, timeout: float) -> T | None:
        """The next item; None after ``timeout`` seconds, or when :meth:`wake` was called.

        Raises:
            ClosedError: it is closed, and every item was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._woken, timeout)
            self._woken = False
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._closed:
                raise ClosedError
            return None

    @property
    def closed(self) -> bool:
        """Whether it takes no more items."""
        return self._closed

    def wake(self) -> None:
        """Make the receiver look around."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self, drain: bool = True) -> list[T]:
        """Take no more items; those that wait are still given out, or returned without ``drain``.

        Returns:
            What nobody will get.
        """
        with self._changed:
            self._closed = True
            gone = [] if drain else list(self._items)
            if not drain:
                self._items.clear()
            self._changed.notify_all()
        return gone
