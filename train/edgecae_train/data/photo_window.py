"""Photos held in memory, and parts that are drawn of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecae_train.data.images import Images

__all__ = ["PhotoWindow", "enlarged", "patch_detail"]

ENLARGED = 1.3, 2.6
"""How much larger a photo is made, at least and at most."""


Pixels = NDArray[np.uint8]


def patch_detail(patch: Pixels) -> float:
    """How much neighbouring pixels of a patch differ, of the green of every other row."""
    return float(np.abs(np.diff(patch[::2, :, 1].astype(np.int16), axis=1)).mean())


def enlarged(rng: np.random.Generator, photo: Pixels) -> Pixels:
    """Make a part of a photo as large as all of it, bicubic.

    A picture of a camera is soft at its full size, by lens and demosaicking. Most photos were made
    smaller, and are sharp in every pixel.

    Args:
        rng: decides which part.
        photo: uint8, H×W×3.
    """
    height, width = photo.shape[:2]
    scale = np.exp(rng.uniform(*np.log(ENLARGED)))
    left, top = (rng.random() * (length - length / scale) for length in (width, height))
    box = left, top, left + width / scale, top + height / scale
    picture = Image.fromarray(np.ascontiguousarray(photo))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))


class PhotoWindow:
    """Some of a series of images, held in memory; the oldest is replaced from time to time.

    Args:
        images: the series.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._held: dict[int, Pixels] = {}

    def _image(self, index: int, oldest: int) -> Pixels:
        if index not in self._held:
            for gone in [i for i in self._held if i < oldest]:
                del self._held[gone]
            self._held[index] = self._images.load(index)
        return self._held[index]

    def draw(self, rng: np.random.Generator, side: int, oldest: int, tries: int) -> Pixels:
        """Draw a part of a photo, turned and mirrored.

        Args:
            rng: decides which.
            side: of the part.
            oldest: number of the first image of the window.
            tries: parts that are drawn, of which the one with most detail is used.

        Returns:
            uint8, side×side×3 or what a small photo has.
        """
        best, most = None, -1.0
        for _ in range(tries):
            draw = rng.random(3)
            image = self._image(oldest + int(draw[0] * self._images.window), oldest)
            height, width = (min(side, length) for length in image.shape[:2])
            top = int(draw[1] * (image.shape[0] - height + 1))
            left = int(draw[2] * (image.shape[1] - width + 1))
            crop = image[top : top + height, left : left + width]
            detail = patch_detail(crop) if tries > 1 else 0.0
            if detail > most:
                best, most = crop, detail
        assert best is not None  # there is at least one try
        turn = int(rng.integers(8))
        if turn & 1:
            best = best[::-1]
        if turn & 2:
            best = best[:, ::-1]
        return best.transpose(1, 0, 2) if turn & 4 else best
