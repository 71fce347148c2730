"""The tables in the documentation are those of the figures that were measured."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from edgecae import Denoiser, models
from edgecae.bench import results
from edgecae.media import images
from edgecae.noise import gaussian
from edgecae.quality import psnr


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
    assert {row.method for row in found.latency} >= set(models.still_names())
    assert {row.method for row in found.quality} >= {*models.still_names(), "noisy", "bilateral"}


MAX_LOSS = {5: 0.25, 15: 0.1, 25: 0.1, 50: 0.1}
"""By int8 against float, dB, mean over small pictures, by σ."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models.still_names() if name != "classic"])
def test_int8_keeps_what_the_float_network_can(name: str, photos: Path) -> None:
    from edgecae_train import evaluate, shipped, weights

    architecture, _, values = weights.read_weights(shipped.find_weights(name))
    network = architecture.build(training=False)
    weights.load_weights(network, values)
    exact = evaluate.keras_denoiser(network)
    # The float network takes sizes that can be halved as often as it does; these are its patches.
    pictures = [images.read(path).pixels[:96, :96].copy() for path in sorted(photos.glob("*.png"))]
    with Denoiser(name) as denoiser:
        for sigma, most in MAX_LOSS.items():
            rng, lost = np.random.default_rng(sigma), []
            for picture in pictures:
                noisy = gaussian(sigma).add(picture, rng)
                lost.append(psnr(picture, exact(noisy)) - psnr(picture, denoiser.process(noisy)))
            assert np.mean(lost) < most, (sigma, lost)


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
