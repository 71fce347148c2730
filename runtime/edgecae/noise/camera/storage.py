"""How a camera stores its pictures: drawn once for a picture, or for all of one camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera import coding
from edgecae.noise.camera.drawn import Generator

__all__ = ["Storage", "draw_storage"]

Pixels = NDArray[np.uint8]

_HEVC_SHARE = 0.25
_QUALITY = (55, 97)
_CRF = (16, 36)
_SUBSAMPLINGS, _SUBSAMPLING_SHARES = ("4:2:0", "4:2:2", "4:4:4"), (0.55, 0.15, 0.3)


@dataclass(frozen=True)
class Storage:
    """One way to store pictures.

    Attributes:
        subsampling: what is lost of colour, in a clean picture as well; None: nothing.
        quality: of JPEG, 1 to 100; 0 for pictures that are no JPEG.
        encoder: of video, ``libx264`` or ``libx265``; empty for pictures that are none.
        crf: constant rate factor of the encoder.
    """

    subsampling: coding.Subsampling | None = None
    quality: int = 0
    encoder: str = ""
    crf: int = 0

    def store(self, noisy: Pixels, clean: Pixels, rng: np.random.Generator) -> Pixels:
        """Store one picture and read it again.

        Args:
            noisy: uint8, H×W×3.
            clean: the same without noise: video shows it moving.
            rng: where movements are drawn from.

        Raises:
            NoiseError: PyAV, which video needs, is not installed.
        """
        if self.quality:
            way = self.subsampling
            name = "4:4:4" if way is None else "4:2:0" if way.rows else "4:2:2"
            return coding.jpeg(noisy, self.quality, name)
        if self.encoder:
            return coding.video(noisy, clean, self.encoder, self.crf, rng)
        return noisy if self.subsampling is None else coding.subsampled(noisy, self.subsampling)

    def store_all(self, pictures: Iterable[Pixels]) -> Iterator[Pixels]:
        """Store the pictures of one shot, video as one clip, and read them again.

        Args:
            pictures: uint8, H×W×3, as the camera's processing gives them.

        Raises:
            NoiseError: PyAV, which video needs, is not installed.
        """
        if self.encoder:
            yield from coding.clip(pictures, self.encoder, self.crf)
        else:
            for picture in pictures:
                # Neither JPEG nor fewer chroma samples look at the clean picture or draw.
                yield self.store(picture, picture, np.random.default_rng(0))

    def target(self, clean: Pixels) -> Pixels:
        """What a denoiser should make of a stored picture: the same colour is lost."""
        return clean if self.subsampling is None else coding.subsampled(clean, self.subsampling)


def draw_storage(rng: Generator, jpeg: float, video: float, chroma: float) -> Storage:
    """Draw a way to store pictures, by the shares of JPEG, video and 4:2:0 or 4:2:2."""
    draw = float(rng.random())
    if draw < jpeg:
        low, high = _QUALITY
        subsampling = str(rng.choice(_SUBSAMPLINGS, p=_SUBSAMPLING_SHARES))
        quality = int(rng.integers(low, high + 1))
        way = coding.Subsampling(limited=False, smooth=True, rows=subsampling == "4:2:0")
        return Storage(None if subsampling == "4:4:4" else way, quality=quality)
    if draw < jpeg + video:
        encoder = "libx265" if rng.random() < _HEVC_SHARE else "libx264"
        crf = int(rng.integers(_CRF[0], _CRF[1] + 1))
        return Storage(coding.Subsampling(), encoder=encoder, crf=crf)
    if draw < jpeg + video + chroma:
        return Storage(coding.draw_subsampling(rng))
    return Storage()
