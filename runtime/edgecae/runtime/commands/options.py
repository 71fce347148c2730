"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from edgecae import models
from edgecae.runtime.backend import BACKENDS
from edgecae.runtime.sinks.base import DEFAULT_CODEC

__all__ = ["codec", "complete_model", "complete_path", "denoiser", "overwrite"]


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
            type=click.FloatRange(0, 1),
            default=1.0,
            show_default=True,
            help="Share of the denoised picture in the result; the rest is the noisy one.",
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
            shell_complete=complete_model,
            help="Shipped model, or a file that edgecae convert --int8 made.",
        ),
    ):
        command = option(command)
    return command
