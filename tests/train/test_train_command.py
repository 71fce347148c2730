"""Which model ``--init`` leads to."""

from __future__ import annotations

from typing import Any

import click
import pytest

from edgecae.errors import RecipeError
from edgecae_train import architectures, command
from edgecae_train.architectures.unet import UNet

UNNAMED = UNet((44, 32, 40), (0, 0, 1), (1, 0))


def _following(architecture: Any, model: str | None = None, latent: int | None = None) -> Any:
    return command._following("it", architecture, {"model": model, "latent": latent})


@pytest.mark.parametrize(
    ("architecture", "asked", "model", "latent"),
    [
        (architectures.get("nano"), (None, None), "nano", 0),
        (architectures.get("small-start"), ("small", None), "small", 0),
        (architectures.get("small"), ("nano", 0), "nano", 0),
        (UNNAMED, ("small", None), "small", 0),
        (architectures.get("classic", 8), (None, None), "classic", 8),
        (architectures.get("classic", 8), ("classic", 8), "classic", 8),
    ],
    ids=["its own", "wider", "narrower", "without a name", "latent", "latent, asked for"],
)
def test_the_model_follows_or_is_one_that_fits(
    architecture: Any, asked: tuple[str | None, int | None], model: str, latent: int
) -> None:
    assert _following(architecture, *asked) == {"model": model, "latent": latent}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(click.UsageError, match="is of the model small, not base"):
        _following(architectures.get("small"), "base")
    with pytest.raises(click.UsageError, match="is of the model nano, not small"):
        _following(architectures.get("nano"), "small")  # less than half as wide
    with pytest.raises(click.UsageError, match="is of the latent 8, not 4"):
        _following(architectures.get("classic", 8), "classic", 4)
    with pytest.raises(RecipeError, match="not registered"):
        _following(UNNAMED)
