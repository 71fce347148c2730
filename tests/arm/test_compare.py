"""The comparison of CPUs sees what differs; that they are compared at all is ``make arm``."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from edgecae import models


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("compare")


def files(tmp_path: Path, change: int, every: int, **made) -> list[Path]:
    """Frames, and two files of results where each ``every``-th value differs by ``change``."""
    clean = np.random.default_rng(0).integers(20, 200, (32, 32, 3), dtype=np.uint8)
    ours = clean + np.uint8(3)
    theirs = ours.copy()
    theirs.reshape(-1)[::every] += np.uint8(change)
    about = {"made_with": np.array("x"), "models": np.array("same")}
    paths = [tmp_path / f"{name}.npz" for name in ("frames", "here", "there")]
    np.savez(paths[0], **{"face/clean": clean})
    for path, result, more in ((paths[1], ours, {}), (paths[2], theirs, made)):
        np.savez(path, **{f"{m}/face/25": result for m in models.names()}, **(about | more))
    return paths


@pytest.mark.parametrize(
    ("change", "every", "problem"),
    [(0, 1, None), (1, 5000, None), (1, 2, "PSNR differs"), (5, 5000, "values differ by 5")],
)
def test_problems(compare, tmp_path: Path, change: int, every: int, problem: str | None) -> None:
    frames, here, there = files(tmp_path, change, every)
    with np.load(frames) as content:
        text, problems = compare.compare(dict(content), here, [there])
    assert text.count("| there |") == len(models.names())
    assert bool(problems) == (problem is not None)
    assert all(problem in line for line in problems)


def test_results_of_other_models_are_not_compared(compare, tmp_path: Path) -> None:
    frames, here, there = files(tmp_path, 0, 1, models=np.array("others"))
    with np.load(frames) as content:
        _, problems = compare.compare(dict(content), here, [there])
    assert len(problems) == 1
    assert "other models" in problems[0]
