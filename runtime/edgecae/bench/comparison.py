"""Two measurements of the same: tell a regression from noise.

A case counts as slower only where *every* round of the one took longer than every round of the
other (the extreme of the rank test of Mann and Whitney, 1947: by chance once in 20 with three
rounds on each side, once in 252 with five), and by more than :data:`TIME_TOLERANCE` in the middle.
Rounds measured in turn are compared round by round, since what else the machine did met both: there
every round must agree (the sign test: by chance once in 8 with three rounds, once in 32 with five).
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgecae.bench import latency as latencies
from edgecae.bench.conditions import Conditions
from edgecae.bench.latency import Latency
from edgecae.bench.quality import Quality
from edgecae.errors import SettingError

__all__ = [
    "TIME_TOLERANCE",
    "Change",
    "QualityChange",
    "compare_latencies",
    "compare_quality",
    "require_alike",
]

TIME_TOLERANCE = 0.03
"""Relative change of a time up to which it counts as the same, however sure the change is."""

MIN_ROUNDS = 3
"""Rounds that each side needs: fewer prove nothing."""

PSNR_TOLERANCE = 0.005
"""Change of a PSNR, dB, below which it counts as the same. A PSNR has no noise: one interpreter on
one CPU gives the same digits each time."""


@dataclass(frozen=True)
class Change:
    """The time of a case, before and after.

    Attributes:
        case: its description for people.
        before_ms: median before, milliseconds.
        after_ms: median after, milliseconds.
        ratio: after over before, median over the rounds.
        spread: smallest and largest ratio.
        verdict: ``slower``, ``faster``, ``same`` (no difference that the rounds prove) or
            ``unsure`` (too few rounds).
    """

    case: str
    before_ms: float
    after_ms: float
    ratio: float
    spread: tuple[float, float]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class QualityChange:
    """A figure of quality, before and after.

    Attributes:
        case: its description for people.
        before: PSNR before, dB.
        after: PSNR after, dB.
        verdict: ``worse``, ``better`` or ``same``.
    """

    case: str
    before: float
    after: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return dataclasses.asdict(self)


def require_alike(before: Conditions, after: Conditions) -> None:
    """Refuse to compare times of two machines.

    Raises:
        SettingError: the CPUs differ, or the number of cores.
    """
    if (before.cpu, before.cores) != (after.cpu, after.cores):
        raise SettingError(
            f"the saved times are of another machine ({before.cpu}, {before.cores} cores) than "
            f"this one ({after.cpu}, {after.cores} cores): compare with a file that was made here"
        )


def compare_latencies(
    before: Sequence[Latency], after: Sequence[Latency], in_turn: bool = False
) -> list[Change]:
    """Compare the times of the cases that are in both.

    Args:
        before: measured earlier, or with another edgecae.
        after: measured now.
        in_turn: whether their rounds took turns.
    """
    earlier = {latencies.case_key(each): each for each in before}
    return [
        _change(earlier[latencies.case_key(each)], each, in_turn)
        for each in after
        if latencies.case_key(each) in earlier
    ]


def _change(before: Latency, after: Latency, in_turn: bool) -> Change:
    pairs: Sequence[tuple[float, float]] = list(itertools.product(after.rounds, before.rounds))
    if in_turn:
        pairs = list(zip(after.rounds, before.rounds, strict=True))
    ratios = [a / b for a, b in pairs]
    ratio, low, high = statistics.median(ratios), min(ratios), max(ratios)
    verdict = "same"
    if min(len(before.rounds), len(after.rounds)) < MIN_ROUNDS:
        verdict = "unsure"
    elif low > 1 and ratio > 1 + TIME_TOLERANCE:
        verdict = "slower"
    elif high < 1 and ratio < 1 / (1 + TIME_TOLERANCE):
        verdict = "faster"
    case = latencies.case_label(after)
    return Change(case, before.median_ms, after.median_ms, ratio, (low, high), verdict)


def compare_quality(before: Sequence[Quality], after: Sequence[Quality]) -> list[QualityChange]:
    """Compare PSNR against the clean image where method, set, σ and number of images agree."""
    earlier = {(q.method, q.set, q.sigma, q.images): q.psnr for q in before}
    found = []
    for each in after:
        old = earlier.get((each.method, each.set, each.sigma, each.images))
        if old is None or each.psnr is None:
            continue
        gain = each.psnr - old
        verdict = "same" if abs(gain) < PSNR_TOLERANCE else "better" if gain > 0 else "worse"
        case = f"{each.method} on {each.set} at σ {each.sigma:g}"
        found.append(QualityChange(case, old, each.psnr, verdict))
    return found
