"""The registry of network architectures.

To add one, write its module (a frozen dataclass that fulfils :class:`Architecture`) and enter it
in ``ARCHITECTURES``; a variant of one that is there is another instance with other numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from edgecae.errors import RecipeError
from edgecae_train.architectures.classic import Classic
from edgecae_train.architectures.fusion import Fusion
from edgecae_train.architectures.links import Link
from edgecae_train.architectures.unet import UNet

__all__ = [
    "ARCHITECTURES",
    "RECURRENT",
    "Architecture",
    "describe",
    "every",
    "get",
    "named",
    "restore",
]


class Architecture(Protocol):
    """A recipe for a network: plain numbers and a way to build the Keras model from them."""

    @property
    def kind(self) -> str:
        """Name of the family, the same for all its variants."""

    @property
    def stride(self) -> int:
        """H and W must be multiples of this."""

    @property
    def loss(self) -> str:
        """The loss that it is trained with unless a recipe says otherwise."""

    @property
    def links(self) -> tuple[Link, ...]:
        """Channels that equalization may rescale; none: it leaves the network alone."""

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:
        """Build the float network.

        Args:
            policy: Keras dtype policy of the hidden layers (``float32``, ``mixed_bfloat16``,
                ``mixed_float16``); variables and the last layer stay float32.
            training: with the layers that exist for training only (dropout).
            leak: a scalar variable for :class:`.layers.LeakyReLU6` in the place of ReLU6,
                while training; architectures without ReLU6 leave it alone.

        Returns:
            A functional Keras model, N×H×W×3 → N×H×W×3, RGB in [0, 1], H and W multiples of
            ``stride``. Its first layer after the input and its last non-linear one are
            ``UnitInterval``, every layer is named, and names are the same for any arguments.
        """


ARCHITECTURES: dict[str, Architecture] = {
    "classic": Classic(),
    "nano": UNet((16, 24, 32), (0, 0, 1), (1, 0)),
    "small": UNet((48, 32, 48), (0, 0, 1), (1, 0), features=26, coarse=(16, 24, 30)),
    "base": UNet((96, 64, 96), (0, 0, 1), (1, 0), features=56),
}
"""By the name that ``--model`` takes: that of the shipped model which has it. What a recipe trains
on the way there differs in a few numbers, which the recipe gives (``[architecture]``)."""

RECURRENT: dict[str, Fusion] = {
    f"{name}-video": Fusion(name) for name, still in ARCHITECTURES.items() if still.kind == "unet"
}
"""Gates, likewise: each goes before the model for single frames of that name."""


def every() -> dict[str, Any]:
    """Both, by name."""
    return {**ARCHITECTURES, **RECURRENT}


KINDS: dict[str, type[Any]] = {each.kind: type(each) for each in every().values()}
"""The class of each family."""


def get(name: str, latent: int = 0, numbers: Mapping[str, Any] | None = None) -> Architecture:
    """Look up an architecture by its registered name.

    Args:
        name: in ``ARCHITECTURES`` or ``RECURRENT``.
        latent: channels of the variant's latent; 0: as it is registered.
        numbers: of a variant: fields of the registered architecture to replace, as TOML or JSON
            has them (a tuple is a list).

    Raises:
        RecipeError: there is none of that name, it lacks one of the fields, a value does not fit,
            or it has no bottleneck to be a latent.
    """
    try:
        architecture: Architecture = every()[name]
    except KeyError:
        known = ", ".join(sorted(every()))
        raise RecipeError(f"no architecture is called {name!r}; there are {known}") from None
    if numbers:
        architecture = _variant(name, architecture, numbers)
    if not latent:
        return architecture
    if not hasattr(architecture, "latent"):
        fitting = ", ".join(n for n, a in sorted(ARCHITECTURES.items()) if hasattr(a, "latent"))
        raise RecipeError(
            f"{name} has skips past its lowest level, so no latent of {latent} channels can hold "
            f"the picture; those with a bottleneck: {fitting}"
        )
    return dataclasses.replace(architecture, latent=latent)  # type: ignore[type-var]


def _variant(name: str, architecture: Architecture, numbers: Mapping[str, Any]) -> Architecture:
    fields: dict[str, Any] = dataclasses.asdict(architecture)  # type: ignore[call-overload]
    if unknown := numbers.keys() - fields.keys():
        raise RecipeError(
            f"the architecture of {name} has no {', '.join(sorted(unknown))}; it has "
            f"{', '.join(fields)}"
        )
    try:
        variant: Architecture = msgspec.convert({**fields, **numbers}, type(architecture))
    except msgspec.ValidationError as error:
        raise RecipeError(f"the architecture of {name}: {error}") from error
    return variant


def named(architecture: Architecture) -> tuple[str, int]:
    """Return the registered name and the latent from which :func:`get` makes an architecture.

    Raises:
        RecipeError: it is no registered one.
    """
    latent: int = getattr(architecture, "latent", 0)
    for name, known in every().items():
        if type(known) is type(architecture) and get(name, latent) == architecture:
            return name, latent
    raise RecipeError(
        "the architecture is not registered: choose a --model that the weights can be fitted to, "
        f"or a --recipe that has its numbers as [architecture]: {architecture}"
    )


def describe(architecture: Architecture) -> dict[str, Any]:
    """Return plain data from which :func:`restore` makes the same architecture again."""
    numbers = dataclasses.asdict(architecture)  # type: ignore[call-overload]
    return {"kind": architecture.kind, **numbers}


def restore(description: dict[str, Any]) -> Architecture:
    """Make the architecture that :func:`describe` described.

    Raises:
        RecipeError: the kind is unknown or the numbers are not its own.
    """
    numbers = dict(description)
    try:
        family = KINDS[str(numbers.pop("kind", None))]
        if numbers.keys() - {field.name for field in dataclasses.fields(family)}:
            raise KeyError(", ".join(numbers))
        architecture: Architecture = msgspec.convert(numbers, family)
    except (KeyError, msgspec.ValidationError) as error:
        raise RecipeError(f"architecture {description!r} is not one of edgecae's") from error
    return architecture
