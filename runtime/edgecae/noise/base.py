"""The contract of a noise model, and what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.normals import Normals

__all__ = ["Noise"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Noise(ABC):
    """Something that makes a clean picture noisy.

    Attributes:
        spec: the description that gives the same noise again (:func:`edgecae.noise.parse`).
        costly: whether it takes longer to make than a small network takes to train on it.
    """

    spec: str
    costly: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.spec

    @property
    def name(self) -> str:
        """A short text for tables: the description, unless that is long."""
        return self.spec

    @abstractmethod
    def pair(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals | None = None
    ) -> tuple[Pixels, Pixels]:
        """Make a noisy picture, and the picture that a denoiser should make of it.

        The two differ from each other by noise alone: where the noise comes with fewer chroma
        samples, those that are lost are missing from both.

        Args:
            clean: uint8, H×W×3, H×W×1 or H×W; or a batch N×H×W×3, for each of whose images
                everything random is drawn anew.
            rng: the only source of randomness: the same state gives the same result.
            normals: how to draw normal numbers; ``standard_normals`` unless given.

        Returns:
            noisy and target, uint8, each of the shape of ``clean``.

        Raises:
            NoiseError: a library that this noise needs is not installed.
        """

    def add(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals | None = None
    ) -> Pixels:
        """The noisy picture of :meth:`pair` alone."""
        return self.pair(clean, rng, normals)[0]
