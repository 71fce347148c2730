"""All that one run of ``edgecae bench`` found, and its JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecae.bench.conditions import Conditions
from edgecae.bench.latency import Latency
from edgecae.bench.quality import OverTime, Quality
from edgecae.bench.roofline import Roofline, Step
from edgecae.errors import SettingError

__all__ = ["FORMAT", "Results", "read_results", "results_from_dict"]

FORMAT = 1


@dataclass(frozen=True)
class Results:
    """All that one run found.

    Attributes:
        conditions: what the figures depend on.
        macs_per_pixel: multiply-accumulates of the models, by method.
        latency: one a case.
        quality: one a set, σ and method.
        roofline: one a model.
        failed: what could not be measured, and why.
    """

    conditions: Conditions
    macs_per_pixel: Mapping[str, float] = dataclasses.field(default_factory=dict)
    latency: tuple[Latency, ...] = ()
    quality: tuple[Quality, ...] = ()
    roofline: tuple[Roofline, ...] = ()
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes and ``format``, for JSON."""
        return {
            "format": FORMAT,
            "conditions": dataclasses.asdict(self.conditions),
            "macs_per_pixel": dict(self.macs_per_pixel),
            "latency": [each.to_dict() for each in self.latency],
            "quality": [each.to_dict() for each in self.quality],
            "roofline": [each.to_dict() for each in self.roofline],
            "failed": dict(self.failed),
        }


def results_from_dict(values: Mapping[str, Any]) -> Results:
    """Read what :meth:`Results.to_dict` made.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']!r}, this edgecae reads {FORMAT}")
    return Results(
        conditions=_made(Conditions, values["conditions"]),
        macs_per_pixel=dict(values["macs_per_pixel"]),
        latency=tuple(_made(Latency, each) for each in values["latency"]),
        quality=tuple(_quality(each) for each in values["quality"]),
        roofline=tuple(
            _made(Roofline, {**each, "steps": [_made(Step, step) for step in each["steps"]]})
            for each in values["roofline"]
        ),
        failed=dict(values["failed"]),
    )


def _quality(values: Mapping[str, Any]) -> Quality:
    """A row; those of an earlier edgecae say nothing about time."""
    over_time = values.get("over_time")
    made = None if over_time is None else _made(OverTime, over_time)
    row: Quality = _made(Quality, {**values, "over_time": made})
    return row


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """A dataclass from its fields; what was computed from them is left out, lists are tuples."""
    names = [each.name for each in dataclasses.fields(kind)]
    given = {name: values[name] for name in names}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


def read_results(path: Path) -> Results:
    """Read a file that ``edgecae bench --json`` made.

    Raises:
        SettingError: it is missing, or no such file.
    """
    try:
        return results_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingError(
            f"{path} is nothing that edgecae bench --json made: {type(error).__name__}: {error}"
        ) from error
