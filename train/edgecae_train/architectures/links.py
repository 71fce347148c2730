"""The channels that equalization may rescale, as an architecture names them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Link"]


@dataclass(frozen=True)
class Link:
    """Channels that several layers share, named by layer.

    Attributes:
        writers: convolutions that compute the channels; one with n times as many
            outputs computes channel c as its outputs c, c + C, c + 2C, …, as depth-to-space
            reads them.
        readers: convolutions, depthwise ones among them, that read the channels, as the first of
            their inputs.
        seen: layers whose outputs are the channels, where their ranges are measured. Between
            writers and readers there may be nothing but ReLU, depth-to-space and additions.
        bound: where all channels are cut off above, and what their rounding is made for; none:
            the largest channel decides.
    """

    writers: tuple[str, ...]
    readers: tuple[str, ...]
    seen: tuple[str, ...]
    bound: float | None = None

    def renamed(self, prefix: str) -> Link:
        """The link between layers whose names begin with ``prefix``, and go on as here."""

        def each(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(prefix + name for name in names)

        return Link(each(self.writers), each(self.readers), each(self.seen), self.bound)
