"""Regressions told from noise."""

from __future__ import annotations

import dataclasses

import pytest

from edgecae.bench import comparison, conditions
from edgecae.bench.latency import Latency
from edgecae.bench.quality import Quality
from edgecae.errors import SettingError


def measured(*rounds: float, made_with: str = "litert 2.3.0") -> Latency:
    middle = sorted(rounds)[len(rounds) // 2]
    return Latency("nano", 640, 480, 1, made_with, 99, middle, middle, middle, rounds, 2, 1)


@pytest.mark.parametrize(
    ("before", "after", "in_turn", "verdict"),
    [
        ((10.0, 10.1, 10.2), (11.0, 11.1, 11.2), False, "slower"),
        ((11.0, 11.1, 11.2), (10.0, 10.1, 10.2), False, "faster"),
        # One round of the old is as slow as the new ones: that proves nothing.
        ((10.0, 10.1, 11.3), (11.0, 11.1, 11.2), False, "same"),
        # Sure, but too little to care for.
        ((10.0, 10.01, 10.02), (10.1, 10.11, 10.12), False, "same"),
        # The machine grew slower meanwhile, for both: round by round there is a difference…
        ((10.0, 15.0, 20.0), (11.0, 16.5, 22.0), True, "slower"),
        ((10.0, 15.0, 20.0), (9.0, 13.5, 18.0), True, "faster"),
        # …which nobody sees who mixes the rounds.
        ((10.0, 15.0, 20.0), (11.0, 16.5, 22.0), False, "same"),
        ((10.0, 15.0, 20.0), (11.0, 14.0, 22.0), True, "same"),
        ((10.0, 10.1, 10.2), (20.0, 20.1), False, "unsure"),
    ],
)
def test_verdicts(
    before: tuple[float, ...], after: tuple[float, ...], in_turn: bool, verdict: str
) -> None:
    (change,) = comparison.compare_latencies([measured(*before)], [measured(*after)], in_turn)
    assert change.verdict == verdict
    assert change.spread[0] <= change.ratio <= change.spread[1]
    assert change.case == "nano at 640x480, 1 thread"


def test_only_what_is_alike_is_compared() -> None:
    old, new = measured(10.0), measured(20.0)
    assert comparison.compare_latencies([old], [dataclasses.replace(new, threads=2)]) == []
    other = measured(20.0, made_with="tflite-runtime 2.14.0")
    assert comparison.compare_latencies([old], [other]) == []
    # A newer version of the same interpreter is just what one wants to know of.
    assert comparison.compare_latencies([old], [measured(20.0, made_with="litert 2.4.0")])


def test_times_of_another_machine_are_refused() -> None:
    here = conditions.current_conditions()
    comparison.require_alike(here, dataclasses.replace(here, load=3.0, versions={}))
    with pytest.raises(SettingError, match=r"of another machine \(a Pi"):
        comparison.require_alike(dataclasses.replace(here, cpu="a Pi"), here)


def test_quality_has_no_noise() -> None:
    old = Quality("nano", "set", 25, 4, 30.0, 0.9, 60.0)
    for psnr, verdict in ((30.004, "same"), (29.99, "worse"), (30.01, "better")):
        (change,) = comparison.compare_quality([old], [dataclasses.replace(old, psnr=psnr)])
        assert change.verdict == verdict
    assert comparison.compare_quality([old], [dataclasses.replace(old, images=5)]) == []
    assert comparison.compare_quality([old], [dataclasses.replace(old, psnr=None)]) == []


def test_a_busy_machine_is_called_one() -> None:
    quiet = dataclasses.replace(
        conditions.current_conditions(), load=0.0, governors=(), throttled=()
    )
    assert quiet.warnings == []
    busy = dataclasses.replace(quiet, load=2.0, governors=("powersave",), throttled=("hot",))
    assert len(busy.warnings) == 3
    assert quiet.versions["numpy"]
