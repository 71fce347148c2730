"""Training: architectures, data, quantization-aware training.

:func:`train` runs a :class:`Recipe`. Needs the extra ``train`` (or ``gpu``). What is listed here,
and :mod:`edgecae_train.recipe`, is public; everything else may change from one version to the next.
Nothing is imported before it is used: importing this package imports no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecae_train.loop import Event, train
    from edgecae_train.recipe import Recipe

__all__ = ["Event", "Recipe", "train"]

_MODULES = {
    "Event": "edgecae_train.loop",
    "Recipe": "edgecae_train.recipe",
    "train": "edgecae_train.loop",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562).

    Raises:
        AttributeError: there is no public name ``name``.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
