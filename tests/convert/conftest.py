"""Trainings and conversions of these tests calibrate on few batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from training import few_batches


@pytest.fixture(scope="package", autouse=True)
def quick_calibration() -> Iterator[None]:
    with few_batches():
        yield
