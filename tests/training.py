"""A recipe for small, real trainings."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "validate_every": 10,
    "float.steps": 30,
    "float.batch": 4,
    "float.patch": 32,
    "float.warmup": 5,
    "float.average": 0.9,
    "qat.steps": 10,
    "qat.batch": 4,
    "qat.patch": 32,
    "qat.warmup": 2,
}
"""A recipe of seconds."""
