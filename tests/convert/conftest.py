"""Trainings and conversions of these tests calibrate on few batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from training import few_batches


@pytest.fixture(autouse=True)
def quick_calibration(request: pytest.FixtureRequest) -> Iterator[None]:
    """In slow tests alone: others import no TensorFlow, and so train and convert nothing."""
    if request.node.get_closest_marker("slow"):
        with few_batches():
            yield
    else:
        yield
