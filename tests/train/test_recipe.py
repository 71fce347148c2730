from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from edgecae.errors import RecipeError
from edgecae_train import recipe
from edgecae_train.recipe import PhaseSettings, Recipe


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda f: f.stem)
def test_the_recipes_that_come_along_can_be_read(file: Path) -> None:
    assert recipe.read(file).float_phase.steps > 0


def test_a_recipe_is_read_back(tmp_path: Path) -> None:
    settings = recipe.with_changes(Recipe(), {"seed": 3, "float.steps": 7, "float.loss": "l1"})
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.dumps(settings))
    assert recipe.read(file) == settings
    assert recipe.digest(recipe.read(file)) == recipe.digest(settings)


def test_the_digest_leaves_versions_out() -> None:
    with_versions = recipe.with_changes(Recipe(), {"made_with": recipe.versions()})
    assert recipe.digest(with_versions) == recipe.digest(Recipe())
    assert recipe.digest(recipe.with_changes(Recipe(), {"seed": 1})) != recipe.digest(Recipe())


@pytest.mark.parametrize(
    "text",
    ["colour = 1", "seed = -1", "noise = 'salt'", "[float]\nsteps = 1", "seed =",
     "[qat]\nsteps=1\nlearning_rate=1\nloss='hinge'",
     "[float]\nsteps=0\nlearning_rate=1\n[qat]\nsteps=0\nlearning_rate=1"],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(RecipeError):
        recipe.read(file)


def test_a_change_that_does_not_fit_is_refused() -> None:
    with pytest.raises(RecipeError):
        recipe.with_changes(Recipe(), {"float.batch": 0})


@given(st.integers(1, 50), st.integers(51, 400), st.sampled_from(["cosine", "constant", "plateau"]))
def test_the_rate_climbs_and_then_never_does(warmup: int, steps: int, schedule) -> None:
    phase = PhaseSettings(steps=steps, learning_rate=0.5, warmup=warmup, schedule=schedule)
    rates = [recipe.rate(phase, step) for step in range(steps)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) == pytest.approx(0.5)
    assert min(rates) > 0


def test_a_plateau_lowers_the_rate() -> None:
    phase = PhaseSettings(steps=10, learning_rate=1.0, warmup=0, schedule="plateau", final_rate=0.1)
    assert [recipe.rate(phase, 5, f) for f in (1, 0.5, 0.01)] == [1, 0.5, 0.1]


def test_the_leak_is_closed_after_three_fifths() -> None:
    phase = PhaseSettings(steps=100, learning_rate=1.0, leak=0.2)
    leaks = [recipe.leak(phase, step) for step in (0, 30, 60, 99)]
    assert leaks == pytest.approx([0.2, 0.1, 0, 0])


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    file = tmp_path / "recipe.toml"
    file.write_text("seed = 3\n", encoding="utf-8-sig")
    assert recipe.read(file).seed == 3


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lerning_rate = 1", "there are model, "),
        ("sed = 1", "did you mean 'seed'"),
        ("[flot]\nsteps = 1", "did you mean 'float'"),
        ("[float]\nsteps = 1\nlearning_rat = 1", "did you mean 'learning_rate'"),
        ("[qat.early]\nsteps = 1\nbach = 1", "did you mean 'batch'"),
    ],
)
def test_a_setting_that_does_not_exist(tmp_path: Path, text: str, hint: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=hint) as caught:
        recipe.read(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
