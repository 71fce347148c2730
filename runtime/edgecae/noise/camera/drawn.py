"""Numbers that decide on a camera, drawn once and given out again."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError

__all__ = ["COUNT", "STORED", "Drawn", "Generator", "decode", "encode"]

STORED = 21
"""Numbers of a camera's processing; those after them say how it stores pictures."""

COUNT = STORED + 7
"""As many as the most that are drawn for one camera."""


class Drawn:
    """Gives out numbers in the way of :class:`numpy.random.Generator`, each once and in order.

    So a camera can be changed a little, which a seed does not allow.

    Args:
        numbers: between 0 and 1. After the last one comes ½.
    """

    def __init__(self, numbers: Iterable[float]) -> None:
        self._left = list(numbers)[::-1]

    def _next(self) -> float:
        return float(self._left.pop()) if self._left else 0.5

    def random(self, size: tuple[int, ...] | int | None = None) -> Any:
        """A number, or an array of them."""
        if size is None:
            return self._next()
        count = math.prod(size) if isinstance(size, tuple) else size
        return np.array([self._next() for _ in range(count)]).reshape(size)

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * self._next()

    def integers(self, low: int, high: int | None = None) -> int:
        """A whole number from ``low``, or 0, up to below the other one."""
        low, high = (0, low) if high is None else (low, high)
        return low + int(self._next() * (high - low))

    def choice(self, options: Sequence[Any], p: Sequence[float]) -> Any:
        """One of some options, by their shares."""
        index = int(np.searchsorted(np.cumsum(p), self._next(), side="right"))
        return options[min(index, len(options) - 1)]


Generator = np.random.Generator | Drawn
"""Where a camera is drawn from."""


def encode(numbers: NDArray[np.uint8]) -> str:
    """Numbers in parts of 256 as text."""
    return base64.urlsafe_b64encode(numbers.tobytes()).decode().rstrip("=")


def decode(text: str) -> NDArray[np.uint8]:
    """Read what :func:`encode` wrote.

    Raises:
        NoiseError: it is something else.
    """
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != COUNT:
        raise NoiseError(f"{text!r} was cut off: drawn= has the numbers that edgecae noise wrote")
    return np.frombuffer(content, np.uint8)
