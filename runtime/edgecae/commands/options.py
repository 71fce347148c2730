"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import click
from click.shell_completion import CompletionItem

from edgecae import models
from edgecae.media.sinks.base import DEFAULT_CODEC
from edgecae.tflite.interpreter import BACKENDS

__all__ = [
    "Strength",
    "camera",
    "codec",
    "complete_model",
    "complete_path",
    "denoiser",
    "overwrite",
    "size",
    "threads",
    "threads_or_auto",
]


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

codec = click.option(
    "--codec",
    default=DEFAULT_CODEC,
    show_default=True,
    help="Codec of a video, as FFmpeg names it; ffv1 is lossless.",
)


_THREADS = click.IntRange(1, 64)

threads = click.option(
    "--threads",
    type=_THREADS,
    default=2,
    show_default=True,
    help="Threads of the interpreter.",
)


def _threads_or_auto(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    return None if value == "auto" else int(_THREADS(value, param, ctx))


threads_or_auto = click.option(
    "--threads",
    metavar="N|auto",
    callback=_threads_or_auto,
    default="2",
    show_default=True,
    help="Threads of the interpreter; auto: measure, on the first frame's size, what is best on "
    "this device: threads in one interpreter, or several interpreters over successive frames.",
)


def size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Width and height of an option ``WxH``, for its callback."""
    if value is None:
        return None
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise click.BadParameter(f"{value!r} is no WIDTHxHEIGHT", ctx, param)
    return int(width), int(height)


def _rate(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction | None:
    if value is None:
        return None
    try:
        rate = Fraction(value)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise click.BadParameter(f"{value!r} is no number of frames a second", ctx, param)
    return rate


def camera(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--size``, ``--fps``, ``--pixel-format`` and ``--stall``."""
    for option in (
        click.option(
            "--stall",
            type=click.FloatRange(min=0, min_open=True),
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="A camera or a network stream that is silent for so long is opened again.",
        ),
        click.option("--pixel-format", metavar="F", help="Of a camera, as FFmpeg names it."),
        click.option("--fps", metavar="RATE", callback=_rate, help="Frames a second of a camera."),
        click.option(
            "--size", metavar="WxH", callback=size, help="Width and height of a camera's frames."
        ),
    ):
        command = option(command)
    return command


def denoiser(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--model``, ``--backend`` and ``--strength``."""
    for option in (
        click.option(
            "--strength",
            type=Strength(),
            metavar="0…1|auto",
            default=1.0,
            show_default=True,
            help="Share of the denoised picture in the result; the rest is the noisy one. auto: by "
            "the noise of each frame.",
        ),
        click.option(
            "--backend",
            type=click.Choice(["auto", *BACKENDS]),
            default="auto",
            show_default=True,
            help="TFLite interpreter.",
        ),
        click.option(
            "--model",
            default=models.DEFAULT,
            show_default=True,
            metavar="NAME|FILE",
            shell_complete=complete_model,
            help="Shipped model, or a file that edgecae convert --int8 made.",
        ),
    ):
        command = option(command)
    return command
