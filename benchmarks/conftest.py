"""What the benchmarks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgecae.train import synthetic

TESTS = Path(__file__).parent.parent / "tests"


@pytest.fixture(scope="session")
def vga() -> NDArray[np.uint8]:
    """A frame of 480×640, uint8, RGB."""
    return np.ascontiguousarray(synthetic.generate(0, 0, size=640)[:480])


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """Small real pictures."""
    return [np.array(Image.open(p).convert("RGB")) for p in sorted(TESTS.glob("data/*.png"))]
