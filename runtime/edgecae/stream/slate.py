"""The picture that stands in for a camera that is away."""

from __future__ import annotations

import datetime
import time

import numpy as np
from numpy.typing import NDArray

__all__ = ["slate"]

_DARK, _LIGHT = 24, 200


def slate(shape: tuple[int, ...], since: float) -> NDArray[np.uint8]:
    """A dark picture that says since when the source is offline.

    Args:
        shape: H×W×3 or H×W.
        since: seconds of the monotonic clock.

    Returns:
        uint8, of ``shape``.
    """
    from PIL import Image, ImageDraw

    # The time of day of a moment on the monotonic clock; a clock that was set meanwhile shows.
    moment = datetime.datetime.fromtimestamp(time.time() - (time.monotonic() - since))
    image = Image.new("L", (shape[1], shape[0]), _DARK)
    draw = ImageDraw.Draw(image)
    size = max(8, min(shape[0] // 12, shape[1] // 24))
    draw.text(
        (shape[1] / 2, shape[0] / 2),
        f"offline since {moment:%Y-%m-%d %H:%M:%S}",
        fill=_LIGHT,
        font_size=size,
        anchor="mm",
    )
    pixels = np.array(image)
    return np.repeat(pixels[..., None], 3, axis=2) if len(shape) == 3 else pixels
