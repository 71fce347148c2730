"""Bursts: several shots of each still scene, without a clean picture of any.

The target of one shot is the mean of the others: its noise is independent of the shot's, so that
what is learned best is the mean of all that the target may be, the clean picture (Lehtinen et al.,
"Noise2Noise: learning image restoration without clean data", 2018). Of two shots, one is the target
of the other; the more there are, the less noise the target has, and the sooner training gets there.
Noise that is cut at black or white has another mean: what the cut adds is taken from the target.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.declipping import added_by_cut
from edgecae.errors import DataError, SourceError
from edgecae.media import images
from edgecae_train.data.alignment import align
from edgecae_train.data.names import MAX_HELD_OUT, held_out_scenes
from edgecae_train.data.scenes import (
    HELD_OUT_SIDE,
    Patch,
    Pixels,
    draw_window,
    read_window,
)
from edgecae_train.data.series import fingerprint, load_item

__all__ = ["MIN_SHOTS", "Burst", "BurstFiles", "Bursts", "find_bursts", "open_bursts"]

log = logging.getLogger(__name__)

MIN_SHOTS = 2
MAX_SHOTS = 16
"""Of a scene in memory at once; of more, others are drawn at the next time."""

MAX_SIDE = 768
"""Larger shots are used through windows of this size, so that memory is bounded."""

MAX_MEMORY = 400e6
"""Bytes that the shots at hand may take, with their masks."""

MIN_AGREEING = 1
"""Other shots that must show a place without motion, so that it has a target."""


@dataclass(frozen=True)
class Burst:
    """Shots of one scene in line, see :class:`.scenes.Scene`.

    Attributes:
        shots: uint8, S×H×W×3.
        still: bool, S×H×W, see :class:`.alignment.Aligned`.
        declipped: whether what the cut of noise at black and white adds is taken from targets.
    """

    shots: Pixels
    still: NDArray[np.bool_]
    declipped: bool = True

    @functools.cached_property
    def _added(self) -> NDArray[np.float32]:
        """Levels that the cut adds to the mean, 3×256, by level of the mean."""
        whole = self.still.all(0)
        mean = self.shots[:, whole].mean(0, dtype=np.float32)
        level = np.rint(mean).astype(np.intp)
        # A shot is a part of the mean, which is nearer to it by that.
        nearer = 1 / np.sqrt(1 - 1 / len(self.shots))
        away = nearer * np.mean([np.abs(shot[whole] - mean) for shot in self.shots], axis=0)
        seen, total = np.zeros((2, 3, 256))
        for c in range(3):
            seen[c] = np.bincount(level[:, c], minlength=256)
            total[c] = np.bincount(level[:, c], away[:, c], 256)
        return added_by_cut(seen, total).astype(np.float32)

    def pair(
        self, shot: int, place: tuple[slice, slice] = np.s_[:, :]
    ) -> tuple[Pixels, Pixels, Pixels]:
        """A shot, the mean of the others where they are still, and where that is a target.

        Args:
            shot: number of the shot.
            place: rows and columns.

        Returns:
            uint8, two of H×W×3 and one of H×W×1, 0 and 1.
        """
        others = [index for index in range(len(self.shots)) if index != shot]
        weights = self.still[(others, *place)][..., None]
        count = weights.sum(0)
        total = np.where(weights, self.shots[(others, *place)], 0).sum(0, dtype=np.float32)
        mean = total / np.maximum(count, 1)
        if self.declipped:
            mean -= self._added[np.arange(3), np.rint(mean).astype(np.intp)]
        target = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        counts = (count >= MIN_AGREEING) & self.still[(shot, *place)][..., None]
        noisy = self.shots[(shot, *place)]
        return noisy, np.where(counts, target, noisy), counts.astype(np.uint8)

    def draw(self, rng: np.random.Generator, side: int) -> Patch:
        """See :class:`.scenes.Scene`."""
        height, width = self.shots.shape[1:3]
        top, left, *_ = draw_window((height, width), side, rng)
        shot = int(rng.integers(len(self.shots)))
        return self.pair(shot, np.s_[top : top + side, left : left + side])


@dataclass(frozen=True)
class BurstFiles:
    """The shots of a scene.

    Attributes:
        name: of its folder.
        shots: at least two files, of one size.
    """

    name: str
    shots: tuple[Path, ...]


def find_bursts(folder: Path) -> list[BurstFiles]:
    """Find the scenes of a folder: each subfolder with two shots or more, sorted by name.

    Raises:
        DataError: there is no such folder, or no scene in it, or shots of a scene differ in size.
    """
    if not folder.is_dir():
        raise DataError(f"bursts {str(folder)!r} is no folder")
    found = []
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(p for p in scene.iterdir() if p.suffix.lower() in images.SUFFIXES)
        sizes = {}
        for path in files:
            try:
                sizes[path] = images.read_size(path)
            except SourceError as error:
                log.warning("skipped: %s", error)
        if len(sizes) < MIN_SHOTS:
            log.warning("skipped: %s holds %d shots, a burst has two or more", scene, len(sizes))
            continue
        first = files[0] if files[0] in sizes else next(iter(sizes))
        for path, (height, width) in sizes.items():
            if (height, width) != sizes[first]:
                raise DataError(
                    f"{path} is {width}×{height} and {first} is {sizes[first][1]}×"
                    f"{sizes[first][0]}: the shots of a scene must have one size"
                )
        found.append(BurstFiles(scene.name, tuple(sizes)))
    if not found:
        raise DataError(
            f"{folder} holds no scene: each needs a folder of its own in there, with two shots or "
            "more"
        )
    return found


def _read(files: BurstFiles, side: int, rng: np.random.Generator | None) -> Burst:
    """Read a window of a scene's shots and bring them into line.

    Raises:
        DataError: fewer than two shots are left.
    """
    window = draw_window(images.read_size(files.shots[0]), side, rng)
    shots = list(files.shots)
    if len(shots) > MAX_SHOTS:
        chosen = np.arange(MAX_SHOTS) if rng is None else rng.permutation(len(shots))[:MAX_SHOTS]
        shots = [shots[int(index)] for index in chosen]
    aligned = align(np.stack([read_window(path, window) for path in shots]))
    for index, why in aligned.left_out.items():
        log.info("left out: %s: %s", shots[index], why)
    if len(aligned.used) < MIN_SHOTS:
        raise DataError(
            f"no shot of {files.name} lies within a part of a pixel of {shots[0].name}: use a stand"
        )
    return Burst(aligned.shots, aligned.still)


def still_window(
    moving: NDArray[np.bool_], side: int, smallest: int
) -> tuple[int, int, int] | None:
    """The largest square up to ``side`` in which nothing moves: top, left and its side.

    Args:
        moving: bool, H×W.
        side: largest side.
        smallest: least side; None is returned where there is no such square.
    """
    sums = np.pad(moving.astype(np.int64), [(1, 0), (1, 0)]).cumsum(0).cumsum(1)
    size = min(side, *moving.shape)
    while size >= smallest:
        inside = (
            sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
        )
        free = np.argwhere(inside == 0)
        if len(free):
            top, left = free[len(free) // 2]
            return int(top), int(left), size
        size = size * 7 // 8
    return None


@dataclass(frozen=True)
class Bursts:
    """The bursts of a folder, see :class:`.scenes.Scenes`.

    Attributes:
        training: scenes to train on.
        validation: scenes held out.
        smallest: side of a patch, pixels.
        seed: chooses the order, and the windows of large shots.
    """

    training: tuple[BurstFiles, ...]
    validation: tuple[BurstFiles, ...]
    smallest: int
    seed: int = 0
    masked: bool = True

    @property
    def window(self) -> int:
        """See :class:`.scenes.Scenes`."""
        most = min(MAX_SHOTS, max(len(files.shots) for files in self.training))
        return max(1, min(len(self.training), int(MAX_MEMORY / (4 * most * MAX_SIDE**2))))

    @property
    def fingerprint(self) -> str:
        """See :class:`.scenes.Scenes`: of the names and sizes of all files."""
        bursts = (*self.training, *self.validation)
        return fingerprint(path for files in bursts for path in files.shots)

    def load(self, index: int) -> Burst:
        """See :class:`.scenes.Scenes`."""

        def read(files: BurstFiles, rng: np.random.Generator) -> Burst:
            burst = _read(files, MAX_SIDE, rng)
            if min(burst.shots.shape[1:3]) < self.smallest:
                raise DataError(f"what all shots of {files.name} show is too small")
            return burst

        none_left = "none of the scenes can be used: see the warnings"
        return load_item(self.training, self.seed, index, read, none_left)

    def held_out(self) -> list[tuple[Pixels, Pixels]]:
        """See :class:`.scenes.Scenes`: a shot, and the mean of the others, where nothing moves."""
        pairs = []
        for files in self.validation:
            try:
                burst = _read(files, MAX_SIDE, None)
            except DataError as error:
                log.warning("not validated on: %s", error)
                continue
            pair = held_out_pair(burst, self.smallest)
            if pair is None:
                log.warning("not validated on: something moves everywhere in %s", files.name)
            else:
                pairs.append(pair)
        if not pairs:
            raise DataError("none of the held-out scenes can be used: see the warnings")
        return pairs


def held_out_pair(
    burst: Burst, smallest: int, side: int = HELD_OUT_SIDE, shot: int = 0
) -> tuple[Pixels, Pixels] | None:
    """A shot and the mean of the others, in the largest square in which it is still.

    Of the others, at least half are still at each of its places.

    Returns:
        Two arrays uint8, side×side×3; None where there is no square of ``smallest`` pixels.
    """
    agreeing = burst.still.sum(0) - burst.still[shot]
    enough = max(MIN_AGREEING, (len(burst.shots) - 1) // 2)
    found = still_window(~burst.still[shot] | (agreeing < enough), side, smallest)
    if found is None:
        return None
    top, left, size = found
    noisy, target, _ = burst.pair(shot, np.s_[top : top + size, left : left + size])
    return noisy.copy(), target


def open_bursts(folder: str, smallest: int, seed: int, held_out: str = "") -> Bursts:
    """Open a folder with a subfolder of shots for each scene.

    Args:
        folder: see :func:`find_bursts`.
        smallest: scenes with a shorter side are skipped.
        seed: chooses the order.
        held_out: a folder of scenes to validate on; without one, a tenth of the scenes.

    Raises:
        DataError: no such folder, or fewer than two usable scenes in it.
    """
    if smallest > MAX_SIDE:
        raise DataError(f"a patch of {smallest} is too large: shots have up to {MAX_SIDE}")

    def usable(where: str) -> list[BurstFiles]:
        kept = []
        for files in find_bursts(Path(where)):
            height, width = images.read_size(files.shots[0])
            if min(height, width) < smallest:
                log.warning(
                    "skipped: %s is %d×%d, a patch is %d", files.name, width, height, smallest
                )
            else:
                kept.append(files)
        return kept

    scenes = usable(folder)
    if held_out:
        validation = usable(held_out)[:MAX_HELD_OUT]
        seen = {path.resolve() for files in validation for path in files.shots}
        training = [files for files in scenes if files.shots[0].resolve() not in seen]
    else:
        chosen = held_out_scenes([files.name for files in scenes])
        training = [files for files in scenes if files.name not in chosen]
        validation = [files for files in scenes if files.name in chosen]
    if not training or not validation:
        raise DataError(
            f"{folder} holds {len(scenes)} usable scenes; training needs at least two, one of them "
            "to validate on"
        )
    return Bursts(tuple(training), tuple(validation), smallest, seed)
