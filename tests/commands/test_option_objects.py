"""Options of a command that come from a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field

import click
import pytest
from click.testing import CliRunner

from edgecae.bench.options import BenchOptions
from edgecae.commands.option_objects import option_of, options_of
from edgecae.errors import SettingError


@dataclass(frozen=True)
class WorkOptions:
    number: int = field(default=3, metadata={"type": click.IntRange(1), "help": "How many."})
    names: tuple[str, ...] = field(default=(), metadata={"flag": "--name", "help": "Of what."})
    be_quick: bool = field(default=False, metadata={"help": "Hurry."})
    folder: str | None = field(default=None, metadata={"help": "Where."})
    inner: str = "no option"


@click.command()
@options_of(WorkOptions, folder={"metavar": "FOLDER"})
@click.argument("other")
def work(work_options: WorkOptions, other: str) -> None:
    click.echo(f"{work_options} {other}")


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(work, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_defaults_are_those_of_the_dataclass() -> None:
    assert invoke("x").strip() == f"{WorkOptions()} x"


def test_each_field_is_an_option() -> None:
    said = invoke(
        "--number", "5", "--name", "a", "--name", "b", "--be-quick", "--folder", "there", "x"
    )
    assert said.strip() == f"{WorkOptions(5, ('a', 'b'), True, 'there')} x"


def test_help_shows_flags_types_and_defaults_in_order() -> None:
    shown = " ".join(invoke("--help").split())
    places = [
        shown.index(text)
        for text in (
            "--number INTEGER RANGE How many. [default: 3; x>=1]",
            "--name TEXT Of what.",
            "--be-quick Hurry.",
            "--folder FOLDER Where.",
        )
    ]
    assert places == sorted(places)
    assert "inner" not in shown
    assert shown.count("default") == 1


def test_a_type_in_the_metadata_is_checked() -> None:
    done = CliRunner().invoke(work, ["--number", "0", "x"])
    assert done.exit_code == 2
    assert "x>=1" in done.output


@dataclass(frozen=True)
class OuterOptions:
    what: str = field(metadata={"help": "Of all."})
    work: WorkOptions = field(default_factory=WorkOptions)
    last: int = field(default=7, metadata={"help": "At the end."})


@dataclass(frozen=True)
class AloneOptions:
    other: int = field(default=1, metadata={"help": "No option of the command."})
    alone: int = field(default=2, metadata={"help": "One field alone."})


@click.command()
@options_of(OuterOptions, number={"type": click.IntRange(5)})
@option_of(AloneOptions, "alone", metavar="F")
def outer(outer_options: OuterOptions, alone: int) -> None:
    click.echo(f"{outer_options} {alone}")


def test_an_inner_dataclass_has_its_options_in_its_place() -> None:
    given = ["--what", "x", "--number", "6", "--last", "8"]
    done = CliRunner().invoke(outer, given)
    assert done.output.strip() == f"{OuterOptions('x', WorkOptions(6), 8)} 2"
    shown = CliRunner().invoke(outer, ["--help"]).output
    assert "--alone F" in shown
    assert "--other" not in shown
    places = [shown.index(flag) for flag in ("--what", "--number", "--name", "--last")]
    assert places == sorted(places)
    assert "x>=5" in CliRunner().invoke(outer, ["--what", "x", "--number", "4"]).output


def test_a_field_without_a_default_is_required() -> None:
    done = CliRunner().invoke(outer, [])
    assert done.exit_code == 2
    assert "Missing option '--what'" in done.output


def test_the_call_that_the_command_makes_refuses_what_the_command_does() -> None:
    assert BenchOptions().peer_names == []
    named = BenchOptions(peers=True, without=("cbm3d",)).peer_names
    assert "bilateral" in named
    assert "cbm3d" not in named
    with pytest.raises(SettingError, match="no peer is called 'cbmm3d'; there are bilateral"):
        BenchOptions(without=("cbmm3d",))


def test_a_command_that_has_no_place_for_the_object_is_an_error_at_once() -> None:
    """Whoever renames a dataclass hears of it on import, not from the user of a command."""
    with pytest.raises(TypeError, match="misnamed lacks the parameter work_options"):

        @options_of(WorkOptions)
        def misnamed(options: WorkOptions) -> None: ...
