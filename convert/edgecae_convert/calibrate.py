"""The noisy pictures that post-training quantization takes its ranges from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae import noise as noise_models
from edgecae_convert.picture_size import fit
from edgecae_train.data.batches import Batches
from edgecae_train.data.images import BUILTIN, Folder, open_images
from edgecae_train.recipe import Recipe

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
        source: the same in words.
    """

    drawn: Batches
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
        height, width = size or (self.drawn.patch, self.drawn.patch)
        left = max(1, min(MAX_SINGLES, MAX_PIXELS // (height * width)))
        for batch in self.batches():
            for patch in batch[:left]:
                yield fit(patch, height, width)[None]
            left -= len(batch)
            if left <= 0:
                return


def examples(data: str, settings: Recipe) -> Examples:
    """Open a folder to calibrate on.

    Args:
        data: a folder of photos, or ``builtin``. Those that a training on it holds out are left
            alone.
        settings: noise, size of patches, share of gray ones and seed are those of the training.

    Raises:
        DataError: no such folder, or fewer than two usable images in it.
    """
    # As for the training, so that the same images are held out.
    smallest = max(size.patch for size in [*settings.float_phase.sizes, *settings.qat.sizes])
    images = open_images(data, smallest, settings.seed)
    noise = noise_models.parse(settings.noise)
    drawn = Batches(
        images=images,
        noise=noise,
        batch=PATCHES,
        patch=settings.qat.patch,
        seed=2 * settings.seed + 1,  # as of the QAT phase
        gray=settings.gray,
    )
    source = where(data)
    if isinstance(images, Folder):
        source = f"{len(images.training)} images in {source}, of which none is held out"
    return Examples(drawn, f"noisy patches ({noise.name}) of {source}")


def where(data: str) -> str:
    """A folder of photos, or ``builtin``, in words."""
    return "the built-in generator" if data == BUILTIN else data
