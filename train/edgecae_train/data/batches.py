"""Batches: patches of clean images with fresh noise.

Everything here is a pure function of the seed and the step, so that a resumed run sees what the
uninterrupted one would have seen.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import RecipeError
from edgecae.noise import Mixture, Noise, fast_normals
from edgecae_train.data import flat, patterns
from edgecae_train.data.images import Images
from edgecae_train.data.photo_window import PhotoWindow, enlarged, patch_detail

__all__ = ["LUMA", "Batches", "Drawn", "prefetch"]

TURNOVER = 40
"""After so many steps the oldest image of the window makes room for a new one."""

NOISY_SIDE = 256
"""Side of the pictures that costly noise is made for; patches are cut from them. One of 256×256
takes half the time of as many pixels in patches of 48×48."""

NOISY_WINDOW = 64
"""How many of those are held in memory at once."""

NOISY_USES = 3
"""How often a pixel of such a picture is used on the mean, before another picture replaces it."""

ALIGNMENT = 16
"""Patches of such pictures start at its multiples, as a codec's blocks and chroma samples do."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in the gray of ITU-R BT.601."""

Pixels = NDArray[np.uint8]


class Drawn(Protocol):
    """Batches of each step, of whatever source."""

    shard: int

    def at(self, step: int) -> tuple[Pixels, ...]:
        """The batch of one step, a pure function of it.

        Returns:
            noisy and target, both uint8, N×patch×patch×3; and maybe where the target counts,
            uint8 of 0 and 1, N×patch×patch×1.
        """


class _Part(NamedTuple):
    """A part of a mixture: its noise, its share of the patches, and what its photos are like."""

    noise: Noise
    share: float
    detail: int
    enlarged: float


def _parts(
    noise: Noise, detail: int | Sequence[int], enlarged: float | Sequence[float]
) -> list[_Part]:
    """Take a noise apart; one that is no mixture has one part."""
    kinds, shares = (
        (noise.kinds, noise.shares) if isinstance(noise, Mixture) else ((noise,), (1.0,))
    )

    def each(name: str, numbers: Any) -> Sequence[Any]:
        if not isinstance(numbers, Sequence):
            return [numbers] * len(kinds)
        if len(numbers) != len(kinds):
            raise RecipeError(
                f"{name} has {len(numbers)} numbers, but the noise {noise} has {len(kinds)} parts"
            )
        return numbers

    details, larger = each("detail", detail), each("enlarged", enlarged)
    return [_Part(*part) for part in zip(kinds, shares, details, larger, strict=True)]


@dataclass
class Batches:
    """Pairs of noisy and clean patches for each step.

    Attributes:
        images: where patches come from.
        noise: drawn anew for every patch, strength included. Noise that takes longer to make than
            to train on (:attr:`edgecae.noise.Noise.costly`) is made for larger pictures, which
            patches are cut from: a picture serves for a few steps.
        batch: patches a step (of this shard).
        patch: side in pixels.
        seed: of everything random here.
        shard: which of the equal parts of the global batch this is.
        gray: share of the patches that are gray, with the same noise in all three channels.
        flat: share of the patches that are of :mod:`edgecae_train.data.flat`, without noise.
        patterns: share of the patches that are not flat which have a pattern of
            :mod:`edgecae_train.data.patterns`.
        detail: how many patches are drawn for each that is used, the one with most detail; or as
            many such numbers as the noise has parts.
        enlarged: share of the patches whose photo is enlarged; or as many such numbers as the noise
            has parts.

    Raises:
        RecipeError: there are more or fewer numbers for detail or enlarged than parts.
    """

    images: Images
    noise: Noise
    batch: int
    patch: int
    seed: int
    shard: int = 0
    gray: float = 0.0
    flat: float = 0.0
    patterns: float = 0.0
    detail: int | Sequence[int] = 1
    enlarged: float | Sequence[float] = 0.0
    _noisy: dict[tuple[int, int], tuple[Pixels, Pixels]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Divide the noise into its parts."""
        self._parts = _parts(self.noise, self.detail, self.enlarged)
        self._photos = PhotoWindow(self.images)

    def _pairs(
        self, part: _Part, rng: np.random.Generator, clean: list[Pixels], side: int
    ) -> tuple[Pixels, Pixels]:
        """Make parts of photos, all of one size, each kind by its share, and noisy."""
        drawn = rng.random((len(clean), 2)) < (self.gray, self.flat)
        gray, even = drawn.T
        batch = np.stack(clean)
        if part.enlarged:  # else nothing is drawn: batches are those of a recipe without it
            for index in np.flatnonzero(rng.random(len(clean)) < part.enlarged):
                batch[index] = enlarged(rng, batch[index])
        for index in np.flatnonzero(even):
            height, width = batch.shape[1:3]
            batch[index] = flat.patch(rng, side)[:height, :width]
        if self.patterns:  # likewise
            regular = (rng.random(len(clean)) < self.patterns) & ~even
            for index in np.flatnonzero(regular):
                batch[index] = patterns.over(rng, batch[index])
        batch[gray] = np.rint(batch[gray] @ LUMA)[..., None]
        noisy, target = part.noise.pair(batch, rng, fast_normals)
        noisy[gray] = noisy[gray][..., 1:2]
        noisy[even] = target[even] = batch[even]
        return noisy, target

    def _noisy_picture(self, part: int, index: int, oldest: int) -> tuple[Pixels, Pixels]:
        """Picture ``index`` of the endless series with the noise of a part, and its target."""
        if (part, index) not in self._noisy:
            rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, index, 1 + part]))
            side = max(NOISY_SIDE, self.patch)
            photo = self._photos.draw(rng, side, oldest, 1)
            noisy, target = self._pairs(self._parts[part], rng, [photo], side)
            self._noisy[part, index] = noisy[0], target[0]
        return self._noisy[part, index]

    def _cut(
        self, rng: np.random.Generator, part: int, first: int, oldest: int
    ) -> tuple[Pixels, Pixels]:
        """Draw a patch of a part's pictures from ``first`` on, and its target."""
        best, most = None, -1.0
        tries = self._parts[part].detail
        for _ in range(tries):
            index = first + int(rng.integers(NOISY_WINDOW))
            noisy, target = self._noisy_picture(part, index, oldest)
            top, left = (
                ALIGNMENT * int(rng.integers((length - self.patch) // ALIGNMENT + 1))
                for length in target.shape[:2]
            )
            place = np.s_[top : top + self.patch, left : left + self.patch]
            detail = patch_detail(target[place]) if tries > 1 else 0.0
            if detail > most:
                best, most = (noisy[place], target[place]), detail
        assert best is not None  # there is at least one try
        return best

    def at(self, step: int) -> tuple[Pixels, Pixels]:
        """The batch of one step.

        Returns:
            noisy and clean, both uint8, N×patch×patch×3.
        """
        rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, step]))
        oldest = step // TURNOVER
        shape = (self.batch, self.patch, self.patch, 3)
        noisy, target = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        chosen = rng.choice(len(self._parts), self.batch, p=[part.share for part in self._parts])
        for part, kind in enumerate(self._parts):
            mine = np.flatnonzero(chosen == part)
            if kind.noise.costly:
                pixels = step * self.batch * self.patch**2 * kind.share
                first = int(pixels / (NOISY_USES * NOISY_SIDE**2))
                for gone in [key for key in self._noisy if key[0] == part and key[1] < first]:
                    del self._noisy[gone]
                for index in mine:
                    noisy[index], target[index] = self._cut(rng, part, first, oldest)
            elif len(mine):
                clean = [self._photos.draw(rng, self.patch, oldest, kind.detail) for _ in mine]
                noisy[mine], target[mine] = self._pairs(kind, rng, clean, self.patch)
        return noisy, target


@contextmanager
def prefetch(
    batches: Drawn, first: int, last: int, depth: int = 8
) -> Iterator[Iterator[tuple[Pixels, ...]]]:
    """Make the batches of steps ``first`` to ``last`` (exclusive) in a thread of their own.

    Yields an iterator over them; an error in the thread is raised from the iterator. Leaving the
    context stops the thread.
    """
    ready: queue.Queue[tuple[Pixels, ...] | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: tuple[Pixels, ...] | BaseException) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for step in range(first, last):
                if stop.is_set():
                    return
                put(batches.at(step))
        except BaseException as error:  # handed to the consumer, who raises it
            put(error)

    def items() -> Iterator[tuple[Pixels, ...]]:
        for _ in range(first, last):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        yield items()
    finally:
        stop.set()
        thread.join()
