"""Conversion of a trained run to a TFLite file, checked against the float network.

:func:`convert` makes the file and returns :class:`ConversionResults`. Needs the extra ``train``.
What is listed here is public; everything else may change from one version to the next. Nothing is
imported before it is used: importing this package imports no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecae_convert.conversion import convert
    from edgecae_convert.report.results import ConversionResults

__all__ = ["ConversionResults", "convert"]

_MODULES = {
    "ConversionResults": "edgecae_convert.report.results",
    "convert": "edgecae_convert.conversion",
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
