"""Whether this machine holds the cameras of a file, and which models it would hold."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecae import models
from edgecae.denoise.denoiser import Denoiser
from edgecae.device import speeds
from edgecae.errors import EdgecaeError, SourceError
from edgecae.media.sources import open_source
from edgecae.redact import redacted
from edgecae.stream.cameras.settings import Cameras, CameraSettings
from edgecae.stream.cameras.supervisor import Budget
from edgecae.stream.threads import cores, measure_side_by_side
from edgecae.tflite import model_file
from edgecae.timeout import call_with_timeout

__all__ = ["CameraLoad", "CapacityReport", "Seen", "examine", "loads"]

_WATCHED = 2.0
"""Seconds that a live source is watched for its rate."""

_PATIENCE = 15.0
"""Seconds that a source gets in all."""

_MAX_MEASURED = 1.5
"""Seconds of one frame; what would take longer is scaled from a smaller size by its pixels."""


@dataclass(frozen=True)
class Seen:
    """What a source gives.

    Attributes:
        width: of a frame, pixels; 0: not known.
        height: likewise.
        rate: frames a second; 0.0: not known, or as many as there is time for.
        trouble: why it is not known; empty: it is.
    """

    width: int = 0
    height: int = 0
    rate: float = 0.0
    trouble: str = ""


@dataclass(frozen=True)
class CameraLoad:
    """What one camera takes.

    Attributes:
        name: of the camera.
        model: in the file.
        width: of a frame, pixels; 0: not known.
        height: likewise.
        rate: frames a second; 0.0: not known.
        trouble: why it is not known; empty: it is.
        cores: that it takes with each model, its own among them; with what capture, recordings and
            the view take beside it (``edgecae.device.speeds.HEADROOM``).
        late: models whose frames take longer than there is time for between two of them.
        fits: models that it could have while the other cameras keep theirs.
    """

    name: str
    model: str
    width: int
    height: int
    rate: float
    trouble: str
    cores: dict[str, float]
    late: tuple[str, ...]
    fits: tuple[str, ...] = ()


@dataclass(frozen=True)
class CapacityReport:
    """What all cameras take together.

    Attributes:
        threads: cores that they may use.
        cameras: each of them.
        cores: that they take as the file has them.
        alike: cores that they would take if all had one model, by model; the best first.
        holds: whether this machine holds them; cameras that nothing is known of count for nothing.
    """

    threads: int
    cameras: tuple[CameraLoad, ...]
    cores: float
    alike: dict[str, float]
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return dataclasses.asdict(self)


def examine(file: Cameras) -> CapacityReport:
    """Look at each camera for some seconds, and measure models on frames of their sizes.

    As many interpreters work side by side as will when the cameras run.
    """
    budget = Budget.of(len(file.cameras), file.threads)
    threads = min(file.threads or cores(), cores())
    every = list(file.cameras.values())
    with ThreadPoolExecutor(len(every)) as pool:
        seen = list(pool.map(_look, every))
    sizes = {(each.width, each.height) for each in seen if each.width}
    names = list(dict.fromkeys([each.session.model for each in every] + speeds.candidates()))
    busy = min(threads, len(every))
    seconds = {
        (name, size): took
        for name in names
        for size, took in _measure(name, sorted(sizes, key=_pixels), budget.threads, busy).items()
    }
    return loads(every, seen, seconds, threads, budget.threads)


def loads(
    cameras: Sequence[CameraSettings],
    seen: Sequence[Seen],
    seconds: dict[tuple[str, tuple[int, int]], float],
    threads: int,
    each: int,
) -> CapacityReport:
    """Add up what cameras take.

    Args:
        cameras: of the file.
        seen: what the source of each gives.
        seconds: of a frame, by model and size.
        threads: cores that all may use.
        each: threads of one interpreter.
    """
    names = list(dict.fromkeys(name for name, _ in seconds))
    alone = []
    for camera, source in zip(cameras, seen, strict=True):
        size = (source.width, source.height)
        # The share of its time that a thread is busy, with what is needed beside it.
        share = {
            name: seconds[name, size] * source.rate * speeds.HEADROOM if source.width else 0.0
            for name in names
        }
        late = tuple(name for name in names if share[name] > 1)
        taken = {name: round(each * share[name], 3) for name in names}
        model = camera.session.model
        alone.append(
            CameraLoad(
                camera.name, model, *size, round(source.rate, 2), source.trouble, taken, late
            )
        )
    total = sum(one.cores[one.model] for one in alone if one.cores)
    good = speeds.quality()
    found = []
    for one in alone:
        others = total - one.cores.get(one.model, 0.0)
        fits = [n for n in names if others + one.cores[n] <= threads and n not in one.late]
        fits.sort(key=lambda name: good.get(name, 0.0), reverse=True)
        found.append(dataclasses.replace(one, fits=tuple(fits)))
    alike = {
        name: round(sum(one.cores[name] for one in alone), 3)
        for name in sorted(names, key=lambda name: good.get(name, 0.0), reverse=True)
    }
    holds = total <= threads and not any(one.model in one.late for one in alone)
    return CapacityReport(threads, tuple(found), round(total, 3), alike, holds)


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _look(camera: CameraSettings) -> Seen:
    """Find out what the source of a camera gives; what the file says of it, where it is away."""
    asked, spec = camera.session.camera, camera.session.source
    try:
        return call_with_timeout(_PATIENCE, lambda: _watch(camera))
    except TimeoutError:
        trouble = f"{redacted(spec)}: no frame within {_PATIENCE:g} s"
    except EdgecaeError as error:
        trouble = str(error)
    if asked.size is not None and asked.rate is not None:
        return Seen(*asked.size, float(asked.rate), f"{trouble}; taken as the file has it")
    return Seen(trouble=trouble)


def _watch(camera: CameraSettings) -> Seen:
    with open_source(camera.session.source, camera.session.camera) as source:
        times: list[float] = []
        shape: tuple[int, ...] = ()
        for frame in source:
            shape = frame.pixels.shape
            camera.session.camera.buffers.give(frame.pixels)
            times.append(time.monotonic())
            if not source.live or times[-1] - times[0] > _WATCHED:
                break
        if not times:
            raise SourceError(f"{source.name} holds no frame that can be decoded")
        rate = float(source.rate or 0)
        if len(times) > 2:
            rate = (len(times) - 1) / (times[-1] - times[0])
        return Seen(shape[1], shape[0], rate)


def _measure(
    model: str, sizes: Sequence[tuple[int, int]], threads: int, busy: int
) -> dict[tuple[int, int], float]:
    """Measure seconds of a frame, while so many interpreters are busy.

    Args:
        model: its name, or a file.
        sizes: width and height, the smallest first.
        threads: of each interpreter.
        busy: how many there are.
    """
    read = model_file.read(models.find_model(model))
    found: dict[tuple[int, int], float] = {}
    last: tuple[int, int] | None = None
    with contextlib.ExitStack() as stack:
        denoisers = [stack.enter_context(Denoiser(read, threads)) for _ in range(busy)]
        for size in sizes:
            expected = 0.0 if last is None else found[last] * _pixels(size) / _pixels(last)
            if expected > _MAX_MEASURED:
                found[size] = expected
                continue
            frame = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
            found[size] = measure_side_by_side(denoisers, frame, threads).milliseconds / 1000
            last = size
    return found
