"""A skip that nobody expects fails the run, in one process and under pytest-xdist."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

FILES = {
    "test_inside.py": "import pytest\ndef test_one(): pytest.skip({reason!r})",
    "test_marked.py": "import pytest\n@pytest.mark.skip(reason={reason!r})\ndef test_one(): pass",
    "test_module.py": "import pytest\npytest.skip({reason!r}, allow_module_level=True)",
}


def outcome(folder: Path, workers: int) -> tuple[int, str]:
    """Exit status and output of the tests in a folder under the rules of this project's."""
    rules = (ROOT / "tests" / "conftest.py").read_text()
    (folder / "conftest.py").write_text(f"{rules}\nEXPECTED_SKIPS['foreseen'] = True\n")
    (folder / "test_passes.py").write_text("def test_one(): pass")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder),
         "-p", "no:cacheprovider", "-n", str(workers), str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_unexpected_skip_fails_the_run(workers: int, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.format(reason="no idea"))
    status, said = outcome(tmp_path, workers)
    assert status == 1, said
    named = [line for line in said.splitlines() if line.startswith("unexpected skip: ")]
    assert sorted(line.split()[2].split(":")[0] for line in named) == sorted(FILES), said
    assert all("no idea" in line for line in named)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_expected_skip_does_not(workers: int, tmp_path: Path) -> None:
    for name in ("test_inside.py", "test_marked.py"):
        (tmp_path / name).write_text(FILES[name].format(reason="foreseen"))
    status, said = outcome(tmp_path, workers)
    assert status == 0, said
    assert "2 skipped" in said
