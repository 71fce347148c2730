"""Options of a command as one object: a dataclass says name, default and help of each once.

    @dataclass(frozen=True)
    class Times:
        rounds: int = field(default=3, metadata={"help": "How often each is measured."})

    @click.command()
    @options_of(Times)
    def command(times: Times) -> None: ...

The dataclass may stand in any room: it needs nothing of this module.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import click

__all__ = ["option_of", "options_of"]


def options_of(
    kind: type[Any], **more: dict[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each field of a dataclass, and hand it one object.

    The metadata of a field are keyword arguments of :func:`click.option`, ``help`` at least; a
    field without ``help`` is no option, and has a default. The option is called like the field, or
    as ``flag`` in its metadata says. The default is that of the field: a tuple makes an option that
    may be repeated, False a flag; an option of a field without a default is required. A default
    that is empty or None is not shown; ``help`` describes it. A field whose ``default_factory`` is
    a dataclass stands for the options of that dataclass, and becomes an object of it.

    Args:
        kind: the dataclass. The command gets the object under the name of the class, in lower case
            with underscores.
        more: by field, keyword arguments of :func:`click.option` that only a command needs, such as
            the completion of a shell; also by fields of inner dataclasses.

    Returns:
        A decorator, to stand below ``click.command``.

    Raises:
        TypeError: the command has no parameter for the object (raised where it is decorated).
    """
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_")

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        if name not in inspect.signature(command).parameters:
            raise TypeError(f"{command.__name__} lacks the parameter {name}, a {kind.__name__}")

        @functools.wraps(command)
        def with_object(*args: Any, **values: Any) -> Any:
            return command(*args, **{name: _make(kind, values)}, **values)

        decorated: Callable[..., Any] = with_object
        for field in reversed(list(_option_fields(kind))):
            decorated = _option(field, more.get(field.name, {}))(decorated)
        return decorated

    return decorate


def option_of(kind: type[Any], name: str, **more: Any) -> Callable[..., Any]:
    """Give a command the option of one field of a dataclass, as a parameter of its own.

    Args:
        kind: the dataclass, see :func:`options_of`.
        name: of the field.
        more: keyword arguments of :func:`click.option` that only a command needs.
    """
    (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
    return _option(field, more)


def _inner(field: dataclasses.Field[Any]) -> type[Any] | None:
    """Return the dataclass whose options a field stands for; None for other fields."""
    made_by = field.default_factory
    return made_by if isinstance(made_by, type) and dataclasses.is_dataclass(made_by) else None


def _option_fields(kind: type[Any]) -> Iterator[dataclasses.Field[Any]]:
    """List the fields that are options, those of inner dataclasses in their place."""
    for field in dataclasses.fields(kind):
        if inner := _inner(field):
            yield from _option_fields(inner)
        elif "help" in field.metadata:
            yield field


def _make(kind: type[Any], values: dict[str, Any]) -> Any:
    """Make the object, and take the values of its fields out of those of the command."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if inner := _inner(field):
            fields[field.name] = _make(inner, values)
        elif "help" in field.metadata:
            fields[field.name] = values.pop(field.name)
    return kind(**fields)


def _option(field: dataclasses.Field[Any], more: dict[str, Any]) -> Callable[..., Any]:
    arguments = {**field.metadata, **more}
    flag = arguments.pop("flag", "--" + field.name.replace("_", "-"))
    default = field.default
    if default is dataclasses.MISSING:
        return click.option(flag, field.name, **{"required": True, **arguments})
    if isinstance(default, bool):
        arguments["is_flag"] = True
    else:
        arguments["multiple"] = isinstance(default, tuple)
        arguments["show_default"] = default not in (None, ())
    return click.option(flag, field.name, default=default, **arguments)
