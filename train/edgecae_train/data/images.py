"""Clean images for training: the photos of a folder, or the generator's pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import DataError, SourceError
from edgecae.media import images
from edgecae_train.data import synthetic
from edgecae_train.data.series import fingerprint, load_item, ranked

__all__ = ["BUILTIN", "Builtin", "Folder", "Images", "has_pictures", "open_images"]

log = logging.getLogger(__name__)

BUILTIN = "builtin"
"""The name of the generator where a folder may be named."""

MAX_SIDE = 1024
"""A larger photo is used through crops of this size, so that the window fits in memory."""

MIN_PHOTOS = 2

WINDOW = 512
"""How many images are held in memory at once."""

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
        return fingerprint((*self.training, *self.validation))

    def load(self, index: int) -> Pixels:
        """See :class:`Images`."""
        none_left = "none of the training images can be read any more"
        return load_item(self.training, self.seed, index, _read, none_left)

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


def has_pictures(folder: Path) -> bool:
    """Whether there is an image file below a folder."""
    return any(path.suffix.lower() in images.SUFFIXES for path in folder.rglob("*"))


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
    return ranked(usable, folder)


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
