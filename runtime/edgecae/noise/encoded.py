"""Noise of video before it was encoded: cameras whose video looks like the frames that are there.

An encoder takes most of the noise of a still scene away and spreads the rest over several frames;
where something moves, far more of it is left. So what still frames show is not what a denoiser has
to remove. But a camera that is made (:mod:`.camera`) can be encoded as well. Cameras are drawn and
compared; the best are crossed and changed, again and again: approximate Bayesian computation by
populations (Beaumont, Cornuet, Marin and Robert, "Adaptive approximate Bayesian computation",
Biometrika 96(4), 2009), without its weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera import CameraNoise, drawn
from edgecae.noise.camera.model import parse_camera
from edgecae.noise.likeness import SEGMENT, Look, distance, look

__all__ = ["LASTING", "MAX_DISTANCE", "Excerpt", "LikeCamera", "find_cameras", "scene_of"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

LASTING = 0.1
"""Correlation of a frame's noise with the next one's, above which frames are taken for video."""

MAX_DISTANCE = 1.0
"""Of a camera that counts as like the frames."""

HEIGHT, WIDTH = 160, 224
"""Of the part of a frame that is looked at, at most."""

SETTLE = 6
"""Frames of a made clip that are passed over."""

MAX_LEVEL = 120
_SETTINGS = f"level=1-{MAX_LEVEL},jpeg=0,video=1,chroma=0,drawn="

FIRST, KEPT, GENERATIONS, CHILDREN, CHOSEN = 120, 16, 8, 40, 4
"""Cameras drawn at first; kept of each generation; generations and children of each; the result."""

CROSSED, CHANGED = 0.25, 0.25
"""Share of a child's numbers that are another parent's, and that are changed."""
FIRST_CHANGE = 40.0
"""σ of a change in parts of 256, which falls with the generations."""


@dataclass(frozen=True)
class LikeCamera:
    """A camera whose video looks like the frames.

    Attributes:
        spec: its description, for :func:`edgecae.noise.parse`.
        distance: how unalike it looks, see :func:`.likeness.distance`.
    """

    spec: str
    distance: float


class Excerpt:
    """Passes frames on, and keeps what :func:`find_cameras` needs of them.

    Args:
        frames: uint8, H×W×3 or gray.
    """

    MAX_FRAMES = 3 * SEGMENT

    def __init__(self, frames: Iterable[Pixels]) -> None:
        self._frames = frames
        self.kept: list[Pixels] = []

    def __iter__(self) -> Iterator[Pixels]:
        for frame in self._frames:
            if len(self.kept) < self.MAX_FRAMES:
                self.kept.append(_middle(frame))
            yield frame


def _middle(frame: Pixels) -> Pixels:
    """The middle of a frame, on whole blocks of an encoder; gray three times."""
    height, width = frame.shape[:2]
    top, left = (max(0, a - b) // 32 * 16 for a, b in ((height, HEIGHT), (width, WIDTH)))
    part = frame[top : top + HEIGHT, left : left + WIDTH]
    if part.ndim == 2 or part.shape[2] == 1:
        part = np.repeat(part.reshape(*part.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(part)


def _camera(numbers: NDArray[np.uint8]) -> CameraNoise:
    settings = _SETTINGS + drawn.encode(numbers)
    return parse_camera(settings, f"camera:{settings}")


def _clip(camera: CameraNoise, scene: Pixels) -> list[Pixels]:
    """Frames that a camera takes of a still scene, with the same random numbers each time."""
    frames = camera.still_frames(scene, np.random.default_rng(0), SETTLE + SEGMENT)
    return list(itertools.islice(frames, SETTLE, None))


def _unshifted(mean: Floats, scene: Pixels, frames: Sequence[Pixels]) -> Pixels:
    """A scene of which a camera's frames have a given mean.

    Args:
        mean: H×W×3.
        scene: a guess.
        frames: what the camera makes of the guess.
    """
    shift = np.mean(frames, axis=0) - scene
    every = np.arange(256.0)
    result = np.empty_like(scene)
    for channel in range(3):
        bins = scene[..., channel].ravel() // 8
        count = np.bincount(bins, minlength=32)
        there = count >= min(50, count.max())
        total = np.bincount(bins, shift[..., channel].ravel(), 32)
        level = 8 * np.flatnonzero(there) + 3.5
        shown = every + np.interp(every, level, total[there] / count[there])
        shown = np.maximum.accumulate(shown)
        value = np.interp(mean[..., channel], shown, every)
        result[..., channel] = np.rint(value)
    return result


def scene_of(mean: Pixels, camera: CameraNoise) -> Pixels:
    """What a camera saw, where the mean of its frames is known: noise shifts it.

    Args:
        mean: uint8, H×W×3.
        camera: one whose processing is the same for each picture.
    """
    scene = mean
    for _ in range(2):
        scene = _unshifted(mean.astype(np.float64), scene, _clip(camera, scene))
    return scene


@dataclass(frozen=True, eq=False)
class _Candidate:
    numbers: NDArray[np.uint8]
    scene: Pixels
    distance: float = math.inf


class _Search:
    """Compares cameras with frames.

    Args:
        frames: parts of still frames.
        rng: that draws cameras.
    """

    def __init__(self, frames: Sequence[Pixels], rng: np.random.Generator) -> None:
        self.seen: Look = look(frames)
        self.mean = np.mean(frames, axis=0)
        self.scene = np.rint(self.mean).astype(np.uint8)
        self.rng = rng

    def drawn(self) -> _Candidate:
        """A camera with noise that is somewhat stronger than what the encoder left."""
        numbers = self.rng.integers(0, 256, drawn.COUNT, np.uint8)
        sigma = math.sqrt(float(np.average(self.seen.variance[0], weights=self.seen.pixels)))
        low, high = (np.clip(sigma * each, 1, MAX_LEVEL) for each in (0.8, 6))
        level = self.rng.uniform(math.log(low), math.log(high)) / math.log(MAX_LEVEL)
        numbers[0] = min(255, int(256 * level))
        return _Candidate(numbers, self.scene)

    def child(self, parents: Sequence[_Candidate], change: float) -> _Candidate:
        """One parent with some numbers of another, and some that are changed."""
        one, other = (parents[int(self.rng.integers(len(parents)))] for _ in range(2))
        numbers = one.numbers.astype(int)
        crossed, changed = self.rng.random((2, drawn.COUNT)) < [[CROSSED], [CHANGED]]
        numbers[crossed] = other.numbers[crossed]
        numbers[changed] += np.rint(self.rng.normal(0, change, changed.sum())).astype(int)
        return _Candidate(np.clip(numbers, 0, 255).astype(np.uint8), one.scene)

    def compared(self, candidate: _Candidate, again: bool = True) -> _Candidate:
        """The candidate with its distance, and with the scene that it would have seen."""
        camera, scene = _camera(candidate.numbers), candidate.scene
        frames = _clip(camera, scene)
        if again:
            scene = _unshifted(self.mean, scene, frames)
            frames = _clip(camera, scene)
        return _Candidate(candidate.numbers, scene, distance(self.seen, look(frames)))


def find_cameras(
    frames: Sequence[Pixels],
    seed: int = 0,
    threads: int = 1,
    announce: Callable[[str], None] = lambda line: None,
) -> tuple[LikeCamera, ...]:
    """Find cameras whose video looks like frames of a still scene.

    Some 800 short clips are made and encoded, which takes minutes.

    Args:
        frames: uint8, H×W×3; from an :class:`Excerpt`.
        seed: of the search.
        threads: that share the work; the result is the same.
        announce: told how far it is, a line a generation.

    Returns:
        The best first; none where no camera looks like them, there are too few frames, or they
        differ in size.

    Raises:
        NoiseError: PyAV is not installed, or its FFmpeg lacks an encoder.
    """
    sizes = {each.shape for each in frames}
    if len(frames) < SEGMENT or len(sizes) > 1 or min(frames[0].shape[:2]) < 32:
        return ()
    search = _Search(frames, np.random.default_rng(seed))
    with ThreadPoolExecutor(threads) as pool:

        def best(candidates: Iterable[_Candidate], again: bool = True) -> list[_Candidate]:
            found = list(pool.map(lambda each: search.compared(each, again), candidates))
            return sorted(found, key=lambda each: each.distance)[:KEPT]

        parents = best([search.drawn() for _ in range(FIRST)], again=False)
        parents = best(parents)
        for generation in range(GENERATIONS):
            change = FIRST_CHANGE / (1 + generation / 2)
            children = [search.child(parents, change) for _ in range(CHILDREN)]
            both = parents + best(children)
            parents = sorted(both, key=lambda each: each.distance)[:KEPT]
            announce(f"generation {generation + 1}: distance {parents[0].distance:.2f}")
    return tuple(
        LikeCamera(_camera(each.numbers).spec, each.distance)
        for each in parents[:CHOSEN]
        if each.distance <= MAX_DISTANCE
    )
