"""The Python of the documentation is typed, as the installed wheel sees it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import installed
import pytest
from conftest import ROOT, Once

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GIVEN = "import numpy as np\nframe = np.zeros((48, 64, 3), np.uint8)\n"
"""What examples take for granted."""


@pytest.fixture(scope="module")
def python(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel and all its dependencies, where mypy looks for packages."""
    (wheel,) = once("wheel", installed.build).glob("*.whl")
    folder = tmp_path_factory.mktemp("typed") / "environment"
    installed.add_all_dependencies(installed.environment(folder, wheel))
    return folder / "bin" / "python"


def mypy(python: Path, folder: Path) -> str:
    """What strict mypy complains of in a folder; nothing where all is well."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary",
         "--python-executable", str(python), "--cache-dir", str(folder / "cache"), "."],
        cwd=folder, env=installed.clean_environment(),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.stdout + done.stderr


def programs(page: Path) -> str:
    """The Python of a page, one example after the other, as one program."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def test_examples_are_typed(python: Path, tmp_path: Path) -> None:
    """All pages in one call: mypy reads the packages once."""
    for page in PAGES:
        if program := programs(page):
            (tmp_path / f"{page.stem.lower()}.py").write_text(GIVEN + program)
    assert (tmp_path / "readme.py").exists()
    assert (tmp_path / "python.py").exists()
    assert mypy(python, tmp_path) == ""


def test_what_is_not_typed_is_told(python: Path, tmp_path: Path) -> None:
    """Types come from the wheel: were a package not ``py.typed``, nothing would be known of it."""
    (tmp_path / "wrong.py").write_text(
        "from edgecae import Denoiser\n"
        "from edgecae_train import recipe\n"
        "from edgecae_convert import convert\n"
        "Denoiser(threads='two')\n"
        "recipe.read(1)\n"
        "convert(2)\n"
    )
    said = mypy(python, tmp_path)
    assert [line.split(":")[1] for line in said.splitlines()] == ["4", "5", "6"], said
