"""An autoencoder for tests: how it is split, and the command line that takes its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ANY = 100.0
"""A loss that any conversion stays below."""


def edgecae(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgecae", *map(str, arguments)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def split(run: Path, folder: Path, **settings: Any) -> Path:
    """``whole.tflite``, ``encoder.tflite`` and ``decoder.tflite`` in a folder, of a run."""
    from edgecae_convert.conversion import convert

    convert(run, folder / "whole.tflite", split=True, max_drop=ANY, **settings)
    return folder
