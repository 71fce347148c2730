"""Times and memory, in real processes."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecae.bench import case as cases
from edgecae.bench import latency, methods
from edgecae.bench.case import Case, Times
from edgecae.errors import BackendError, SettingError


def times(*ms: float) -> Times:
    return Times(ms, 2**20, 2**19, "litert 2.3.0")


def test_a_case_runs_in_a_process_of_its_own() -> None:
    found = cases.run_case(Case("nano", 160, 120, seconds=0.1))
    assert len(found.ms) >= cases.MIN_RUNS
    assert all(ms > 0 for ms in found.ms)
    assert found.made_with.startswith("litert ")
    assert 2**20 < found.idle_bytes < found.peak_bytes < 2**30


@pytest.mark.slow
def test_the_peak_is_that_of_the_case_and_not_of_who_started_it() -> None:
    """getrusage would hand down this process's own."""
    ballast = np.ones(400 * 2**20, np.uint8)
    small = cases.run_case(Case("nano", 64, 64, seconds=0.05))
    large = cases.run_case(Case("nano", 1920, 1080, seconds=0.05))
    assert small.peak_bytes < ballast.nbytes
    # A frame, and activations of int8 in the order of a hundred bytes a pixel.
    assert 50 * 1920 * 1080 < large.peak_bytes - small.peak_bytes < 500 * 1920 * 1080


def test_the_least_number_of_runs_gives_way_to_time() -> None:
    ticks: Iterator[float] = itertools.count(0.0, 10.0)
    found = cases.measure_case(Case("noisy", 32, 32, seconds=1.0), lambda: next(ticks))
    assert len(found.ms) == 1
    ticks = itertools.chain([0.0, 1.0, 31.0], itertools.count(100.0, 10.0))
    found = cases.measure_case(Case("noisy", 32, 32, seconds=1.0), lambda: next(ticks))
    assert found.ms == (30000.0,)  # the first one: nobody waits for another
    ticks = itertools.count(0.0, 0.001)
    found = cases.measure_case(Case("noisy", 32, 32, seconds=0.002), lambda: next(ticks))
    assert len(found.ms) == cases.MIN_RUNS


def test_what_fails_in_the_process_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="tflite-runtime"):
        cases.run_case(Case("nano", 64, 64, backend="tflite-runtime"))
    with pytest.raises(SettingError, match="can't be run"):
        cases.run_case(Case("nano", 64, 64), python=str(tmp_path / "none"))
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module of that name >&2; exit 1\n")
    python.chmod(0o755)
    with pytest.raises(BackendError, match="failed: no module of that name"):
        cases.run_case(Case("nano", 64, 64), python=str(python))
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(BackendError, match="want of memory"):
        cases.run_case(Case("nano", 64, 64), python=str(python))


def test_percentiles_and_rounds() -> None:
    case = Case("nano", 640, 480)
    found = latency.summarize(case, [times(*range(1, 101)), times(*range(101, 201))])
    assert found.runs == 200
    assert found.median_ms == 100.5
    assert found.p95_ms == pytest.approx(190.05)
    assert found.p99_ms == pytest.approx(198.01)
    assert found.rounds == (50.5, 150.5)
    assert found.fps == pytest.approx(1000 / 100.5)


def test_rounds_take_turns_and_a_case_that_fails_is_left_out() -> None:
    order = []

    def run(case: Case, python: str) -> Times:
        order.append((case.method, python))
        if case.method == "small" and python == "theirs":
            raise BackendError("too little memory")
        return times(1.0 if python == "ours" else 2.0)

    every = [Case("nano", 64, 64), Case("small", 64, 64)]
    (ours, theirs), failed = latency.measure_latencies(every, 2, ["ours", "theirs"], run=run)
    once = [("nano", "ours"), ("nano", "theirs"), ("small", "ours")]
    assert order == [*once, ("small", "theirs"), *once]
    assert [row.rounds for row in ours if row] == [(1.0, 1.0), (1.0, 1.0)]
    assert theirs[0] is not None
    assert theirs[0].rounds == (2.0, 2.0)
    assert theirs[1] is None
    assert failed == {"small at 64x64, 1 thread, theirs": "too little memory"}


def test_frames_take_turns_and_all_come_from_one_stream(photo: np.ndarray) -> None:
    method = methods.find_method("nano")
    frames = [photo, photo[::-1].copy()]
    got = methods.denoise_frames(method, frames, 25, 1)
    assert not np.array_equal(got[0], got[1])
    assert [frame.shape for frame in got] == [photo.shape] * 2


def test_another_python_is_measured_with_its_own_edgecae(tmp_path: Path) -> None:
    """Its ``edgecae.bench.case`` gets the case as JSON, and its answer is what counts."""
    bench = tmp_path / "edgecae" / "bench"
    bench.mkdir(parents=True)
    for package in (bench.parent, bench):
        (package / "__init__.py").touch()
    (bench / "case.py").write_text(
        "import json, sys\n"
        "width = json.load(sys.stdin)['width']\n"
        "about = {'peak_bytes': 2, 'idle_bytes': 1, 'made_with': 'other 1'}\n"
        "print(json.dumps({'ms': [width, 1.5], **about}))\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    found = cases.run_case(Case("noisy", 37, 32), python=str(python))
    assert found == Times((37, 1.5), 2, 1, "other 1")
