"""All that ``edgecae bench`` measures, in one call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgecae import models
from edgecae.bench import comparison, conditions, latency, methods, peers, quality, roofline
from edgecae.bench.case import Case
from edgecae.bench.comparison import Change
from edgecae.bench.methods import Method
from edgecae.bench.peers.base import Peer
from edgecae.bench.quality import Strip
from edgecae.bench.results import Results
from edgecae.errors import SettingError
from edgecae.tflite import interpreter as backends

__all__ = ["PEER_SIZE", "Plan", "all_peers", "measure"]

log = logging.getLogger(__name__)

PEER_SIZE = (640, 480)
"""Peers are timed at this size alone unless sizes are asked for: some take minutes a frame."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        models: names of shipped models, or files, int8 or float32.
        sizes: width and height of frames; None: :data:`edgecae.bench.latency.SIZES`.
        threads: of what computes, each in turn.
        backends: of models, each in turn.
        rounds: how often each latency is measured, each time in a process of its own.
        seconds: for a round of a case, about.
        peers: names of other denoisers.
        sets: folders and clips to measure quality on.
        sigmas: of the noise.
        roofline: whether to measure it.
        against: a Python with another edgecae, which is measured in turn; latency alone.
    """

    models: Sequence[str] = (models.DEFAULT,)
    sizes: Sequence[tuple[int, int]] | None = None
    threads: Sequence[int] = (1,)
    backends: Sequence[str] = ("auto",)
    rounds: int = 3
    seconds: float = 2.0
    peers: Sequence[str] = ()
    sets: Sequence[Path] = ()
    sigmas: Sequence[float] = quality.SIGMAS
    roofline: bool = False
    against: str | None = None

    def cases(self) -> list[Case]:
        """Each latency to measure, the quick ones first."""
        sizes, of_peers = self.sizes or latency.SIZES, self.sizes or (PEER_SIZE,)
        shapes = [
            (name, size, backend) for name in self.models for size in sizes
            for backend in self.backends
        ] + [(name, size, "auto") for name in self.peers for size in of_peers]  # fmt: skip
        return [
            Case(name, *size, threads, backend, seconds=self.seconds)
            for name, size, backend in shapes
            for threads in self.threads
        ]


def measure(
    plan: Plan, tell: Callable[[str], None] = lambda text: None
) -> tuple[Results, list[Change], Strip | None]:
    """Measure.

    What can't be measured for want of a package or of memory is named in the results, and the rest
    goes on.

    Args:
        plan: what.
        tell: is told what is measured now.

    Returns:
        What was found; how the other edgecae's times compare, where there is one; and crops of a
        picture, where quality was measured.

    Raises:
        ModelFileError: there is no such model.
        SourceError: a folder can't be read.
        SettingError: a size that a model can't take, or nothing to measure is left.
    """
    known, failed = _find([*plan.models, *plan.peers], plan.backends[0])
    for name in set(plan.models) & failed.keys():
        raise SettingError(failed[name])
    sets = [quality.read_set(path) for path in plan.sets]
    here = conditions.now()
    cases = [case for case in plan.cases() if case.method in known]
    pythons = [sys.executable, *([plan.against] if plan.against else [])]
    times, broken = latency.measure(cases, plan.rounds, pythons, tell)
    found = [[each for each in column if each is not None] for column in times]
    changes = comparison.compare(found[1], found[0], in_turn=True) if plan.against else []
    int8 = [name for name in plan.models if known[name].precision == "int8"]
    results = Results(
        conditions=here,
        latency=tuple(found[0]),
        roofline=tuple(_rooflines(plan, int8, tell)) if plan.roofline else (),
        failed={**failed, **broken},
    )
    strip = None
    if sets:
        results, strip = _with_quality(results, plan, known, sets, tell)
    macs = {name: method.macs_per_pixel for name, method in known.items()}
    return replace(results, macs_per_pixel={n: m for n, m in macs.items() if m}), changes, strip


def _rooflines(
    plan: Plan, names: Sequence[str], tell: Callable[[str], None]
) -> Iterator[roofline.Roofline]:
    """Of each model at each number of threads, under one roof for all models."""
    backend, size = plan.backends[0], plan.sizes[0] if plan.sizes else None
    best = {}
    for name in names:
        for threads in plan.threads:
            tell(f"roofline of {name}, {threads} threads")
            if threads not in best:
                best[threads] = roofline.best_rate(threads, backends.find(backend))
            yield roofline.measure(name, size, threads, backend, best[threads])


def _find(names: Sequence[str], backend: str) -> tuple[dict[str, Method], dict[str, str]]:
    """Methods by name, and what is missing for the others; a model that is missing is an error."""
    known, failed = {}, {}
    for name in dict.fromkeys(names):
        try:
            known[name] = methods.find(name, backend)
        except SettingError as error:
            failed[name] = str(error)
    return known, failed


def _with_quality(
    results: Results,
    plan: Plan,
    known: dict[str, Method],
    sets: Sequence[quality.Set],
    tell: Callable[[str], None],
) -> tuple[Results, Strip | None]:
    floats, missing = _find(methods.names_of_floats(list(plan.models)), plan.backends[0])
    known |= {methods.NOISY: methods.find(methods.NOISY), **floats}
    order = [methods.NOISY, *plan.models, *floats, *plan.peers]
    every = {name: known[name] for name in order if name in known}
    found, strip, failed = quality.measure(every, sets, plan.sigmas, max(plan.threads), tell)
    failed = {**results.failed, **missing, **failed}
    return replace(results, quality=tuple(found), failed=failed), strip


def all_peers(without: Sequence[str] = ()) -> list[str]:
    """Names of all peers, but for some.

    A peer whose licence forbids some uses is left out where it is not installed, with a warning.

    Raises:
        SettingError: one of these is none.
    """
    for name in without:
        if name not in peers.PEERS:
            raise SettingError(f"no peer is called {name!r}; there are {', '.join(peers.PEERS)}")
    return [
        name for name, peer in peers.PEERS.items() if name not in without and not _left_out(peer)
    ]


def _left_out(peer: Peer) -> bool:
    if not peer.package.licence:
        return False
    try:
        peer.require()
    except SettingError as error:
        log.warning("%s is left out: %s", peer.name, error)
        return True
    return False
