"""Noise as a camera's own processing leaves it, with its parameters drawn for each picture.

What happens, in this order. Each part has a share of the pictures that it is applied to:

1. ``bayer``: the noise is that of a Bayer sensor, demosaicked; else every pixel has its own.
2. ``denoise``: the camera's noise reduction blurred it, its colour more than its brightness.
3. ``scale``: the picture was enlarged.
4. ``sharpen``: the picture was sharpened.
5. ``raw``: the noise was made in linear light, as shot and read noise, before white balance and
   tone curve; else its σ follows a power of brightness.
6. One of: ``jpeg``; ``video`` (blocks of H.264 or H.265 on a moving clip); ``chroma`` (4:2:0 or
   4:2:2 and nothing else, as webcams and decoders give it). Their sum is 1 at most.

A picture that is gray all over is taken as that of a single-plane camera (monochrome, infrared):
its noise is the same in all channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise.base import Noise
from edgecae.noise.camera import drawn, field, sensor
from edgecae.noise.camera.drawn import Generator
from edgecae.noise.camera.storage import Storage, draw_storage
from edgecae.noise.normals import Normals, standard_normals
from edgecae.noise.numbers import number_range

__all__ = ["FORM", "CameraNoise", "parse_camera"]

FORM = "camera:NAME=VALUE,…"

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

MIN_LEVEL = 0.1
_SEEDS = 2**31
"""Cameras that a seed tells apart."""


@dataclass(frozen=True)
class CameraNoise(Noise):
    """Noise of a camera's pictures.

    Attributes:
        level: lowest and highest σ of the noise at a medium gray before it is stored, on the 0–255
            scale; drawn evenly on a scale of ratios.
        bayer, denoise, scale, sharpen, raw, jpeg, video, chroma: share of the pictures that each
            part is applied to, 0 to 1; see the top of this module.
        seed: of one camera for all pictures: its parts and their parameters are drawn once, from
            this number. None: each picture has a camera of its own.
        drawn: the numbers of one camera themselves (:mod:`.drawn`), in place of a seed; else empty.
    """

    costly: ClassVar[bool] = True
    level: tuple[float, float] = (0.7, 30.0)
    bayer: float = 0.6
    denoise: float = 0.85
    scale: float = 0.3
    sharpen: float = 0.4
    raw: float = 0.5
    jpeg: float = 0.45
    video: float = 0.1
    chroma: float = 0.25
    seed: int | None = None
    drawn: str = ""

    def pair(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals | None = None
    ) -> tuple[Pixels, Pixels]:
        """See :meth:`edgecae.noise.Noise.pair`."""
        batch = clean[None] if clean.ndim < 4 else clean
        if batch.ndim == 3:  # one picture H×W
            batch = batch[..., None]
        if batch.shape[-1] == 1:
            batch = np.repeat(batch, 3, axis=-1)
        gray = (batch == batch[..., :1]).all(axis=(1, 2, 3))
        noisy = self._exposed(batch, rng, normals or standard_normals, gray)
        target = batch.copy()
        for index in range(len(batch)):
            storage = self.storage(rng)
            picture = storage.store(noisy[index], batch[index], rng)
            if gray[index]:
                noisy[index] = picture[..., 1:2]
            else:
                noisy[index], target[index] = picture, storage.target(batch[index])
        if clean.shape[-1] == 3 and clean.ndim > 2:
            return noisy.reshape(clean.shape), target.reshape(clean.shape)
        return noisy[0, ..., 0].reshape(clean.shape), target[0, ..., 0].reshape(clean.shape)

    def _exposed(
        self, clean: Pixels, rng: np.random.Generator, normals: Normals, gray: NDArray[np.bool_]
    ) -> Pixels:
        """Pictures as the camera's processing gives them, before they are stored."""
        count = len(clean)
        camera, cameras = self._one(0) or rng, count if self._each else 1
        draws = camera.random((cameras, 4)).astype(np.float32)
        low, high = np.log(np.maximum(self.level, MIN_LEVEL))
        level = np.exp(low + (high - low) * draws[:, 0]) if self.level[1] else 0 * draws[:, 0]
        noise = normals(rng, clean.shape).astype(np.float32, copy=False)
        mosaic = (draws[:, 1] < self.bayer) & ~gray
        if mosaic.any():
            phase = (int(camera.integers(2)), int(camera.integers(2)))
            noise[mosaic] = field.demosaicked(noise[mosaic], phase)
        noise[gray] = noise[gray][..., :1]
        linear = draws[:, 2] < self.raw
        filters = field.draw_filters(camera, linear, self.denoise, self.sharpen, self.scale)
        noise = field.normalized(field.filtered(noise, filters))
        drawn_sensors = sensor.draw_sensors(camera, level[linear]) if linear.any() else None
        power = 1.2 * draws[:, 3] - 0.4
        linear, level, power = (np.broadcast_to(each, count) for each in (linear, level, power))
        result = np.empty_like(noise)
        if drawn_sensors is not None:
            result[linear] = sensor.add_in_linear_light(clean[linear], noise[linear], drawn_sensors)
        if not linear.all():
            shaped = ~linear
            result[shaped] = sensor.add_shaped(
                clean[shaped], noise[shaped], level[shaped], power[shaped]
            )
        # White balance alone would colour the noise of a camera that has no colours.
        result[gray] = result[gray][..., 1:2]
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def storage(self, rng: np.random.Generator) -> Storage:
        """Draw how the next picture is stored, or what the one camera always does."""
        return draw_storage(self._one(1) or rng, self.jpeg, self.video, self.chroma)

    @property
    def _each(self) -> bool:
        """Whether each picture has a camera of its own."""
        return self.seed is None and not self.drawn

    def _one(self, part: int) -> Generator | None:
        """Where the one camera is drawn from, its processing (0) or its storage (1)."""
        if self.drawn:
            numbers = (drawn.decode(self.drawn) + 0.5) / 256
            return drawn.Drawn(numbers[drawn.STORED :] if part else numbers[: drawn.STORED])
        return None if self.seed is None else np.random.default_rng([self.seed, part])

    def still_frames(self, clean: Pixels, rng: np.random.Generator, count: int) -> Iterator[Pixels]:
        """Frames that one camera takes of a still scene; those of video are one clip.

        Args:
            clean: the scene, uint8, H×W×3.
            rng: where the noise is drawn from, and the camera unless :attr:`seed` says which.
            count: of frames.

        Yields:
            Frames, uint8, H×W×3.

        Raises:
            NoiseError: a library that this noise needs is not installed.
        """
        camera = self
        if self._each:
            camera = dataclasses.replace(self, seed=int(rng.integers(_SEEDS)))
        gray = (clean == clean[..., :1]).all(keepdims=True).reshape(1)
        exposed = (
            camera._exposed(clean[None], rng, standard_normals, gray)[0] for _ in range(count)
        )
        stored = camera.storage(rng).store_all(exposed)
        return (np.repeat(each[..., 1:2], 3, axis=-1) for each in stored) if gray[0] else stored


def parse_camera(settings: str, spec: str) -> CameraNoise:
    """Read what follows ``camera:``, such as ``level=2-20,jpeg=0``.

    ``rest`` is the share of every part that has none of its own: ``rest=0,chroma=1`` is 4:2:0 and
    4:2:2 alone. ``seed`` is a whole number: one camera, drawn from it, for all pictures. ``drawn``
    has such a camera's numbers themselves.

    Raises:
        NoiseError: a name that no parameter has, or a value out of its range.
    """
    others = ("spec", "level", "seed", "drawn")
    shares = [f.name for f in dataclasses.fields(CameraNoise) if f.name not in others]
    values: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        name, separator, text = (part.strip() for part in setting.partition("="))
        if (
            not separator
            or name not in ("level", "rest", "seed", "drawn", *shares)
            or name in values
        ):
            raise NoiseError(
                f"noise {spec!r}: {setting.strip()!r} is not one of level=LOW-HIGH, seed=N and, "
                f"once each, {', '.join(shares)}, rest (=SHARE)"
            )
        if name == "drawn":
            drawn.decode(text)
            values[name] = text
            continue
        if name == "seed":
            if not (text.isascii() and text.isdigit() and int(text) < _SEEDS):
                raise NoiseError(f"noise {spec!r}: {name} is a whole number below {_SEEDS}")
            values[name] = int(text)
            continue
        low, high = number_range(text, spec)
        if name != "level" and (low < high or high > 1):
            raise NoiseError(f"noise {spec!r}: {name} is a share, one number from 0 to 1")
        values[name] = (low, high) if name == "level" else high
    if (rest := values.pop("rest", None)) is not None:
        values = dict.fromkeys(shares, rest) | values
    noise = CameraNoise(spec, **values)
    if noise.jpeg + noise.video + noise.chroma > 1 + 1e-9:
        raise NoiseError(
            f"noise {spec!r}: jpeg, video and chroma exclude each other; their shares are "
            f"{noise.jpeg:g}, {noise.video:g} and {noise.chroma:g}, more than 1 together"
        )
    return noise
