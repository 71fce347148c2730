"""A file of a fixed size in TFLite Micro's interpreter."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from edgecae_convert.conversion import convert

pytestmark = pytest.mark.slow

LARGEST = 4
"""Levels of 255 that two interpreters may be apart, as two CPUs; see tests/arm/compare.py."""


def test_micro_gives_what_litert_gives(run: Path, tmp_path: Path) -> None:
    if not importlib.util.find_spec("tflite_micro"):
        pytest.skip("tflite-micro is not installed")
    path = convert(run, tmp_path / "model.tflite", size=(96, 64), max_drop=100.0).model.path
    # In a process of its own: TFLite Micro may end one.
    command = [sys.executable, ROOT / "benchmarks" / "micro.py", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    row = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("| ").split("|")]
    name, size, _, arena, largest, _, equal = row
    assert (name, size) == (run.name, "96x64")
    assert 64 * 96 * 3 < int(arena.replace(",", "")) < 2**20
    assert int(largest) <= LARGEST
    assert float(equal.rstrip("%")) > 80
