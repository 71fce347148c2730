"""The tables in the documentation are those of the figures that were measured."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from conftest import ROOT

from edgecae import models
from edgecae.bench import results

SIXTH = ("15", "25", "50")


@pytest.mark.parametrize("page", ["README.md", "docs/models.md", "docs/bench.md"])
def test_tables_show_what_was_measured(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    figures = importlib.import_module("figures")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- figures: " in text
    assert figures.fill(text, models.figures()) == text, (
        "run: python benchmarks/figures.py --tables"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/reference").glob("*.json")), ids=str)
def test_a_reference_is_of_a_quiet_machine_and_of_all_that_is_shipped(path: Path) -> None:
    found = results.read_results(path)
    assert found.conditions.warnings == []
    assert {row.method for row in found.latency} >= set(models.names())
    assert {row.method for row in found.quality} >= {*models.names(), "noisy", "bilateral"}
    for roof in found.roofline:
        if roof.threads == 1:
            assert roof.floor_over_ideal >= 1
            assert 1 < roof.over_floor <= OVER_FLOOR.get(roof.model, 1.25), roof.model


OVER_FLOOR = {
    "nano": 1.3,  # has so few multiplications that folding and joining pixels shows
}
"""The whole model over its convolutions, where more than 1.25 is known."""

MOST_LOST = {"5": 0.15, "15": 0.05, "25": 0.05, "50": 0.05}
"""By int8 against float, dB, by σ."""


def test_int8_keeps_what_the_float_network_can() -> None:
    for methods in models.figures()["psnr"]["8-bit"].values():
        for name in set(models.names()) - {"classic"}:
            for sigma, most in MOST_LOST.items():
                assert methods[f"{name}:float"][sigma] - methods[name][sigma] <= most
            assert all(methods[name][s] > methods["noisy"][s] for s in ("5", *SIXTH))


def test_tables_fill_empty_places_and_leave_the_text_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    figures = importlib.import_module("figures")
    place = "<!-- figures: cost -->\n<!-- end -->"
    filled = figures.fill(f"{place}\n\nbetween\n\n{place}\n", models.figures())
    assert filled.count("| `small` |") == 2
    assert "\n<!-- end -->\n\nbetween\n\n<!-- figures: cost -->\n" in filled
    assert figures.fill(filled, models.figures()) == filled
