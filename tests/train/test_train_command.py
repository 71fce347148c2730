"""Which model ``--init`` leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT

from edgecae.errors import RecipeError
from edgecae_train import architectures, channels, command, recipe, shipped, weights
from edgecae_train.architectures.unet import UNet
from edgecae_train.recipe import Recipe

pytestmark = pytest.mark.slow

UNNAMED = UNet((44, 32, 40), (0, 0, 1), (1, 0))
NARROWER = UNet((40, 32, 48), (0, 0, 1), (1, 0))


def _following(
    architecture: Any,
    model: str | None = None,
    latent: int | None = None,
    numbers: dict[str, Any] | None = None,
) -> Any:
    asked = {"model": model, "latent": latent, "architecture": numbers}
    return command._following("it", architecture, asked)


@pytest.mark.parametrize(
    ("architecture", "asked", "model", "latent"),
    [
        (architectures.get("nano"), (None, None), "nano", 0),
        (NARROWER, ("small", None), "small", 0),
        (architectures.get("small"), ("nano", 0), "nano", 0),
        (UNNAMED, ("small", None), "small", 0),
        (architectures.get("classic", 8), (None, None), "classic", 8),
        (architectures.get("classic", 8), ("classic", 8), "classic", 8),
    ],
    ids=[
        "its own",
        "wider",
        "narrower",
        "without a name",
        "latent",
        "latent, asked for",
    ],
)
def test_the_model_follows_or_is_one_that_fits(
    architecture: Any, asked: tuple[str | None, int | None], model: str, latent: int
) -> None:
    assert _following(architecture, *asked) == {
        "model": model,
        "latent": latent,
        "architecture": {},
    }


def test_numbers_of_a_recipe_are_those_of_its_model() -> None:
    stage = {"channels": [48, 64, 64], "hidden": []}
    first = architectures.get("base", numbers=stage)
    for asked in (stage, {}):
        followed = _following(first, "base", None, asked)
        assert followed == {"model": "base", "latent": 0, "architecture": asked}
    with pytest.raises(RecipeError, match=r"a --recipe that has its numbers as \[architecture\]"):
        _following(first)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    given = ["--out", str(tmp_path / "run"), "--init", "nano", "--model", "classic"]
    done = CliRunner().invoke(command.command, given)
    assert done.exit_code == 2
    assert "--init nano is of the model nano, not classic" in done.output
    assert not list(tmp_path.iterdir())


def test_a_second_network_starts_with_weights_that_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts: list[channels.Start] = []
    monkeypatch.setattr(command.loop, "train", lambda *_, start, **__: starts.append(start))
    run = ["--out", str(tmp_path / "run")]
    given = ["--recipe", str(ROOT / "recipes" / "small-6.toml"), "--init", "small", *run]
    assert CliRunner().invoke(command.command, [*given, "--init-second", "nano"]).exit_code == 0
    nano = weights.read_weights(shipped.find_weights("nano"))[2]
    assert starts[0].second is not None
    name = "up0_conv0/kernel"
    np.testing.assert_array_equal(starts[0].second[f"coarse_{name}"], nano[name])
    done = CliRunner().invoke(command.command, [*given, "--init-second", "classic"])
    assert "the network has no second one like" in str(done.exception or done.output)
    assert len(starts) == 1
    done = CliRunner().invoke(command.command, [*run, "--init-second", "nano"])
    assert done.exit_code == 2
    assert "--init-second needs --init" in done.output


@pytest.mark.parametrize("stage", ["small-1", "small-3"])
def test_a_stage_is_no_model(stage: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command.command, ["--model", stage, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert f"'{stage}' is not one of 'base', 'base-video', 'classic', 'nano', " in done.output


def test_another_model_has_its_own_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the recipe belong to the recipe's model, not to the one that is asked for."""
    chosen: list[Recipe] = []
    monkeypatch.setattr(command.loop, "train", lambda settings, *_, **__: chosen.append(settings))
    wide = tmp_path / "wide.toml"
    wide.write_text(recipe.dumps(Recipe(model="base", architecture={"channels": [48, 64, 64]})))
    arguments = ["--recipe", str(wide), "--out", str(tmp_path / "run")]
    for more in ([], ["--model", "small"]):
        done = CliRunner().invoke(command.command, [*arguments, *more], catch_exceptions=False)
        assert done.exit_code == 0
    assert [each.model for each in chosen] == ["base", "small"]
    assert [each.architecture.get("channels") for each in chosen] == [[48, 64, 64], None]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(click.UsageError, match="is of the model classic, not base"):
        _following(architectures.get("classic"), "base")
    with pytest.raises(click.UsageError, match="is of the model nano, not small"):
        _following(architectures.get("nano"), "small")  # less than half as wide
    with pytest.raises(click.UsageError, match="is of the latent 8, not 4"):
        _following(architectures.get("classic", 8), "classic", 4)
    with pytest.raises(RecipeError, match="not registered"):
        _following(UNNAMED)


def test_options_override_the_settings_that_they_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen: list[Recipe] = []
    monkeypatch.setattr(command.loop, "train", lambda settings, *_, **__: chosen.append(settings))
    arguments = "--steps 7 --batch 3 --schedule plateau --qat-learning-rate 1e-5 --model nano"
    done = CliRunner().invoke(command.command, ["--out", str(tmp_path), *arguments.split()])
    assert done.exit_code == 0
    made, unchanged = chosen[0], Recipe()
    assert made.model == "nano"
    assert (made.float_phase.steps, made.qat.steps) == (7, unchanged.qat.steps)
    assert (made.float_phase.batch, made.qat.batch) == (3, 3)
    assert made.float_phase.schedule == made.qat.schedule == "plateau"
    assert made.qat.learning_rate == 1e-5
    assert made.float_phase.learning_rate == unchanged.float_phase.learning_rate
    assert made.data == unchanged.data


def test_a_value_that_the_recipe_does_not_know_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(command.command, ["--out", str(tmp_path), "--schedule", "linear"])
    assert done.exit_code == 2
    assert "'linear' is not one of 'cosine', 'constant', 'plateau'" in done.output
