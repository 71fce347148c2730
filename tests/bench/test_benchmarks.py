"""The files in benchmarks/ run, and take the models and folders that they are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, ROOT


@pytest.mark.slow
def test_they_run_and_tell_what_a_size_costs(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    # pytest-benchmark measures nothing inside a worker of pytest-xdist.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")}
    chosen = "(test_sizes and 320x240) or test_shipped"
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", ROOT / "benchmarks", "--model", "nano",
            "--quality", DATA, "-k", chosen, f"--benchmark-json={results}",
        ],
        capture_output=True, text=True, timeout=600, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = {each["name"]: each for each in json.loads(results.read_text())["benchmarks"]}
    sized = found["test_sizes[nano-320x240]"]["extra_info"]
    assert 0 < sized["p95_ms"] <= sized["p99_ms"]
    assert sized["peak_bytes"] > 2**24
    assert found["test_shipped[nano]"]["extra_info"]["gain_db"] > 5
