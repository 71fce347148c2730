"""Packets and frames of a source that can't be shown: one of them ends nothing."""

from __future__ import annotations

import errno
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import naming
from edgecae.errors import SourceError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import MAX_PIXELS, check_size
from edgecae.media.video.stored import to_rgb

__all__ = ["DecodeErrors"]

log = naming.logger(__name__)


class DecodeErrors:
    """What a source has that can't be shown: counted, named, passed over.

    Args:
        max_pixels: of a frame; a larger one can't be shown.

    Attributes:
        count: packets and frames so far.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.count = 0
        self._max_pixels = max_pixels
        self._said = False

    def packet(self, name: str, why: str, error: Exception) -> None:
        """Count a packet of a source that can't be decoded."""
        self.count += 1
        if getattr(error, "errno", 0) != errno.EINVAL:  # of damaged ones, FFmpeg says EINVALDATA
            log.info("%s: %s", name, why)
            return
        self._say(f"{name}: a frame was refused; has it more than {self._max_pixels:,} pixels?")

    def _say(self, message: str) -> None:
        # Once is enough for people: those that follow are likely to be like it.
        log.log(logging.INFO if self._said else logging.WARNING, "%s", message)
        self._said = True

    def rgb(self, name: str, picture: Any, buffers: Buffers) -> NDArray[np.uint8] | None:
        """A decoded picture of a source as H×W×3 in a buffer; None if it can't be made RGB."""
        try:
            check_size("a frame", picture.width, picture.height, self._max_pixels)
            return to_rgb(picture, buffers, picture.interlaced_frame)
        except SourceError as error:
            self.count += 1
            self._say(f"{name}: {error}")
            return None
