"""What a source is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from edgecae.runtime.frame import Frame

__all__ = ["Source"]


class Source(Protocol):
    """Something that frames come from.

    A source is opened by making it, read by iterating over it once, and closed by leaving its
    ``with`` block. What goes wrong in it is a :class:`SourceError`.
    """

    @property
    def name(self) -> str:
        """For people."""

    @property
    def rate(self) -> Fraction | None:
        """Nominal frames a second, where there is such a thing."""

    @property
    def broken(self) -> int:
        """Frames so far that could not be decoded."""

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *error: object) -> None: ...
