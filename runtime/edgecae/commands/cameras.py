"""``--config FILE``: several cameras, for the commands that take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecae.commands import credentials, hidden, process, progress, terminal
from edgecae.device import allocator
from edgecae.errors import SettingError
from edgecae.redact import secrets_in
from edgecae.stream import HungError, stop_on_signals

if TYPE_CHECKING:
    from edgecae.stream.cameras.settings import Cameras
    from edgecae.stream.cameras.supervisor import Supervisor

__all__ = ["option", "read", "stream"]

option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Several cameras, as TOML: a table [cameras.NAME] for each.",
)


def read(path: Path) -> Cameras:
    """Read a file of cameras; ``@FILE`` in it stands for the first line of another file.

    Raises:
        SettingError: msgspec is not installed, or the file is not as it should be.
    """
    try:
        from edgecae.stream.cameras import settings
    except ModuleNotFoundError as error:
        raise SettingError(
            f"a file of cameras needs {error.name}: pip install 'edgecae[cameras]'"
        ) from error
    return settings.read(path, _expanded)


def _expanded(text: str) -> str:
    found = credentials.expanded(text)
    hidden.hide(*secrets_in(found))
    return found


def stream(path: Path, token: str | None, as_json: bool) -> int:
    """Stream the cameras of a file until they end, or a signal comes; SIGHUP reads it anew.

    Args:
        path: of the file.
        token: that opens the view where its address has none.
        as_json: print the figures of each camera, a line a second.

    Returns:
        The exit status.

    Raises:
        click.UsageError: the file is not as it should be: to try again mends nothing.
        EdgecaeError: as the supervisor raises it.
    """
    try:
        file = read(path)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    from edgecae.stream.cameras.supervisor import Supervisor

    allocator.use_one_arena()
    asked = False  # for the file to be read anew

    def ask() -> None:
        nonlocal asked
        asked = True

    def changes() -> Cameras | None:
        nonlocal asked
        if not asked:
            return None
        asked = False
        return read(path)

    supervisor = Supervisor(file, token, terminal.echo_line, process.hooks(), as_json)
    print_json = progress.each_second(_print_figures)

    def report() -> None:
        show(supervisor.summary)
        if as_json:
            print_json(supervisor)

    try:
        with stop_on_signals(ask) as stop, progress.line() as show:
            supervisor.run(stop, report, changes)
    except HungError as error:
        process.end_hung(str(error))
    if as_json:
        _print_figures(supervisor, end=True)
    terminal.echo(supervisor.summary(), err=True)
    status = progress.exit_status(stop)
    if supervisor.left_behind:
        process.leave(status)
    return status


def _print_figures(supervisor: Supervisor, end: bool = False) -> None:
    for figures in supervisor.snapshots().values():
        print(json.dumps({**figures, "end": True} if end else figures), flush=True)
