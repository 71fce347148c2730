"""The command line: a group whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import sys
import traceback

import click

from edgecae.errors import EdgecaeError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "train": ("edgecae.train.command:command", "train", "Train a network: float, then QAT."),
    "convert": ("edgecae.convert.command:command", "train", "Convert a run to a TFLite file."),
    "denoise": (
        "edgecae.runtime.commands.denoise:command",
        None,
        "Denoise images, folders and videos.",
    ),
    "stream": (
        "edgecae.runtime.commands.stream:command",
        None,
        "Denoise frames on their way from a source to sinks.",
    ),
    "models": (
        "edgecae.runtime.commands.models:command",
        None,
        "List the shipped models, or show one's card.",
    ),
}
"""``module:attribute``, the extra that it needs, and a line of help, by name."""

FAILED, INTERRUPTED = 1, 130


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command.

        Raises:
            click.ClickException: what it needs is not installed.
        """
        if cmd_name not in COMMANDS:
            return None
        target, extra, _ = COMMANDS[cmd_name]
        module, _, attribute = target.partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if extra is None:
                raise
            raise click.ClickException(
                f"edgecae {cmd_name} needs {error.name}: pip install 'edgecae[{extra}]'"
            ) from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, _, help_) in COMMANDS.items()])


def _set_up_logging(verbosity: int) -> None:
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    log = logging.getLogger("edgecae")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(level)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="Say more; twice: with tracebacks.")
@click.version_option(importlib.metadata.version("edgecae"), message="edgecae %(version)s")
def cli(verbose: int) -> None:
    """Denoise images and video with small int8 autoencoders; train and convert them."""
    _set_up_logging(verbose)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 130 interrupted."""
    try:
        status = cli.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"edgecae: {error.format_message()}{hint}", err=True)
        sys.exit(error.exit_code)
    except EdgecaeError as error:
        if logging.getLogger("edgecae").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        click.echo(f"edgecae: {error}".replace("\n", " "), err=True)
        sys.exit(FAILED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("edgecae: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
