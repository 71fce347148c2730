"""The noisy pictures that post-training quantization takes its ranges from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae import noise as noise_models
from edgecae_convert.picture_size import fit
from edgecae_train import recipe
from edgecae_train.data.batches import Drawn
from edgecae_train.data.images import BUILTIN, Folder
from edgecae_train.recipe import Recipe
from edgecae_train.training_set import Photos, open_training_set

__all__ = ["Examples", "examples", "where"]

BATCHES = 32
PATCHES = 8
"""A batch."""
MAX_SINGLES = 128
"""Patches that the converter's own quantization sees, which takes them one by one."""
MAX_PIXELS = 2**22
"""Of all that it sees, where a network of a fixed size needs large ones."""


@dataclass(frozen=True)
class Examples:
    """Noisy pictures to calibrate on.

    Attributes:
        drawn: where they come from.
        patch: their side, pixels.
        source: the same in words.
    """

    drawn: Drawn
    patch: int
    source: str

    def batches(self) -> Iterator[NDArray[np.float32]]:
        """Batches, N×H×W×3 in [0, 1]; the same at each call."""
        for step in range(BATCHES):
            yield np.asarray(self.drawn.at(step)[0] / 255, np.float32)

    def singles(self, size: tuple[int, int] | None) -> Iterator[NDArray[np.float32]]:
        """Pictures one by one, 1×H×W×3 in [0, 1].

        Args:
            size: height and width, which patches are mirrored to; None: as they are.
        """
        height, width = size or (self.patch, self.patch)
        left = max(1, min(MAX_SINGLES, MAX_PIXELS // (height * width)))
        for batch in self.batches():
            for patch in batch[:left]:
                yield fit(patch, height, width)[None]
            left -= len(batch)
            if left <= 0:
                return


def examples(data: str | None, settings: Recipe) -> Examples:
    """Open a folder to calibrate on.

    Args:
        data: a folder of photos, or ``builtin``; None: what the training learned from. Pictures
            that a training on it holds out are left alone.
        settings: noise, size of patches, share of gray ones and seed are those of the training.

    Raises:
        DataError: no such folder, or fewer than two usable images in it.
    """
    if data is not None or not settings.photographed:
        plain = {"held_out": "", "pairs": "", "bursts": "", "flat": 0.0, "detail": 1}
        settings = recipe.with_changes(settings, {**plain, "data": data or settings.data})
    opened = open_training_set(settings)
    drawn = opened.batches(PATCHES, settings.qat.patch, 2 * settings.seed + 1)  # as of QAT
    if settings.photographed:
        kind, folder = settings.photographed
        return Examples(drawn, settings.qat.patch, f"noisy patches of the {kind} in {folder}")
    source = where(settings.data)
    if isinstance(opened, Photos) and isinstance(opened.images, Folder):
        source = f"{len(opened.images.training)} images in {source}, of which none is held out"
    noise = noise_models.parse(settings.noise).name
    return Examples(drawn, settings.qat.patch, f"noisy patches ({noise}) of {source}")


def where(data: str) -> str:
    """A folder of photos, or ``builtin``, in words."""
    return "the built-in generator" if data == BUILTIN else data
