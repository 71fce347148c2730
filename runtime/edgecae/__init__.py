"""edgecae denoises images and video with small int8 autoencoders on small CPUs.

:class:`Denoiser` opens a model and denoises frames. What is listed here is public; everything else
may change from one version to the next. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecae.denoise.denoiser import Denoiser

__all__ = ["Denoiser", "__version__"]

__version__: str
"""The version of the installed distribution."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562).

    Raises:
        AttributeError: there is no public name ``name``.
    """
    if name == "Denoiser":
        from edgecae.denoise.denoiser import Denoiser

        value: object = Denoiser
    elif name == "__version__":
        from importlib.metadata import version

        value = version("edgecae")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
