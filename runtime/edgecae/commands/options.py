"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from edgecae import models
from edgecae.commands.option_objects import option_of
from edgecae.media.numbers import parse_bits, parse_rate, parse_size
from edgecae.media.sources.base import SourceSettings
from edgecae.tflite.interpreter import BACKENDS

__all__ = [
    "CAMERA",
    "DENOISER",
    "ENCODING",
    "POSITIVE",
    "Strength",
    "ThreadsOrAuto",
    "complete_model",
    "complete_path",
    "max_pixels",
    "overwrite",
    "rate",
    "size",
    "threads",
]

_T = TypeVar("_T")


def complete_path(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem]:
    """For a shell: files and folders, for an option that takes other words as well."""
    return [CompletionItem(incomplete, type="file")]


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """For a shell: names of shipped models, and files."""
    names = [CompletionItem(name) for name in models.names() if name.startswith(incomplete)]
    return [*complete_path(context, parameter, incomplete), *names]


class Strength(click.ParamType):  # type: ignore[type-arg]
    """A number from 0 to 1, or ``auto``, which becomes None."""

    name = "0…1|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """See :class:`click.ParamType`."""
        if value == "auto":
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor auto", param, ctx)
        return number


overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there already.")

_THREADS = click.IntRange(1, 64)

threads = click.option(
    "--threads",
    type=_THREADS,
    default=2,
    show_default=True,
    help="Threads of the interpreter.",
)


class ThreadsOrAuto(click.ParamType):  # type: ignore[type-arg]
    """A number of threads, or ``auto``, which becomes None."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """See :class:`click.ParamType`."""
        return None if value == "auto" else int(_THREADS.convert(value, param, ctx))


def _parsed_by(
    parse: Callable[[str], _T],
) -> Callable[[click.Context, click.Parameter, str | None], _T | None]:
    """Make the callback of an option whose text a function parses."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> _T | None:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


size = _parsed_by(parse_size)
"""Width and height of an option ``WxH``, for its callback."""

rate = _parsed_by(parse_rate)
"""Frames a second of an option such as ``30000/1001``, for its callback."""

POSITIVE = click.FloatRange(min=0, min_open=True)

CAMERA: dict[str, dict[str, Any]] = {
    "size": {"callback": size},
    "rate": {"callback": rate},
    "stall": {"type": POSITIVE},
    "max_pixels": {"type": click.IntRange(min=1)},
}
"""What :func:`.options_of` needs for :class:`edgecae.media.sources.SourceSettings`, by field."""


def _instead_of_pillows(context: click.Context, parameter: click.Parameter, value: int) -> int:  # noqa: ARG001
    """Lift Pillow's own limit, which belongs to the process, while a command has one of its own."""
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    context.call_on_close(lambda: setattr(Image, "MAX_IMAGE_PIXELS", before))
    return value


max_pixels = option_of(
    SourceSettings, "max_pixels", **CAMERA["max_pixels"], callback=_instead_of_pillows
)
"""For commands that read nothing but pictures or files."""

ENCODING: dict[str, dict[str, Any]] = {
    "crf": {"type": click.FloatRange(min=0)},
    "bitrate": {"callback": _parsed_by(parse_bits)},
}
"""Likewise for :class:`edgecae.media.sinks.base.Encoding`."""

DENOISER: dict[str, dict[str, Any]] = {
    "model": {"shell_complete": complete_model},
    "backend": {"type": click.Choice(["auto", *BACKENDS])},
    "strength": {"type": Strength()},
}
"""Likewise for the fields that a denoiser is made of."""
