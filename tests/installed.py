"""The wheel in environments of its own, where nothing of the checkout can be imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

from conftest import ROOT

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))


def build(folder: Path) -> None:
    """Build the wheel of the checkout into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)


def environment(folder: Path, wheel: Path) -> Path:
    """Make a virtual environment with the wheel and nothing else; return its ``site-packages``."""
    venv.create(folder, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        env=clean_environment(), check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (site_packages,) = folder.glob("lib/python*/site-packages")
    return site_packages


def clean_environment() -> dict[str, str]:
    """The variables of this process but those by which the checkout could be found."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def add_base_dependencies(site_packages: Path) -> None:
    """Link what ``pip install edgecae`` brings without an extra, from this environment.

    A test can't download; what is linked is what the packages declare, and nothing else.
    """
    names, linked = ["edgecae"], set()
    while names:
        name = names.pop()
        for requirement in metadata.requires(name) or ():
            required = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            if ";" not in requirement and required not in linked:
                linked.add(required)
                names.append(required)
    tops = {
        Path(file).parts[0]
        for name in linked
        for file in metadata.files(name) or ()
        if not str(file).startswith((".", "/")) and "__pycache__" not in Path(file).parts[0]
    }
    for top in tops:
        target = site_packages / top
        if not target.exists():
            target.symlink_to(SITE_PACKAGES / top)


def add_all_dependencies(site_packages: Path) -> None:
    """Add all packages of this environment but its editable install of the checkout."""
    (site_packages / "all.pth").write_text(f"{SITE_PACKAGES}\n")
