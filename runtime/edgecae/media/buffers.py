"""Memory for frames, used again and again: a stream in its stride allocates no pixels."""

from __future__ import annotations

import threading
import weakref
from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buffers"]

MAX_KEPT = 16
"""How many arrays wait to be used again; more are freed."""

MAX_KEPT_BYTES = 2**29
"""Of the arrays that wait."""

LARGE = 2**26
"""Bytes of a frame from which on a stream takes one at a time: 22 million pixels."""


class Buffers:
    """Hands out arrays for pixels and takes them back. Safe for use from several threads.

    Who forgets to give one back loses nothing but the reuse.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: deque[NDArray[np.uint8]] = deque()
        self._out: dict[int, None] = {}

    def has_room(self, nbytes: int, frame: NDArray[np.uint8] | None = None) -> bool:
        """Whether a frame may go through now: a large one waits until no other is in use.

        Args:
            nbytes: of the frame.
            frame: the array itself, where it has been taken already.
        """
        if nbytes < LARGE:
            return True
        others = tuple(self._out)
        return not others or others == (id(frame),)

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """An array of ``shape``, uint8, C-contiguous, with anything in it."""
        with self._lock:
            while self._free:
                array = self._free.pop()
                if array.shape == shape:
                    self._out[id(array)] = None
                    return array
                # Frames have another size now: what is left of the old one goes.
            array = np.empty(shape, np.uint8)
            self._out[id(array)] = None
        weakref.finalize(array, self._out.pop, id(array), None).atexit = False
        return array

    def give(self, array: NDArray[np.uint8]) -> None:
        """Take back an array that nobody uses any more."""
        with self._lock:
            self._out.pop(id(array), None)
            kept = sum(free.nbytes for free in self._free)
            if len(self._free) < MAX_KEPT and kept + array.nbytes <= MAX_KEPT_BYTES:
                self._free.append(array)
