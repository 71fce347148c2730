"""Sizes, rates and bit rates as users write them, on a command line or in a file."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["parse_bits", "parse_rate", "parse_size"]


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of ``WxH``, pixels.

    Raises:
        ValueError: it has another form.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"{text!r} is no WIDTHxHEIGHT")
    return int(width), int(height)


def parse_rate(text: str) -> Fraction:
    """Frames a second, such as ``30`` or ``30000/1001``.

    Raises:
        ValueError: it is no positive number.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise ValueError(f"{text!r} is no number of frames a second")
    return rate


def parse_bits(text: str) -> int:
    """Bits a second, such as ``800k`` or ``4M``.

    Raises:
        ValueError: it is no such number from 1 to 2³¹ − 1.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("k", "M") else (text, "")
    try:
        bits = round(float(number) * {"": 1, "k": 1e3, "M": 1e6}[unit])
    except (ValueError, OverflowError):
        bits = 0
    if not 0 < bits < 2**31:
        raise ValueError(f"{text!r} is no bit rate such as 800k or 4M")
    return bits
