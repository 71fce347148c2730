"""Several kinds of noise, one of which each image gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.base import Noise
from edgecae.noise.normals import Normals

__all__ = ["Mixture", "mixture"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Mixture(Noise):
    """``0.4*A + 0.6*B``: of a batch, each image gets one kind, drawn by its share.

    Attributes:
        kinds: at least two.
        shares: of each, above 0; their sum is 1.
    """

    kinds: tuple[Noise, ...]
    shares: tuple[float, ...]

    @property
    def name(self) -> str:
        """See :attr:`edgecae.noise.Noise.name`."""
        parts = zip(self.shares, self.kinds, strict=True)
        return " + ".join(f"{share:g}*{kind.name}" for share, kind in parts)

    def pair(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals | None = None
    ) -> tuple[Pixels, Pixels]:
        """See :meth:`edgecae.noise.Noise.pair`."""
        if clean.ndim < 4:
            kind = self.kinds[int(rng.choice(len(self.kinds), p=self.shares))]
            return kind.pair(clean, rng, normals)
        noisy, target = np.empty_like(clean), np.empty_like(clean)
        drawn = rng.choice(len(self.kinds), len(clean), p=self.shares)
        for index, kind in enumerate(self.kinds):
            chosen = drawn == index
            if chosen.any():
                noisy[chosen], target[chosen] = kind.pair(clean[chosen], rng, normals)
        return noisy, target


def mixture(kinds: Sequence[Noise], shares: Sequence[float]) -> Mixture:
    """A mixture, with its description.

    Args:
        kinds: at least two.
        shares: of each, above 0; their sum is 1.
    """
    parts = zip(shares, kinds, strict=True)
    # Nine digits: thirds, too, have the sum 1 when they are read again.
    text = " + ".join(f"{share:.9g}*{kind.spec}" for share, kind in parts)
    return Mixture(text, tuple(kinds), tuple(shares))
