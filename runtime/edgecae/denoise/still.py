"""Denoise a picture with all that belongs to it."""

from __future__ import annotations

import numpy as np

from edgecae.denoise.blend import WEIGHT_ONE
from edgecae.denoise.denoiser import Denoiser
from edgecae.media.images.deep import rows_of
from edgecae.media.images.picture import Picture
from edgecae.media.images.transparency import cover_hidden

__all__ = ["denoise_still", "is_unchanged"]


def denoise_still(picture: Picture, denoiser: Denoiser) -> Picture:
    """Denoise one picture, of a scene of its own.

    Colours under alpha 0 count for nothing, and stay as they are. Of a picture with 16 bits a
    channel, the network sees 8; what it takes away of them is taken off the 16.

    Args:
        picture: its pixels are overwritten.
        denoiser: opened; it forgets earlier frames.

    Returns:
        The denoised picture.
    """
    denoiser.reset()
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is None or alpha.all():
        denoiser.process(pixels, out=pixels)
        return picture
    step = rows_of(pixels[0].nbytes)
    bands = [np.s_[top : top + step] for top in range(0, len(pixels), step)]
    hidden = [pixels[band][alpha[band] == 0] for band in bands]
    cover_hidden(pixels, alpha)
    denoiser.process(pixels, out=pixels)
    for band, colours in zip(bands, hidden, strict=True):
        pixels[band][alpha[band] == 0] = colours
    return picture


def is_unchanged(denoiser: Denoiser) -> bool:
    """Whether the last frame came back as it was: nothing of the result was taken."""
    return round(denoiser.share * WEIGHT_ONE) == 0
