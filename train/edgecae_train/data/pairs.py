"""Pairs of a noisy and a clean picture of the same scene."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecae.errors import DataError
from edgecae.media import images
from edgecae_train.data.names import MAX_HELD_OUT, PairFiles, find_pairs, held_out_scenes
from edgecae_train.data.scenes import (
    HELD_OUT_SIDE,
    MAX_SIDE,
    Patch,
    Pixels,
    draw_window,
    read_window,
)
from edgecae_train.data.series import fingerprint, load_item

__all__ = ["Pair", "Pairs", "open_pairs"]

log = logging.getLogger(__name__)

WINDOW = 64
"""Pairs in memory at once, at most: 400 MB."""


@dataclass(frozen=True)
class Pair:
    """A noisy and a clean picture, each uint8, H×W×3. See :class:`.scenes.Scene`."""

    noisy: Pixels
    clean: Pixels

    def draw(self, rng: np.random.Generator, side: int) -> Patch:
        """See :class:`.scenes.Scene`."""
        height, width = self.clean.shape[:2]
        top, left, *_ = draw_window((height, width), side, rng)
        place = np.s_[top : top + side, left : left + side]
        return self.noisy[place], self.clean[place], None


def _read(files: PairFiles, side: int, rng: np.random.Generator | None) -> Pair:
    window = draw_window(images.read_size(files.noisy), side, rng)
    return Pair(read_window(files.noisy, window), read_window(files.clean, window))


@dataclass(frozen=True)
class Pairs:
    """The pairs below a folder, see :class:`.scenes.Scenes`.

    Attributes:
        training: pairs to train on.
        validation: pairs held out, of other scenes.
        seed: chooses the order, and the windows of large pictures.
    """

    training: tuple[PairFiles, ...]
    validation: tuple[PairFiles, ...]
    seed: int = 0
    masked: bool = False

    @property
    def window(self) -> int:
        """See :class:`.scenes.Scenes`."""
        return min(WINDOW, len(self.training))

    @property
    def fingerprint(self) -> str:
        """See :class:`.scenes.Scenes`: of the names and sizes of all files."""
        pairs = (*self.training, *self.validation)
        return fingerprint(path for pair in pairs for path in (pair.noisy, pair.clean))

    def load(self, index: int) -> Pair:
        """See :class:`.scenes.Scenes`."""

        def read(files: PairFiles, rng: np.random.Generator) -> Pair:
            return _read(files, MAX_SIDE, rng)

        none_left = "none of the training pairs can be read any more"
        return load_item(self.training, self.seed, index, read, none_left)

    def held_out(self) -> list[tuple[Pixels, Pixels]]:
        """See :class:`.scenes.Scenes`: the middle of each."""
        pairs = [_read(files, HELD_OUT_SIDE, None) for files in self.validation]
        return [(pair.noisy, pair.clean) for pair in pairs]


def _large_enough(pairs: Sequence[PairFiles], smallest: int) -> list[PairFiles]:
    usable = []
    for pair in pairs:
        height, width = images.read_size(pair.noisy)
        if min(height, width) < smallest:
            log.warning("skipped: %s is %d×%d, a patch is %d", pair.noisy, width, height, smallest)
        else:
            usable.append(pair)
    return usable


def open_pairs(folder: str, smallest: int, seed: int, held_out: str = "") -> Pairs:
    """Open a folder of pairs (see :mod:`.names` for which pictures make one).

    Args:
        folder: searched recursively.
        smallest: pairs with a shorter side are skipped.
        seed: chooses the order.
        held_out: a folder of pairs to validate on; without one, a tenth of the pairs, 16 at most,
            of scenes that training does not see. Where all names say one scene, each pair counts
            as its own.

    Raises:
        DataError: no such folder, fewer than two pairs in it, or pictures that make no pair.
    """
    if smallest > MAX_SIDE:
        raise DataError(f"a patch of {smallest} is too large: pictures have up to {MAX_SIDE}")
    pairs = _large_enough(find_pairs(Path(folder)), smallest)
    if held_out:
        validation = _large_enough(find_pairs(Path(held_out)), smallest)[:MAX_HELD_OUT]
        seen = {pair.noisy.resolve() for pair in validation}
        training = [pair for pair in pairs if pair.noisy.resolve() not in seen]
    else:
        scenes = [pair.scene for pair in pairs]
        if len(set(scenes)) < 2:
            scenes = [str(pair.noisy.relative_to(folder)) for pair in pairs]
        chosen = held_out_scenes(scenes)
        both = list(zip(pairs, scenes, strict=True))
        training = [pair for pair, scene in both if scene not in chosen]
        validation = [pair for pair, scene in both if scene in chosen][:MAX_HELD_OUT]
    if not training or not validation:
        raise DataError(
            f"{folder} holds {len(pairs)} usable pairs: training needs at least two, of two scenes"
        )
    return Pairs(tuple(training), tuple(validation), seed)
