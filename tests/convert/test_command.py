"""The command line of ``edgecae convert``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgecae.convert.command import command
from edgecae.errors import SinkError
from edgecae.runtime import model_file


def test_everything_that_it_writes(run: Path, tmp_path: Path) -> None:
    model, page, header = (tmp_path / f"made.{suffix}" for suffix in ("tflite", "html", "h"))
    options = ["--int8", "--size", "96x64", "--max-drop", "100", "-o", model]
    given = [run, *options, "--report", page, "--c-array", header]
    done = CliRunner().invoke(command, [str(each) for each in given], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.split()[-3:] == [str(model), str(page), str(header)]
    assert model_file.read(model).frame_size == (64, 96)
    assert "frames of 96x64 alone" in page.read_text().replace("Can", "can")
    assert "#define MADE_WIDTH 96" in header.read_text()
    assert set(tmp_path.iterdir()) == {model, page, header}


@pytest.mark.parametrize("what", ["--report", "--c-array", "--output"])
def test_nothing_is_replaced(run: Path, tmp_path: Path, what: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    given = [str(run), "--float32", "-o", str(tmp_path / "model.tflite"), what, str(precious)]
    with pytest.raises(SinkError, match="--overwrite"):
        CliRunner().invoke(command, given, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == [precious]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "give --int8"),
        (["--float32", "--ptq"], "--ptq goes with --int8"),
        (["--int8", "--size", "640"], "no WIDTHxHEIGHT"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, options: list[str], complaint: str
) -> None:
    done = CliRunner().invoke(command, [str(tmp_path), *options])
    assert done.exit_code == 2
    assert complaint in done.output
