"""Secrets of this process, which nothing that it says may show.

Libraries leave secrets out of what they say as far as they know one when they see it. A mistyped
option is nobody's: click quotes it. So all that goes to standard error passes here once more.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable

from edgecae.redact import secrets_in

__all__ = ["clean", "hide", "hide_arguments"]

_hidden: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(*secrets: str) -> None:
    """Show these no more, nor as they look quoted in Python, JSON or a URL."""
    global _pattern
    for secret in filter(None, secrets):
        quoted = (repr(secret)[1:-1], json.dumps(secret)[1:-1], urllib.parse.quote_plus(secret))
        _hidden.update((secret, *quoted))
    if _hidden:
        longest_first = sorted(_hidden, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def hide_arguments(arguments: Iterable[str]) -> None:
    """Hide passwords and tokens of a command line, wherever they stand in it."""
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("--") else argument
        hide(*secrets_in(value or argument))


def clean(text: str) -> str:
    """Return a text with ``…`` in place of what is hidden."""
    return _pattern.sub("…", text) if _pattern is not None else text
