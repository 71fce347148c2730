"""Names the setting that an unknown one in a TOML file is nearest to (msgspec)."""

from __future__ import annotations

import difflib
import re
from typing import Any

__all__ = ["nearest_setting"]

_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`(?: - at `(?P<place>[$.\w-]+)`)?")
"""What msgspec says of a setting that does not exist."""


def nearest_setting(problem: str, kind: type[Any]) -> str:
    """What to add to an error of msgspec that names an unknown setting.

    Args:
        problem: what msgspec says.
        kind: the struct that the whole file was read as; its inner structs are its tables.

    Returns:
        ``; did you mean 'NAME'?``, or the settings that there are in the same table; nothing where
        the error is another one.
    """
    from msgspec.structs import fields

    found = _UNKNOWN.search(problem)
    if found is None:
        return ""
    table: Any = kind
    for name in (found["place"] or "").split(".")[1:]:
        table = {field.encode_name: field.type for field in fields(table)}[name]
    known = [field.encode_name for field in fields(table)]
    near = difflib.get_close_matches(found["name"], known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
