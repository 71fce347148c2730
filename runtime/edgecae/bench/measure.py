"""All that ``edgecae bench`` measures, in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from edgecae.bench import comparison, conditions, latency, methods, quality, roofline
from edgecae.bench.comparison import Change
from edgecae.bench.methods import Method
from edgecae.bench.options import BenchOptions
from edgecae.bench.quality import Strip
from edgecae.bench.results import Results
from edgecae.errors import SettingError
from edgecae.tflite import interpreter as backends

__all__ = ["measure_all"]


def measure_all(
    options: BenchOptions, tell: Callable[[str], None] = lambda text: None
) -> tuple[Results, list[Change], Strip | None]:
    """Measure latencies, rooflines and quality, as the options say.

    What can't be measured for want of a package or of memory is named in the results, and the rest
    goes on.

    Args:
        options: what to measure.
        tell: is called with a line about what is measured now.

    Returns:
        What was found; how the other edgecae's times compare, where there is one; and crops of a
        picture, where quality was measured.

    Raises:
        ModelFileError: there is no such model.
        SourceError: a folder can't be read.
        SettingError: a size that a model can't take, or nothing to measure is left.
    """
    known, failed = _find([*options.models, *options.peer_names], options.backends[0])
    for name in set(options.models) & failed.keys():
        raise SettingError(failed[name])
    sets = [quality.read_set(path) for path in options.sets]
    here = conditions.current_conditions()
    cases = [case for case in options.cases() if case.method in known]
    pythons = [sys.executable, *([options.against] if options.against else [])]
    times, broken = latency.measure_latencies(cases, options.rounds, pythons, tell)
    found = [[each for each in column if each is not None] for column in times]
    changes = (
        comparison.compare_latencies(found[1], found[0], in_turn=True) if options.against else []
    )
    int8 = [name for name in options.models if known[name].precision == "int8"]
    results = Results(
        conditions=here,
        latency=tuple(found[0]),
        roofline=tuple(_rooflines(options, int8, tell)) if options.roofline else (),
        failed={**failed, **broken},
    )
    strip = None
    if sets:
        results, strip = _with_quality(results, options, known, sets, tell)
    macs = {name: method.macs_per_pixel for name, method in known.items()}
    return replace(results, macs_per_pixel={n: m for n, m in macs.items() if m}), changes, strip


def _rooflines(
    options: BenchOptions, names: Sequence[str], tell: Callable[[str], None]
) -> Iterator[roofline.Roofline]:
    """Of each model at each number of threads, under one roof for all models."""
    backend, size = options.backends[0], options.sizes[0] if options.sizes else None
    best = {}
    for name in names:
        for threads in options.thread_counts:
            tell(f"roofline of {name}, {threads} threads")
            if threads not in best:
                best[threads] = roofline.best_rate(threads, backends.find_backend(backend))
            yield roofline.measure_roofline(name, size, threads, backend, best[threads])


def _find(names: Sequence[str], backend: str) -> tuple[dict[str, Method], dict[str, str]]:
    """Methods by name, and what is missing for the others; a model that is missing is an error."""
    known, failed = {}, {}
    for name in dict.fromkeys(names):
        try:
            known[name] = methods.find_method(name, backend)
        except SettingError as error:
            failed[name] = str(error)
    return known, failed


def _with_quality(
    results: Results,
    options: BenchOptions,
    known: dict[str, Method],
    sets: Sequence[quality.ImageSet],
    tell: Callable[[str], None],
) -> tuple[Results, Strip | None]:
    floats, missing = _find(methods.float_methods_of(list(options.models)), options.backends[0])
    known |= {methods.NOISY: methods.find_method(methods.NOISY), **floats}
    order = [methods.NOISY, *options.models, *floats, *options.peer_names]
    every = {name: known[name] for name in order if name in known}
    found, strip, failed = quality.measure_quality(
        every, sets, options.noise_levels, max(options.thread_counts), tell
    )
    failed = {**results.failed, **missing, **failed}
    return replace(results, quality=tuple(found), failed=failed), strip
