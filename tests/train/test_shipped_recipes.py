"""The recipes in ``recipes/`` make the shipped models: each leg, and one after the other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from conftest import ROOT

from edgecae import models
from edgecae.errors import RecipeError
from edgecae_train import architectures, channels, recipe, shipped, weights
from edgecae_train.architectures import ARCHITECTURES, RECURRENT, Architecture
from edgecae_train.architectures.classic import Classic
from edgecae_train.architectures.fusion import Fusion
from edgecae_train.architectures.unet import UNet

pytestmark = pytest.mark.slow

NANO = UNet((16, 24, 32), (0, 0, 1), (1, 0))
SMALL_WITHOUT_HALF = UNet((48, 32, 48), (0, 0, 1), (1, 0), features=32)
SMALL = UNet((48, 32, 48), (0, 0, 1), (1, 0), features=26, coarse=(16, 24, 30))
BASE = UNet((96, 64, 96), (0, 0, 1), (1, 0), features=56)

NETWORKS = {
    **{f"nano-{leg}": NANO for leg in range(1, 5)},
    **{f"small-{leg}": SMALL_WITHOUT_HALF for leg in range(1, 6)},
    **{
        f"small-{leg}": dataclasses.replace(SMALL, features=features, coarse=(16, 24, 32))
        for leg, features in ((6, 28), (7, 28), (8, 26), (9, 26))
    },
    "small-10": SMALL,
    **{f"nano-video-{leg}": Fusion("nano") for leg in range(1, 4)},
    **{f"base-{leg}": BASE for leg in range(1, 4)},
    "classic": Classic(),
    "latent": Classic(latent=8),
    "demo": SMALL,
    "fit": SMALL,
}
"""What each recipe trains."""

LEGS = [
    *((f"nano-{leg}", f"nano-{leg + 1}") for leg in range(1, 4)),
    *((f"small-{leg}", f"small-{leg + 1}") for leg in range(1, 10)),
    *((f"nano-video-{leg}", f"nano-video-{leg + 1}") for leg in range(1, 3)),
    ("small-3", "base-1"),
    *((f"base-{leg}", f"base-{leg + 1}") for leg in range(1, 3)),
    ("small-10", "fit"),
]
"""Recipes that start from the weights of another."""


def network(name: str) -> Architecture:
    settings = recipe.read(ROOT / "recipes" / f"{name}.toml")
    return architectures.get(settings.model, settings.latent, settings.architecture)


def test_each_recipe_is_listed() -> None:
    assert {file.stem for file in (ROOT / "recipes").glob("*.toml")} == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_trains_the_network_that_it_trained(name: str) -> None:
    assert network(name) == NETWORKS[name]


@pytest.mark.parametrize(("first", "second"), LEGS)
def test_a_leg_goes_on_with_the_weights_of_the_one_before(first: str, second: str) -> None:
    assert channels.fits(network(first), network(second))


def test_each_shipped_model_is_a_name_for_a_model_and_no_stage_is() -> None:
    """One may be registered that is not shipped, but not what a recipe trains on the way."""
    assert sorted(models.names()) == shipped.names()
    assert set(models.still_names()) <= ARCHITECTURES.keys()
    assert set(models.video_names()) <= RECURRENT.keys()
    stages = NETWORKS.keys() - set(models.names())
    assert stages.isdisjoint(ARCHITECTURES)


@pytest.mark.parametrize("name", models.names())
def test_a_shipped_model_is_what_its_last_recipe_trains(name: str) -> None:
    architecture, _, values = weights.read_weights(shipped.find_weights(name))
    assert architecture == architectures.get(name)
    if name == "small-video":  # the gate of nano-video before small
        other, _, gate = weights.read_weights(shipped.find_weights("nano-video"))
        assert architecture == dataclasses.replace(other, still="small")
        assert all((values[layer] == value).all() for layer, value in gate.items())
        return
    (*_, last) = (leg for leg in NETWORKS if leg == name or leg.rpartition("-")[0] == name)
    assert architecture == network(last)


def test_numbers_in_a_recipe_survive_the_run_directory(tmp_path: Path) -> None:
    settings = recipe.Recipe(model="base", architecture={"channels": [48, 64, 64], "hidden": []})
    (tmp_path / "recipe.toml").write_text(recipe.dumps(settings))
    again = recipe.read(tmp_path / "recipe.toml")
    assert again == settings
    assert recipe.digest(recipe.with_changes(again, {"architecture": {}})) != recipe.digest(again)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"width": 3}, "of small has no width; it has channels, down"),
        ({"channels": "wide"}, r"of small: Expected `array`, got `str` - at `\$.channels`"),
        ({"channels": [8, 16]}, "of small: a network of 2 levels needs"),
        ({"down": [0, 0]}, "of small: a network of 3 levels needs"),
        ({"up": [0, 1]}, "of small: a network of 3 levels needs"),
        ({"hidden": [8]}, "of small: hidden is empty or has 3 numbers"),
        ({"block": "dense"}, "of small: a block is plain or separable, not 'dense'"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers: dict[str, object], why: str) -> None:
    with pytest.raises(RecipeError, match=why) as caught:
        architectures.get("small", numbers=numbers)
    assert "\n" not in str(caught.value)
