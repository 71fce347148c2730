"""Memory for frames, used again and again: a stream in its stride allocates no pixels."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buffers"]

KEPT = 16
"""How many arrays wait to be used again; more are freed."""


class Buffers:
    """Hands out arrays for pixels and takes them back. Safe for use from several threads.

    Who forgets to give one back loses nothing but the reuse.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """An array of ``shape``, uint8, C-contiguous, with anything in it."""
        with self._lock:
            while self._free:
                array = self._free.pop()
                if array.shape == shape:
                    return array
                # Frames have another size now: what is left of the old one goes.
        return np.empty(shape, np.uint8)

    def give(self, array: NDArray[np.uint8]) -> None:
        """Take back an array that nobody uses any more."""
        with self._lock:
            if len(self._free) < KEPT:
                self._free.append(array)
