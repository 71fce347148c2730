"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgecae import models
from edgecae.runtime.backend import BACKENDS
from edgecae.runtime.sinks.base import DEFAULT_CODEC

__all__ = ["Strength", "codec", "denoiser", "overwrite"]


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


def denoiser(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--model``, ``--threads``, ``--backend`` and ``--strength``."""
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
            "--threads",
            type=click.IntRange(1, 64),
            default=2,
            show_default=True,
            help="Threads of the interpreter.",
        ),
        click.option(
            "--model",
            default=models.DEFAULT,
            show_default=True,
            metavar="NAME|FILE",
            help="Shipped model, or a file that edgecae convert --int8 made.",
        ),
    ):
        command = option(command)
    return command
