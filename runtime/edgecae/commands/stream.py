"""``edgecae stream``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from click.core import ParameterSource

from edgecae import stream
from edgecae.commands import cameras, credentials, options, process, progress, terminal
from edgecae.commands.option_objects import options_of
from edgecae.device import allocator
from edgecae.errors import SourceError
from edgecae.media import sinks
from edgecae.redact import redacted
from edgecae.stream.control import StreamControl
from edgecae.stream.session import Session

__all__ = ["command"]


def _print_figures(control: StreamControl) -> None:
    print(json.dumps(control.snapshot()), flush=True)


def _status(control: StreamControl) -> str:
    return ("" if control.offline_seconds is None else "offline · ") + control.stats.summary()


def _only_one(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str:
    """The value of an option that may be given once; nothing, where it was not given."""
    if len(values) > 1:
        raise click.BadParameter(
            f"a stream has one source, not {len(values)}; --config FILE takes several cameras",
            context,
            parameter,
        )
    return values[0] if values else ""


_WITH_CONFIG = {"config", "token_file", "as_json"}
"""Options beside a file of cameras; all others are settings of the file."""


def _check_options(context: click.Context) -> None:
    """Refuse options that exclude each other, or the lack of some.

    Raises:
        click.UsageError: as it says.
    """
    given = [
        option
        for option in context.command.params
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    ]
    if context.params["config"] is None:
        for name in ("source", "sinks"):
            option = next(each for each in context.command.params if each.name == name)
            if option not in given:
                raise click.MissingParameter(None, context, option)
        return
    wrong = [option.opts[0] for option in given if option.name not in _WITH_CONFIG]
    if wrong:
        raise click.UsageError(f"with --config, {', '.join(wrong)} stands in the file", context)


@click.command()
@options_of(
    Session,
    source={
        "shell_complete": options.complete_path,
        "multiple": True,
        "required": False,
        "callback": _only_one,
    },
    sinks={"shell_complete": options.complete_path, "required": False},
    threads={"type": options.ThreadsOrAuto()},
    max_latency={"type": options.POSITIVE},
    segment={"type": click.FloatRange(min=1)},
    hang={"type": options.POSITIVE},
    **options.DENOISER,
    **options.CAMERA,
    **options.ENCODING,
)
@cameras.option
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Its first line is the token of a view that has none. Else EDGECAE_TOKEN of the "
    "environment is, or systemd's credential token.",
)
@options.overwrite
@click.option("--no-audio", is_flag=True, help="Leave the sound of a network stream out.")
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON, a line a second.")
@click.pass_context
def command(
    context: click.Context,
    session: Session,
    config: Path | None,
    token_file: Path | None,
    overwrite: bool,
    no_audio: bool,
    as_json: bool,
) -> None:
    """Denoise the frames of a source and hand them to sinks.

    A file loses no frame. A camera or a network stream gives its newest frame, and is opened again
    when it goes away. SIGINT, SIGTERM and SIGHUP end the stream after the frame at hand, with every
    file finished. @FILE stands for a source or a sink that the first line of a file describes.

    --config FILE streams several cameras in one process. SIGHUP reads the file anew; what did not
    change in it goes on.
    """
    _check_options(context)
    if config is not None:
        context.exit(cameras.stream(config, credentials.view_token(token_file), as_json))
    session = dataclasses.replace(
        session,
        source=credentials.expanded(session.source),
        sinks=[credentials.expanded(spec) for spec in session.sinks],
        token=credentials.view_token(token_file),
    )
    piped = [spec for spec in session.sinks if sinks.pipe.is_pipe(spec)]
    if len(piped) + as_json > 1:
        raise click.UsageError("standard output is for one thing: one pipe, or --json")
    if session.max_latency is not None and session.threads is not None:
        raise click.UsageError("--max-latency needs --threads auto, which chooses by it")

    allocator.use_one_arena()
    encoding = dataclasses.replace(session.encoding, audio=not no_audio)
    session = dataclasses.replace(
        session, overwrite=overwrite, measure_noise=as_json, encoding=encoding
    )
    with stream.stop_on_signals() as stop, progress.line() as show:
        print_json = progress.each_second(_print_figures)

        def report(control: StreamControl) -> None:
            show(lambda: _status(control))
            if as_json:
                print_json(control)

        control = session.run(stop, terminal.echo_line, report, process.hooks())
    stats = control.stats
    if as_json:
        print(json.dumps({**control.snapshot(), **stats.figures(), "end": True}), flush=True)
    if not stats.frames and not stop.requested:
        raise SourceError(f"{redacted(session.source)} holds no frame that can be decoded")
    terminal.echo(stats.summary(), err=True)
    if stats.stuck:
        process.leave(progress.exit_status(stop))
    context.exit(progress.exit_status(stop))
