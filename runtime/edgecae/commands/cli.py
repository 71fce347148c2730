"""The command line: a group whose commands are imported only when they are called."""

from __future__ import annotations

import contextlib
import importlib
import logging
import signal
import sys
from types import FrameType

import click
from click.shell_completion import CompletionItem

from edgecae import native
from edgecae.commands import hidden, logs, standard_streams, stderr
from edgecae.errors import EdgecaeError, shortage

__all__ = ["COMMANDS", "cli", "main"]

log = logging.getLogger(__name__)

COMMANDS = {
    "train": ("edgecae_train.command:command", "train", "Train a network: float, then QAT."),
    "convert": ("edgecae_convert.command:command", "train", "Convert a run to a TFLite file."),
    "fit": (
        "edgecae_convert.fit.command:command",
        "train",
        "Fit a shipped model to your own camera.",
    ),
    "denoise": (
        "edgecae.commands.denoise:command",
        None,
        "Denoise images, folders and videos.",
    ),
    "compress": (
        "edgecae.commands.compress:command",
        None,
        "Compress a picture into the latent of an autoencoder.",
    ),
    "decompress": (
        "edgecae.commands.decompress:command",
        None,
        "Make a picture of what edgecae compress made.",
    ),
    "stream": (
        "edgecae.commands.stream:command",
        None,
        "Denoise frames on their way from a source to sinks.",
    ),
    "models": (
        "edgecae.commands.models:command",
        None,
        "List the shipped models, or show one's card.",
    ),
    "inspect": (
        "edgecae.commands.inspect:command",
        None,
        "Look into a model file: what it holds, costs and takes.",
    ),
    "bench": (
        "edgecae.commands.bench:command",
        None,
        "Measure speed and quality, beside what else one could run.",
    ),
    "noise": (
        "edgecae.commands.noise:command",
        None,
        "Measure a camera's noise, to train for it.",
    ),
    "doctor": (
        "edgecae.commands.doctor:command",
        None,
        "Say what this machine lacks, and which model it can run how fast.",
    ),
}
"""``module:attribute``, the extra that it needs, and a line of help, by name."""

FAILED, INTERRUPTED = 1, 130


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            click.ClickException: what it needs is not installed; nobody is told while a shell
                completes a line.
        """
        if cmd_name not in COMMANDS:
            return None
        target, extra, _ = COMMANDS[cmd_name]
        module, _, attribute = target.partition(":")
        if extra == "train":
            logs.prepare_tensorflow()
        try:
            # Not quiet unless it must be: numpy's BLAS ends the process where memory lacks, and
            # what it says then shall be seen.
            with native.quiet() if extra == "train" else contextlib.nullcontext():
                command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if ctx.resilient_parsing:
                return None
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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin so, without importing any command."""
        commands = [
            CompletionItem(name, help=help_)
            for name, (_, _, help_) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="Say more; twice: with tracebacks.")
@click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default="text",
    show_default=True,
    help="Of standard error; json: one object a line.",
)
@click.version_option(package_name="edgecae", message="edgecae %(version)s")
@click.pass_context
def cli(context: click.Context, verbose: int, log_format: str) -> None:
    """Denoise images and video with small int8 autoencoders; train and convert them."""
    context.with_resource(logs.set_up(verbose, log_format))


class TerminatedError(BaseException):
    """A signal asked the process to end: what is open is closed on the way, as after Ctrl-C."""


def _end_on_signals() -> None:
    """Leave nothing half done at SIGTERM, and at SIGHUP unless it is ignored (``nohup``).

    Streams and batches have handlers of their own meanwhile, see
    :func:`edgecae.stream.stop_on_signals`.
    """

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in numbers:  # a terminal that is closed says so twice
            signal.signal(each, signal.SIG_IGN)
        raise TerminatedError(signal.Signals(number).name)

    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
    numbers = {signal.SIGTERM, hangup}
    for each in numbers:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, end)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 70 hung, 130 interrupted."""
    standard_streams.open_missing()
    hidden.hide_arguments(sys.argv[1:])
    sys.stdout = stdout = standard_streams.Stdout(sys.stdout)
    logs.set_up().__enter__()
    native.install(stderr.silenced)
    _end_on_signals()
    status = _run(stdout)
    stdout.finish()
    if stdout.failure is not None:
        log.error("standard output can't be written: %s", stdout.failure.strerror)
        status = status or FAILED
    sys.exit(status)


def _run(stdout: standard_streams.Stdout) -> int:
    """Run the command line, say in a line what is wrong, and return the exit status."""
    try:
        status = cli.main(prog_name="edgecae", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except click.ClickException as error:
        usage = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" (see {usage.command_path} --help)" if usage else ""
        log.error("%s%s", error.format_message(), hint)
        return error.exit_code
    except EdgecaeError as error:
        message = str(error).replace("\n", " ")
        log.error("%s", message, exc_info=log.isEnabledFor(logging.DEBUG))
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        log.error("interrupted")
        return INTERRUPTED
    except TerminatedError as error:
        log.error("ended by %s", error)
        return FAILED
    except Exception as error:
        details = log.isEnabledFor(logging.DEBUG)
        if error is stdout.failure:
            log.debug("standard output", exc_info=error)  # main says the rest
        elif lacking := shortage(error):
            log.error("%s", lacking, exc_info=details)
        else:
            log.critical("unexpected %s: %s", type(error).__name__, error, exc_info=True)
        return FAILED
