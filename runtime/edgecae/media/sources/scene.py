"""``test:``: a built-in moving scene with chosen noise, to try everything without a camera."""

from __future__ import annotations

import itertools
import re
import time
import urllib.parse
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgecae import noise as noise_models
from edgecae.errors import NoiseError, SourceError
from edgecae.media.buffers import Buffers
from edgecae.media.frame import MAX_PIXELS, Frame, check_size
from edgecae.media.sources.base import SourceSettings, refuse_camera_options
from edgecae.redact import redacted

__all__ = ["TestScene", "open_source"]

_FORM = "test:WIDTHxHEIGHT@RATE?frames=N&noise=SPEC&seed=N&live=yes"
_PATTERN = re.compile(r"(?:(\d{1,5})x(\d{1,5}))?(?:@(\d{1,4}))?")


class TestScene:
    """A camera panning over a painted plane, with a disc that moves the other way.

    The same settings give the same frames. They are made as fast as they are asked for, or, as a
    camera would, at their rate.

    Args:
        width: of a frame, pixels.
        height: likewise.
        rate: nominal frames a second, which the timestamps follow.
        frames: how many; 0: no end.
        noise: put on every frame; None for a clean scene.
        seed: of scene and noise.
        live: whether it is one: frames come at their rate, and there is no end unless given.
        buffers: where pixels of frames come from.
        max_pixels: of a frame.
    """

    __test__ = False  # not a test case, whatever its name

    broken = 0

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        rate: int = 30,
        frames: int = 300,
        noise: noise_models.Noise | None = None,
        seed: int = 0,
        live: bool = False,
        buffers: Buffers | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if width < 1 or height < 1 or rate < 1 or frames < 0:
            raise SourceError("test: width, height and rate must be 1 or more, frames 0 or more")
        check_size("test:", width, height, max_pixels)
        self.name = f"test scene, {width}×{height}"
        self.rate = Fraction(rate)
        self.width, self.height, self.frames = width, height, frames
        self.noise, self.seed, self.live = noise, seed, live
        self._buffers = buffers or Buffers()
        self._plane = self._paint(np.random.default_rng([seed, 0]))

    def _paint(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The plane: soft waves, hard edges and fine texture, with room to pan."""
        height, width = self.height + 64, self.width + 64
        y, x = np.mgrid[:height, :width].astype(np.float32)
        plane = np.empty((height, width, 3), np.float32)
        for channel in range(3):
            a, b, c, d = rng.uniform(0.004, 0.03, 4)
            plane[..., channel] = 120 + 50 * np.sin(a * x + b * y) + 40 * np.sin(c * x - d * y)
        for _ in range(24):
            top, left = rng.integers(height), rng.integers(width)
            tall, wide = rng.integers(8, 96, 2)
            block = plane[top : top + tall, left : left + wide]
            block[...] = rng.uniform(10, 245, 3)
            if rng.random() < 0.5:
                block += 18 * np.sign(np.sin(x[: len(block), : block.shape[1], None] * 1.3))
        return np.clip(plane, 0, 255).astype(np.uint8)

    def clean(self, index: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The scene without noise, uint8, H×W×3, at frame ``index`` (from 0)."""
        shift = [round(32 + 31 * np.sin(index / period)) for period in (17, 23)]
        view = self._plane[shift[0] : shift[0] + self.height, shift[1] : shift[1] + self.width]
        picture = np.empty_like(view, order="C") if out is None else out
        picture[...] = view
        radius = max(2, min(self.height, self.width) // 10)
        centre = (self.height // 2, (self.width // 3 + 3 * index) % self.width)
        top, left = (max(0, c - radius) for c in centre)
        box = picture[top : centre[0] + radius + 1, left : centre[1] + radius + 1]
        y, x = np.ogrid[: box.shape[0], : box.shape[1]]
        inside = (y + top - centre[0]) ** 2 + (x + left - centre[1]) ** 2 <= radius**2
        box[inside] = (230, 200, 40)
        return picture

    def __iter__(self) -> Iterator[Frame]:
        start = time.monotonic()
        for index in range(self.frames) if self.frames else itertools.count():
            if self.live:
                time.sleep(max(0.0, start + index / float(self.rate) - time.monotonic()))
            picture = self.clean(index, self._buffers.take((self.height, self.width, 3)))
            if self.noise is not None:
                rng = np.random.default_rng([self.seed, 1, index])
                picture[...] = self.noise.add(picture, rng, noise_models.fast_normals)
            yield Frame(picture, time.monotonic(), index, 1 / self.rate)

    def __enter__(self) -> TestScene:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""


def open_source(spec: str, settings: SourceSettings) -> TestScene | None:
    """Open ``test:…``; None for any other description.

    Raises:
        SourceError: the settings don't parse.
    """
    if not spec.startswith("test:"):
        return None
    refuse_camera_options("test: (which says size and rate itself)", settings)
    size, _, query = spec.removeprefix("test:").partition("?")
    match = _PATTERN.fullmatch(size)
    try:
        if match is None:
            raise ValueError(f"{redacted(size)!r} is no WIDTHxHEIGHT@RATE")
        asked = dict(urllib.parse.parse_qsl(query, strict_parsing=True)) if query else {}
        if unknown := asked.keys() - {"frames", "noise", "seed", "live"}:
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        if asked.get("live", "no") not in ("yes", "no"):
            raise ValueError(f"live is yes or no, not {asked['live']!r}")
        noise = asked.get("noise")
        live = asked.get("live") == "yes"
        return TestScene(
            width=int(match[1] or 640),
            height=int(match[2] or 480),
            rate=int(match[3] or 30),
            frames=int(asked.get("frames", 0 if live else 300)),
            noise=noise_models.parse(noise) if noise else None,
            seed=int(asked.get("seed", 0)),
            live=live,
            buffers=settings.buffers,
            max_pixels=settings.max_pixels,
        )
    except (ValueError, NoiseError) as error:
        raise SourceError(f"source {redacted(spec)!r}: {error}; the form is {_FORM}") from error
