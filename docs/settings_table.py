"""A directive that lists the settings of a msgspec struct: name, default, values, meaning.

    .. settings:: edgecae_train.recipe:Recipe

Meanings are the struct's own: the section ``Attributes`` of its docstring, or of the one it
inherits from.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import msgspec
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["meanings", "rows", "setup"]

_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the docstrings of a struct and of its bases say of each attribute."""
    found: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        _, _, section = inspect.cleandoc(kind.__dict__.get("__doc__") or "").partition(
            "Attributes:\n"
        )
        for entry in re.split(r"\n {4}(?=\S)", "\n" + section)[1:]:
            name, _, text = entry.partition(":")
            found[name] = " ".join(text.split())
    return found


def _values(kind: Any) -> str:
    """The values that a type allows, in words."""
    if get_origin(kind) is Annotated:
        base, meta = get_args(kind)
        limits = {name: getattr(meta, name) for name in _BOUNDS}
        bounds = [_BOUNDS[n].format(value) for n, value in limits.items() if value is not None]
        return ", ".join([_values(base), *bounds])
    if get_origin(kind) is Literal:
        return ", ".join(f"``{value}``" for value in get_args(kind))
    names = {int: "whole number", float: "number", bool: "true, false", str: "text"}
    return names.get(kind, "table")


def _default(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return ""
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    return f"``{text or (repr(value) if isinstance(value, str) else f'{value:g}')}``"


def rows(
    struct: type[msgspec.Struct], given: msgspec.Struct | None = None, table: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    """Table, name, default, values and meaning of each setting; those of inner structs follow.

    Args:
        struct: where the settings are.
        given: an instance whose values are the defaults in this place.
        table: name of the TOML table that they stand in.
    """
    about, inner = meanings(struct), []
    for field in msgspec.structs.fields(struct):
        value = field.default if given is None else getattr(given, field.name)
        if isinstance(value, msgspec.Struct):
            inner.append((field, value))
        elif field.default_factory is msgspec.NODEFAULT:
            name = f"{table}.{field.encode_name}" if table else field.encode_name
            yield name, _default(value), _values(field.type), about[field.name]
    for field, value in inner:
        yield from rows(type(value), value, ".".join(filter(None, (table, field.encode_name))))


class Settings(SphinxDirective):
    """See the module."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Make a list of definitions: tables of four columns don't fit a phone."""
        module, _, name = self.arguments[0].partition(":")
        struct = getattr(importlib.import_module(module), name)
        lines = []
        for setting, default, values, meaning in rows(struct):
            usual = f"; unless given, {default}" if default else ""
            lines += [f"``{setting}``", f"    {meaning} ({values}{usual})", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
