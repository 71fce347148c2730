"""The tables in the documentation are those of the figures that were measured."""

from __future__ import annotations

import importlib

import pytest
from conftest import ROOT

from edgecae import models

SIXTH = ("15", "25", "50")


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_tables_show_what_was_measured(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    figures = importlib.import_module("figures")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- figures: " in text
    assert figures.fill(text, models.figures()) == text, (
        "run: python benchmarks/figures.py --tables"
    )


MOST_LOST = {"5": 0.15, "15": 0.05, "25": 0.05, "50": 0.05}
"""By int8 against float, dB, by σ."""

MOST_LOST_BY = {
    "base": {**MOST_LOST, "5": 0.19},  # its many sums are each rounded
}
"""Models that lose more; they shall not lose more than they do."""


def test_int8_keeps_what_the_float_network_can() -> None:
    for methods in models.figures()["psnr"]["8-bit"].values():
        for name in set(models.names()) - {"classic"}:
            for sigma, most in MOST_LOST_BY.get(name, MOST_LOST).items():
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
