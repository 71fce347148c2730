"""Quality of the results, against the clean image and against the float network.

The 8-bit protocol: noisy = round(clip(clean + σ·n, 0, 255)) as uint8, n from
``numpy.random.default_rng(0)`` made anew for each set and σ, images in sorted order. PSNR, SSIM and
MSE over all pixels and channels of an image, then the mean over the images. A clip has the PSNR of
each frame besides, and its flicker (:func:`edgecae.quality.flicker`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecae.bench import methods
from edgecae.bench.methods import Method
from edgecae.bench.peers.base import Pixels
from edgecae.errors import EdgecaeError, SourceError
from edgecae.media import sources
from edgecae.noise import gaussian
from edgecae.quality import flicker, mse, psnr, ssim

__all__ = [
    "SIGMAS",
    "ImageSet",
    "OverTime",
    "Quality",
    "Strip",
    "differences",
    "measure_quality",
    "noisy_groups",
    "read_set",
    "shown_frames",
]

SIGMAS = (5.0, 15.0, 25.0, 50.0)

CROP_SIDE = 128
"""Side of the crops in a strip, pixels."""


@dataclass(frozen=True)
class ImageSet:
    """Clean pictures to measure on.

    Attributes:
        name: name of the folder or clip.
        groups: a group for each photo, or one of all frames of a clip; uint8, H×W×3.
    """

    name: str
    groups: tuple[tuple[Pixels, ...], ...]

    @property
    def images(self) -> int:
        """Number of pictures."""
        return sum(len(group) for group in self.groups)


@dataclass(frozen=True)
class OverTime:
    """The quality of a method on a clip, frame by frame.

    Attributes:
        psnr: dB, one a frame, in order; None where a frame is without any error.
        flicker: :func:`edgecae.quality.flicker`, levels of the 0–255 scale.
    """

    psnr: tuple[float | None, ...]
    flicker: float


@dataclass(frozen=True)
class Quality:
    """The quality of a method on a set, at a level of noise.

    Attributes:
        method: a name of :mod:`edgecae.bench.methods`.
        set: name of the set.
        sigma: σ of the noise, 0–255 scale.
        images: number of pictures.
        psnr: dB, mean over the images; None where one is without any error.
        ssim: mean over the images.
        mse: mean over the images, 0–255 scale squared.
        float_method: the float network that this int8 model was made of, where it was measured.
        psnr_to_float: dB of the int8 result with the float one for reference; None: none, or equal.
        mse_to_float: MSE of the same two; None: there is no float result.
        over_time: of a clip; None: the set is one of pictures.
    """

    method: str
    set: str
    sigma: float
    images: int
    psnr: float | None
    ssim: float
    mse: float
    float_method: str | None = None
    psnr_to_float: float | None = None
    mse_to_float: float | None = None
    over_time: OverTime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Strip:
    """The same place of one picture, as each method leaves it.

    Attributes:
        set: where the picture is from.
        sigma: of the noise.
        crops: by method, ``clean`` and ``noisy`` among them; uint8, up to :data:`CROP_SIDE` a side.
    """

    set: str
    sigma: float
    crops: dict[str, Pixels] = field(default_factory=dict)


def read_set(path: Path) -> ImageSet:
    """Read a folder of images, an image or a clip, all of it into memory.

    Raises:
        SourceError: there is none, or it can't be read.
    """
    with sources.open_source(str(path)) as source:
        if source.live:
            raise SourceError(f"{path} is live: quality is measured on a folder or a file")
        frames = tuple(_rgb(frame.pixels) for frame in source)
        photos = source.rate is None
    if photos and source.broken:  # a figure over the rest would not be that of the set
        raise SourceError(f"{path}: {source.broken} of its pictures can't be read")
    return ImageSet(path.name, tuple((frame,) for frame in frames) if photos else (frames,))


def _rgb(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def noisy_groups(clean: ImageSet, sigma: float) -> Iterator[tuple[Pixels, ...]]:
    """Yield the groups of a set with noise added, the same at every call."""
    rng, noise = np.random.default_rng(0), gaussian(sigma)
    for group in clean.groups:
        yield tuple(noise.add(frame, rng) for frame in group)


def shown_frames(count: int) -> list[int]:
    """The frames that tables show of a clip: the first, the tenth and the last, counted from 0."""
    return sorted({index for index in (0, 9, count - 1) if index < count})


def differences(
    reference: Sequence[Pixels], images: Sequence[Pixels]
) -> tuple[float | None, float, float]:
    """Return the means over pairs of images of PSNR (dB; None where two are equal), SSIM, MSE."""
    pairs = list(zip(reference, images, strict=True))
    decibels = [psnr(a, b) for a, b in pairs]
    return (
        round(float(np.mean(decibels)), 4) if all(map(math.isfinite, decibels)) else None,
        round(float(np.mean([ssim(a, b) for a, b in pairs])), 5),
        round(float(np.mean([mse(a, b) for a, b in pairs])), 4),
    )


def measure_quality(
    every: Mapping[str, Method],
    sets: Sequence[ImageSet],
    sigmas: Sequence[float] = SIGMAS,
    threads: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[list[Quality], Strip | None, dict[str, str]]:
    """Measure methods on sets.

    Args:
        every: by name; those of float networks are compared with their int8 models.
        sets: clean pictures.
        sigmas: of the noise.
        threads: of what computes; they don't change the result.
        tell: is told what is measured.

    Returns:
        One :class:`Quality` a set, σ and method; crops of the first set's first picture, or of the
        last frame of a clip, at the σ nearest to 25; and what could not be measured, and why.
    """
    found: list[Quality] = []
    strip: Strip | None = None
    failed: dict[str, str] = {}
    twins = {name: methods.float_method_of(name, list(every)) for name in every}
    shown = min(sigmas, key=lambda sigma: abs(sigma - 25), default=None)
    # A float network first, so that its results are there for its int8 models.
    order = sorted(every, key=lambda name: name not in twins.values())
    for clean in sets:
        for sigma in sigmas:
            given = list(noisy_groups(clean, sigma))
            reference = [frame for group in clean.groups for frame in group]
            results: dict[str, list[Pixels]] = {}
            rows: dict[str, Quality] = {}
            for name in order:
                tell(f"{name} on {clean.name} at σ {sigma:g}")
                try:
                    images = _run(every[name], given, sigma, threads)
                except EdgecaeError as error:
                    failed[f"{name} on {clean.name} at σ {sigma:g}"] = str(error)
                    continue
                if name in twins.values():
                    results[name] = images
                rows[name] = _row(name, clean, sigma, images, results, twins[name])
                if clean is sets[0] and sigma == shown:
                    strip = strip or _strip(clean, sigma, given)
                    picture = len(clean.groups[0]) - 1
                    strip.crops[name] = images[picture][_place(reference[picture])].copy()
            found += [rows[name] for name in every if name in rows]
    return found, strip, failed


def _run(
    method: Method, given: Sequence[tuple[Pixels, ...]], sigma: float, threads: int
) -> list[Pixels]:
    if method.temporal and len(given) > 1:
        raise SourceError(f"{method.name} looks at several frames: measure it on a clip")
    images: list[Pixels] = []
    with method.open(sigma, threads) as stream:
        for group in given:
            images += [frame.copy() for frame in stream(group)]
    return images


def _row(
    name: str,
    clean: ImageSet,
    sigma: float,
    images: Sequence[Pixels],
    results: Mapping[str, Sequence[Pixels]],
    twin: str | None,
) -> Quality:
    reference = [frame for group in clean.groups for frame in group]
    row = Quality(
        name,
        clean.name,
        sigma,
        clean.images,
        *differences(reference, images),
        over_time=_over_time(reference, images) if len(clean.groups) < clean.images else None,
    )
    if twin is None or twin not in results:
        return row
    to_float, _, mse_to_float = differences(results[twin], images)
    return dataclasses.replace(
        row, float_method=twin, psnr_to_float=to_float, mse_to_float=mse_to_float
    )


def _over_time(reference: Sequence[Pixels], images: Sequence[Pixels]) -> OverTime:
    decibels = [psnr(a, b) for a, b in zip(reference, images, strict=True)]
    return OverTime(
        tuple(round(value, 4) if math.isfinite(value) else None for value in decibels),
        round(flicker(reference, images), 4),
    )


def _place(frame: Pixels) -> tuple[slice, slice]:
    """Where a frame has most detail: of squares side by side, the one of the largest steps."""
    height, width = frame.shape[:2]
    corners = [
        (top, left)
        for top in range(0, max(1, height - CROP_SIDE + 1), CROP_SIDE // 2)
        for left in range(0, max(1, width - CROP_SIDE + 1), CROP_SIDE // 2)
    ]
    places = [(slice(top, top + CROP_SIDE), slice(left, left + CROP_SIDE)) for top, left in corners]
    gray = frame.mean(axis=2)
    return max(places, key=lambda place: float(np.abs(np.diff(gray[place], axis=1)).mean()))


def _strip(clean: ImageSet, sigma: float, given: Sequence[tuple[Pixels, ...]]) -> Strip:
    place = _place(clean.groups[0][-1])
    crops = {"clean": clean.groups[0][-1][place], methods.NOISY: given[0][-1][place]}
    return Strip(clean.name, sigma, crops)
