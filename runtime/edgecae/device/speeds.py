"""Which shipped model for single frames denoises how many frames a second on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecae import models
from edgecae.denoise.denoiser import Denoiser
from edgecae.tflite import model_file

__all__ = ["SIZES", "Advice", "Speed", "advise", "candidates", "measure_speeds", "quality", "scale"]

SIZES: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720), (1920, 1080))
RATES = (30, 25, 15, 10, 5)
"""Frames a second that advice is given for, the first that is held."""

HEADROOM = 1.2
"""A model must be so much faster than a rate: capture, conversion and sinks want their share."""

BUDGET = 10.0
"""Seconds for all measurements."""


@dataclass(frozen=True)
class Speed:
    """How fast a model is here.

    Attributes:
        model: its name.
        width: of a frame, pixels.
        height: likewise.
        fps: frames a second, denoising alone.
        scaled: not measured but scaled by pixels from a smaller size.
    """

    model: str
    width: int
    height: int
    fps: float
    scaled: bool = False


@dataclass(frozen=True)
class Advice:
    """The best model for a size of frame.

    Attributes:
        width: pixels.
        height: likewise.
        fps: frames a second that it holds, with something left for the rest of a stream.
        model: its name.
    """

    width: int
    height: int
    fps: int
    model: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.fps} frames/s: {self.model}"


def candidates() -> list[str]:
    """Shipped models for single frames worth measuring, the cheapest first.

    Left out is a model that another beats in both cost and quality.
    """
    cost = {
        name: model_file.read(models.find_model(name)).macs_per_pixel
        for name in models.still_names()
    }
    good = quality()
    beaten = {
        name
        for name in cost
        for other in cost
        if name in good and good.get(other, 0) > good[name] and cost[other] < cost[name]
    }
    return sorted(cost.keys() - beaten, key=cost.__getitem__)


def quality() -> dict[str, float]:
    """Mean PSNR of the shipped models over the levels of noise that were measured, dB."""
    measured = models.figures()["psnr"]["8-bit"]["kodak24"]
    return {n: statistics.fmean(measured[n].values()) for n in models.names() if n in measured}


def measure_speeds(
    names: Sequence[str],
    threads: int,
    sizes: Sequence[tuple[int, int]] = SIZES,
    budget: float = BUDGET,
    clock: Callable[[], float] = time.monotonic,
    opener: Callable[[str, int], Denoiser] = Denoiser,
) -> list[Speed]:
    """Measure how fast models are, in about the time given.

    The median of at least two frames after one that warms up. The smallest size is measured for
    every model; a larger one is scaled from it where three frames would take too long.

    Args:
        names: of models.
        threads: of the interpreter.
        sizes: width and height, the smallest first.
        budget: seconds for all of it.
        clock: seconds, monotonic.
        opener: makes a denoiser from a name and threads.

    Raises:
        BackendError, ModelFileError: a model can't be run.
    """
    share = budget / (len(names) * len(sizes))
    found = []
    for name in names:
        with opener(name, threads) as denoiser:
            seconds = pixels = 0.0
            for width, height in sizes:
                # Three frames may take half as long again as their share.
                expected = seconds * width * height / pixels if pixels else 0.0
                if 2 * expected > share:
                    found.append(Speed(name, width, height, round(1 / expected, 2), True))
                    continue
                seconds = _median(denoiser, _noisy(width, height), share, clock)
                pixels = width * height
                found.append(Speed(name, width, height, round(1 / seconds, 2)))
    return found


def _noisy(width: int, height: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _median(denoiser: Denoiser, frame: Any, budget: float, clock: Callable[[], float]) -> float:
    """Median seconds of a frame."""
    out = np.empty_like(frame)
    began = clock()
    denoiser.process(frame, out)
    times: list[float] = []
    while len(times) < 2 or clock() - began + times[-1] < budget:
        before = clock()
        denoiser.process(frame, out)
        times.append(max(clock() - before, 1e-6))
    return statistics.median(times)


def advise(speeds: Sequence[Speed], good: dict[str, float]) -> list[Advice]:
    """The best model for each size, at the highest of :data:`RATES` that one holds.

    Args:
        speeds: from :func:`measure`.
        good: quality by model, the more the better.
    """
    found = []
    for size in dict.fromkeys((speed.width, speed.height) for speed in speeds):
        for rate in RATES:
            fit = [
                speed.model
                for speed in speeds
                if (speed.width, speed.height) == size
                and speed.model in good
                and speed.fps >= rate * HEADROOM
            ]
            if fit:
                found.append(Advice(*size, rate, max(fit, key=good.__getitem__)))
                break
    return found


def scale(speed: Speed, size: tuple[int, int]) -> Speed:
    """The speed at another size, were it to go by pixels alone."""
    pixels = speed.width * speed.height / math.prod(size)
    if pixels == 1:
        return speed
    return Speed(speed.model, *size, round(speed.fps * pixels, 2), scaled=True)
