"""A directive that lists the settings of a msgspec struct: name, default, values, meaning.

    .. settings:: edgecae_train.recipe:Recipe

The meanings come from the section ``Attributes`` in the docstring of the struct or of its bases.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import msgspec
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["meanings", "rows", "setup"]

_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The meaning of each attribute, from the docstrings of a struct and of its bases."""
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
    """Describe the values that a type allows."""
    if get_origin(kind) is Annotated:
        base, meta = get_args(kind)
        limits = {name: getattr(meta, name) for name in _BOUNDS}
        bounds = [_BOUNDS[n].format(value) for n, value in limits.items() if value is not None]
        return ", ".join([_values(base), *bounds])
    if get_origin(kind) is Literal:
        return ", ".join(f"``{value}``" for value in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        kinds = [each for each in get_args(kind) if each is not msgspec.UnsetType]
        return " or ".join(map(_values, kinds))
    if get_origin(kind) is list:
        return f"list of {_values(get_args(kind)[0])}s"
    names = {int: "whole number", float: "number", bool: "true, false", str: "text"}
    return names.get(kind, "table")


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """The default of a field; NODEFAULT if it must be given."""
    factory = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()


def _text(value: Any) -> str:
    """A default as a file has it; nothing for a setting that has none."""
    if value in (msgspec.NODEFAULT, msgspec.UNSET):
        return ""
    if value == {}:
        return "an empty table"
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    return f"``{text or (repr(value) if isinstance(value, str) else f'{value:g}')}``"


def rows(
    struct: type[msgspec.Struct], given: msgspec.Struct | None = None, table: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    """List name, default, values and meaning of each setting; settings of inner structs come last.

    Args:
        struct: the struct with the settings.
        given: an instance whose values are the defaults in this table; None: the struct's own.
        table: name of the TOML table; empty at the top level.

    Yields:
        Name with its table (``float.steps``), default, values and meaning, as reStructuredText.
    """
    about, inner = meanings(struct), []
    for field in msgspec.structs.fields(struct):
        value = _default(field) if given is None else getattr(given, field.name)
        if isinstance(value, msgspec.Struct):
            inner.append((field, value))
        else:
            name = f"{table}.{field.encode_name}" if table else field.encode_name
            yield name, _text(value), _values(field.type), about[field.name]
    for field, value in inner:
        yield from rows(type(value), value, ".".join(filter(None, (table, field.encode_name))))


class Settings(SphinxDirective):
    """The directive ``settings``; see the module."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return a list of definitions. A table of four columns does not fit a phone."""
        module, _, name = self.arguments[0].partition(":")
        struct = getattr(importlib.import_module(module), name)
        lines = []
        for setting, default, values, meaning in rows(struct):
            usual = f"; unless given, {default}" if default else ""
            lines += [f"``{setting}``", f"    {meaning} ({values}{usual})", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
