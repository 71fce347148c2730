"""What the benchmarks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecae import models
from edgecae.bench import quality
from edgecae_train.data import synthetic

TESTS = Path(__file__).parent.parent / "tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What a user chooses."""
    group = parser.getgroup("edgecae")
    group.addoption("--model", action="append", help="shipped name; all of them if left out")
    group.addoption(
        "--quality", action="append", type=Path, help="folder of clean pictures, or a clip"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each of the models that were chosen, for what has a ``name``."""
    if "name" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--model") or models.names()
        metafunc.parametrize("name", chosen, scope="module")


@pytest.fixture(scope="session")
def vga() -> NDArray[np.uint8]:
    """A frame of 480×640, uint8, RGB."""
    return np.ascontiguousarray(synthetic.generate(0, 0, size=640)[:480])


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> list[NDArray[np.uint8]]:
    """Those of ``--quality``, or small real ones."""
    folders = request.config.getoption("--quality")
    if folders:
        sets = [quality.read_set(folder) for folder in folders]
        return [frame for each in sets for group in each.groups for frame in group]
    return [np.array(Image.open(p).convert("RGB")) for p in sorted(TESTS.glob("data/*.png"))]
