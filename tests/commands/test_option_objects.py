"""Options of a command that come from a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field

import click
import pytest
from click.testing import CliRunner

from edgecae.bench.options import BenchOptions
from edgecae.commands.option_objects import options_of
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


def test_the_call_that_the_command_makes_refuses_what_the_command_does() -> None:
    assert BenchOptions().peer_names == []
    named = BenchOptions(peers=True, without=("cbm3d",)).peer_names
    assert "bilateral" in named
    assert "cbm3d" not in named
    with pytest.raises(SettingError, match="no peer is called 'cbmm3d'; there are bilateral"):
        BenchOptions(without=("cbmm3d",))
