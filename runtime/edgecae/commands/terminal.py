"""Text for people: names of files may hold anything, and a terminal obeys what it is sent."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["echo", "echo_line", "printable"]

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of text
    "\u2028\u2029\ud800-\udfff]"  # line separators; what is not valid in UTF-8
)


def printable(text: str, one_line: bool = False) -> str:
    """Text with control characters and changes of direction as escapes: ESC becomes ``\\x1b``.

    Args:
        text: of any origin. Tabs and line feeds stay.
        one_line: whether line feeds become escapes as well.
    """
    safe = _UNSAFE.sub(_escape, text)
    return safe.replace("\n", "\\n") if one_line else safe


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def echo_line(text: str) -> None:
    """Print one line for people to standard error."""
    click.echo(printable(text, one_line=True), err=True)


def echo(text: Any, err: bool = False) -> None:
    """Print a text for people, :func:`printable`, to standard output or standard error."""
    click.echo(printable(str(text)), err=err)
