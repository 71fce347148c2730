"""Numbers in a noise's description."""

from __future__ import annotations

import re

from edgecae.errors import NoiseError

__all__ = ["MAX_LEVEL", "number_range"]

MAX_LEVEL = 255.0

_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_RANGE = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")


def number_range(text: str, spec: str, forms: str = "a number or LOW-HIGH") -> tuple[float, float]:
    """Read a number from 0 to 255, or a range of them; of one number, both ends are it.

    Args:
        text: what is read.
        spec: the whole description, for messages.
        forms: what is allowed in its place, for messages.

    Raises:
        NoiseError: it is neither, is beyond the scale, or the range runs backwards.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise NoiseError(f"noise {spec!r}: {text!r} is not {forms}")
    low = float(match[1])
    high = low if match[2] is None else float(match[2])
    if low > high:
        raise NoiseError(f"noise {spec!r}: the range {text} runs backwards")
    if high > MAX_LEVEL:
        raise NoiseError(f"noise {spec!r}: {high:g} is above {MAX_LEVEL:g}, the scale is 0-255")
    return low, high
