"""Training data: clean images from a folder or from the generator, patches with fresh noise.

Everything here is a pure function of the seed and the step, so that a resumed run sees what the
uninterrupted one would have seen.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import DataError, SourceError
from edgecae.media import images
from edgecae.noise import Noise, fast_normals
from edgecae_train.data import flat, synthetic

__all__ = ["BUILTIN", "Batches", "Builtin", "Folder", "Images", "open_images", "prefetch"]

log = logging.getLogger(__name__)

BUILTIN = "builtin"
"""The name of the generator where a folder may be named."""

MAX_SIDE = 1024
"""A larger photo is used through crops of this size, so that the window fits in memory."""

MIN_PHOTOS = 2

WINDOW = 512
"""How many images are held in memory at once."""

TURNOVER = 40
"""After so many steps the oldest image of the window makes room for a new one."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in the gray of ITU-R BT.601."""

Pixels = NDArray[np.uint8]


class Images(Protocol):
    """An endless series of clean images, and some that are never trained on."""

    @property
    def window(self) -> int:
        """How many of the series to keep at hand."""

    def load(self, index: int) -> Pixels:
        """Image ``index`` of the series, uint8, H×W×3."""

    @property
    def fingerprint(self) -> str:
        """The same for the same series: what a resumed run compares."""

    def held_out(self) -> list[Pixels]:
        """Images for validation, in a fixed order."""


@dataclass(frozen=True)
class Builtin:
    """Images of :mod:`edgecae_train.data.synthetic`; the held-out ones are of another series."""

    seed: int = 0
    window: int = 48

    @property
    def fingerprint(self) -> str:
        """See :class:`Images`."""
        return BUILTIN

    def load(self, index: int) -> Pixels:
        """See :class:`Images`."""
        return synthetic.generate(self.seed, index)

    def held_out(self, count: int = 8) -> list[Pixels]:
        """See :class:`Images`."""
        # Seeds of training runs are small, so that this series is no run's own.
        return [synthetic.generate(2**31, index, size=256) for index in range(count)]


@dataclass(frozen=True)
class Folder:
    """The photos below a folder, a few of them held out by a hash of their names.

    Attributes:
        training: files to train on.
        validation: files held out.
        seed: chooses the order, and the crops of large photos.
    """

    training: tuple[Path, ...]
    validation: tuple[Path, ...]
    seed: int = 0

    @property
    def window(self) -> int:
        """How many of the series to keep at hand."""
        return min(WINDOW, len(self.training))

    @property
    def fingerprint(self) -> str:
        """See :class:`Images`: of the names and sizes of all files."""
        digest = hashlib.sha256()
        for path in (*self.training, *self.validation):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        return digest.hexdigest()

    @functools.lru_cache(maxsize=2)  # noqa: B019 - one per run, and it ends with the run
    def _order(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.training))

    def load(self, index: int) -> Pixels:
        """See :class:`Images`."""
        epoch, place = divmod(index, len(self.training))
        for offset in range(len(self.training)):
            path = self.training[self._order(epoch)[(place + offset) % len(self.training)]]
            try:
                return _read(path, np.random.default_rng([self.seed, index]))
            except DataError as error:  # its header was fine, its pixels are not
                log.warning("skipped: %s", error)
        raise DataError("none of the training images can be read any more")

    def held_out(self) -> list[Pixels]:
        """See :class:`Images`."""
        return [_read(path, np.random.default_rng(0)) for path in self.validation]


def _read(path: Path, rng: np.random.Generator) -> Pixels:
    """A photo as H×W×3, or a random crop of a large one."""
    try:
        pixels = images.read(path).pixels
    except SourceError as error:
        raise DataError(str(error)) from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    top, left = (int(rng.integers(max(0, side - MAX_SIDE) + 1)) for side in pixels.shape[:2])
    crop = pixels[top : top + MAX_SIDE, left : left + MAX_SIDE]
    return np.ascontiguousarray(crop)


def _usable(path: Path, smallest: int) -> bool:
    try:
        height, width = images.read(path).pixels.shape[:2]
    except SourceError as error:
        log.warning("skipped: %s", error)
        return False
    if min(width, height) < smallest:
        log.warning("skipped: %s is %d×%d, a patch is %d", path, width, height, smallest)
        return False
    return True


def _usable_files(folder: Path, smallest: int) -> list[Path]:
    """The images below a folder that a patch fits into, in an order that names alone decide."""
    if not folder.is_dir():
        raise DataError(f"data {str(folder)!r} is neither a folder nor {BUILTIN!r}")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES)
    usable = [path for path in files if _usable(path, smallest)]
    if len(usable) < MIN_PHOTOS:
        raise DataError(
            f"{folder} holds {len(usable)} usable images of {len(files)} image files; training "
            "needs at least two, one of them to validate on"
        )

    def rank(path: Path) -> str:
        return hashlib.sha256(path.relative_to(folder).as_posix().encode()).hexdigest()

    return sorted(usable, key=rank)


def open_images(data: str, smallest: int, seed: int, held_out: str = "") -> Images:
    """Open a folder of photos (recursively) or the generator.

    Args:
        data: a folder, or ``builtin``.
        smallest: images with a shorter side are skipped.
        seed: chooses the order, or the generated series.
        held_out: a folder to validate on; without one, a tenth of ``data`` and 16 at most.

    Raises:
        DataError: no such folder, or fewer than two usable images in it.
    """
    largest = synthetic.SIZE if data == BUILTIN else MAX_SIDE
    if smallest > largest:
        raise DataError(f"a patch of {smallest} is too large: {data} has crops up to {largest}")
    if data == BUILTIN:
        return Builtin(seed)
    files = _usable_files(Path(data), smallest)
    if held_out:
        validation = _usable_files(Path(held_out), smallest)
        seen = {path.resolve() for path in validation}
        training = [path for path in files if path.resolve() not in seen]
    else:
        count = min(16, max(1, len(files) // 10))
        training, validation = files[count:], files[:count]
    return Folder(tuple(sorted(training)), tuple(sorted(validation)), seed)


@dataclass
class Batches:
    """Pairs of noisy and clean patches for each step.

    Attributes:
        images: where patches come from.
        noise: drawn anew for every patch, strength included.
        batch: patches a step (of this shard).
        patch: side in pixels.
        seed: of everything random here.
        shard: which of the equal parts of the global batch this is.
        gray: share of the patches that are gray, with the same noise in all three channels.
        flat: share of the patches that are of :mod:`edgecae_train.data.flat`, half of them without
            noise.
    """

    images: Images
    noise: Noise
    batch: int
    patch: int
    seed: int
    shard: int = 0
    gray: float = 0.0
    flat: float = 0.0
    _window: dict[int, Pixels] = field(default_factory=dict, repr=False)

    def _image(self, index: int, oldest: int) -> Pixels:
        if index not in self._window:
            for gone in [i for i in self._window if i < oldest]:
                del self._window[gone]
            self._window[index] = self.images.load(index)
        return self._window[index]

    def at(self, step: int) -> tuple[Pixels, Pixels]:
        """The batch of one step.

        Returns:
            noisy and clean, both uint8, N×patch×patch×3.
        """
        rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, step]))
        oldest = step // TURNOVER
        clean = np.empty((self.batch, self.patch, self.patch, 3), np.uint8)
        draws = rng.random((self.batch, 5))
        for row, draw in zip(clean, draws, strict=True):
            image = self._image(oldest + int(draw[0] * self.images.window), oldest)
            top = int(draw[1] * (image.shape[0] - self.patch + 1))
            left = int(draw[2] * (image.shape[1] - self.patch + 1))
            turn = int(draw[3] * 8)
            crop = image[top : top + self.patch, left : left + self.patch]
            if turn & 1:
                crop = crop[::-1]
            if turn & 2:
                crop = crop[:, ::-1]
            row[...] = crop.transpose(1, 0, 2) if turn & 4 else crop
        if self.flat:  # without it, nothing is drawn: batches stay what they were
            drawn = rng.random((self.batch, 2)) < (self.flat, flat.CLEAN)
            for index in np.flatnonzero(drawn[:, 0]):
                clean[index] = flat.patch(rng, self.patch)
        gray = draws[:, 4] < self.gray
        clean[gray] = np.rint(clean[gray] @ LUMA)[..., None]
        noisy, target = self.noise.pair(clean, rng, fast_normals)
        noisy[gray] = noisy[gray][..., 1:2]
        if self.flat:
            noiseless = drawn.all(axis=1)
            noisy[noiseless] = target[noiseless] = clean[noiseless]
        return noisy, target


@contextmanager
def prefetch(
    batches: Batches, first: int, last: int, depth: int = 8
) -> Iterator[Iterator[tuple[Pixels, Pixels]]]:
    """Make the batches of steps ``first`` to ``last`` (exclusive) in a thread of their own.

    Yields an iterator over them; an error in the thread is raised from the iterator. Leaving the
    context stops the thread.
    """
    ready: queue.Queue[tuple[Pixels, Pixels] | BaseException] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: tuple[Pixels, Pixels] | BaseException) -> None:
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

    def items() -> Iterator[tuple[Pixels, Pixels]]:
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
