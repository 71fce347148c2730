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
from collections.abc import Callable
from typing import Any

import click

__all__ = ["options_of"]


def options_of(
    kind: type[Any], **more: dict[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each field of a dataclass, and hand it one object.

    The metadata of a field are keyword arguments of :func:`click.option`, ``help`` at least; a
    field without ``help`` is no option. The option is called like the field, or as ``flag`` in its
    metadata says. The default is that of the field: a tuple makes an option that may be repeated,
    False a flag. A default that is empty or None is not shown; ``help`` describes it.

    Args:
        kind: the dataclass; each field that is an option has a default. The command gets the object
            under the name of the class, in lower case with underscores.
        more: by field, keyword arguments of :func:`click.option` that only a command needs, such as
            the completion of a shell.

    Returns:
        A decorator, to stand below ``click.command``.
    """
    fields = [field for field in dataclasses.fields(kind) if "help" in field.metadata]
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_")

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_object(*args: Any, **values: Any) -> Any:
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields})
            return command(*args, **values)

        decorated: Callable[..., Any] = with_object
        for field in reversed(fields):
            decorated = _option(field, more.get(field.name, {}))(decorated)
        return decorated

    return decorate


def _option(field: dataclasses.Field[Any], more: dict[str, Any]) -> Callable[..., Any]:
    arguments = {**field.metadata, **more}
    flag = arguments.pop("flag", "--" + field.name.replace("_", "-"))
    default = field.default
    if isinstance(default, bool):
        arguments["is_flag"] = True
    else:
        arguments["multiple"] = isinstance(default, tuple)
        arguments["show_default"] = default not in (None, ())
    return click.option(flag, field.name, default=default, **arguments)
