"""The command line of ``edgecae convert``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
from click.testing import CliRunner

from edgecae.errors import QualityError, SinkError
from edgecae.tflite import model_file
from edgecae_convert.command import command

pytestmark = pytest.mark.slow


class Called(Exception):  # noqa: N818 - no error: it ends the command where its work begins
    """Stands in for the conversion."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--int8"], {"precision": "int8", "ptq": False, "split": False, "trust": False}),
        (["--int8", "--ptq", "--calibrate", "photos"], {"ptq": True, "calibrate": "photos"}),
        (["--int16x8"], {"precision": "int16x8"}),
        (["--float16"], {"precision": "float16"}),
        (["--float32"], {"precision": "float32"}),
        (["--int8", "--architecture", "nano"], {"architecture": "nano"}),
        (["--int8", "--noise", "gaussian:25"], {"noise": "gaussian:25"}),
        (["--int8", "--trust-code"], {"trust": True}),
        (["--int8", "--split", "--overwrite"], {"split": True, "overwrite": True}),
        (["--int8", "--size", "96x64", "--max-drop", "0.2"], {"size": (96, 64), "max_drop": 0.2}),
        (["--int8", "--max-low-drop", "0.7"], {"max_low_drop": 0.7}),
        (["--int8", "--range", "-1:1"], {"value_range": (-1, 1)}),
        (["--int8", "--signature", "serve:clean"], {"signature": "serve:clean"}),
        (["--int8", "-o", "a.tflite"], {"output": Path("a.tflite")}),
    ],
)
def test_every_option_reaches_the_conversion(
    options: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def convert(path: Path, output: Path | None, **settings: Any) -> None:
        seen.update(settings, path=path, output=output)
        raise Called

    monkeypatch.setattr("edgecae_convert.command.convert", convert)
    with pytest.raises(Called):
        CliRunner().invoke(command, ["run", *options], catch_exceptions=False)
    assert seen["path"] == Path("run")
    assert {name: seen[name] for name in expected} == expected


def test_a_gate_that_does_not_open_leaves_nothing(some_run: Path, tmp_path: Path) -> None:
    """Ranges that clip everything stand for a QAT that went wrong."""
    spoilt = tmp_path / some_run.name
    shutil.copytree(some_run, spoilt)
    with h5py.File(spoilt / "qat.weights.h5", "r+") as file:
        for layer in file.values():
            if "output_max" in layer:
                layer["output_max"][()] = 1e-2
    before = set(tmp_path.rglob("*"))
    made = [str(tmp_path / f"made.{suffix}") for suffix in ("tflite", "html", "h")]
    options = ["--int8", "-o", made[0], "--report", made[1], "--c-array", made[2]]
    with pytest.raises(QualityError):
        CliRunner().invoke(command, [str(spoilt), *options], catch_exceptions=False)
    assert set(tmp_path.rglob("*")) == before


def test_everything_that_it_writes(some_run: Path, tmp_path: Path) -> None:
    model, page, header = (tmp_path / f"made.{suffix}" for suffix in ("tflite", "html", "h"))
    options = ["--int8", "--size", "96x64", "--max-drop", "100", "-o", model]
    given = [some_run, *options, "--report", page, "--c-array", header]
    done = CliRunner().invoke(command, [str(each) for each in given], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.split()[-3:] == [str(model), str(page), str(header)]
    assert model_file.read(model).frame_size == (64, 96)
    assert "frames of 96x64 alone" in page.read_text().replace("Can", "can")
    assert "#define MADE_WIDTH 96" in header.read_text()
    assert set(tmp_path.iterdir()) == {model, page, header}


@pytest.mark.parametrize("what", ["--report", "--c-array", "--output"])
def test_nothing_is_replaced(some_run: Path, tmp_path: Path, what: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    given = [str(some_run), "--float32", "-o", str(tmp_path / "model.tflite"), what, str(precious)]
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
