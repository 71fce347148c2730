"""What training takes where noise is not made but photographed: scenes, and patches of them.

A scene is a pair of a noisy and a clean picture (:mod:`.pairs`) or a burst (:mod:`.bursts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import DataError, SourceError
from edgecae.media import images
from edgecae_train.data.photo_window import patch_detail

__all__ = [
    "HELD_OUT_SIDE",
    "MAX_SIDE",
    "Scene",
    "ScenePatches",
    "Scenes",
    "Window",
    "draw_window",
    "read_window",
]

MAX_SIDE = 1024
"""Larger pictures are used through windows of this size, so that memory is bounded."""

HELD_OUT_SIDE = 512
"""Side of the part of a held-out picture that is validated on, at most."""

TURNOVER = 200
"""After so many steps the oldest scene at hand makes room for a new one."""

Pixels = NDArray[np.uint8]

Patch = tuple[Pixels, Pixels, Pixels | None]
"""Noisy and target, side×side×3, and where the target counts, side×side×1 of 0 and 1; None: all
of it."""


class Scene(Protocol):
    """One scene in memory."""

    def draw(self, rng: np.random.Generator, side: int) -> Patch:
        """Draw a patch."""


class Scenes(Protocol):
    """An endless series of scenes, and some that are never trained on."""

    @property
    def window(self) -> int:
        """How many of the series to keep in memory."""

    @property
    def fingerprint(self) -> str:
        """The same for the same series: what a resumed run compares."""

    @property
    def masked(self) -> bool:
        """Whether parts of a target may not count."""

    def load(self, index: int) -> Scene:
        """Scene ``index`` of the series."""

    def held_out(self) -> list[tuple[Pixels, Pixels]]:
        """Noisy pictures and what they are measured against, each uint8, H×W×3."""


Window = tuple[int, int, int, int]
"""Top, left, height and width of a part of a picture, in pixels."""


def draw_window(size: tuple[int, int], side: int, rng: np.random.Generator | None) -> Window:
    """Choose a window of at most side×side in a picture; without ``rng``, the one in its middle."""
    height, width = (min(side, length) for length in size)
    rest = size[0] - height, size[1] - width
    top, left = (r // 2 if rng is None else int(rng.integers(r + 1)) for r in rest)
    return top, left, height, width


def read_window(path: Path, window: Window) -> Pixels:
    """Read a part of a picture as height×width×3, gray in three equal channels.

    Raises:
        DataError: it can't be read.
    """
    try:
        pixels = images.read(path).pixels
    except SourceError as error:
        raise DataError(str(error)) from error
    top, left, height, width = window
    part = pixels[top : top + height, left : left + width]
    if part.ndim == 2:
        part = np.repeat(part[..., None], 3, axis=2)
    return part.copy()  # the rest of a large picture goes


def _turned(turn: int) -> Callable[[Any], Any]:
    """One of the eight ways to turn and mirror an array H×W×C."""

    def turned(array: Any) -> Any:
        if array is None:
            return None
        array = array[::-1] if turn & 1 else array
        array = array[:, ::-1] if turn & 2 else array
        return array.transpose(1, 0, 2) if turn & 4 else array

    return turned


@dataclass
class ScenePatches:
    """Noisy patches and targets for each step, a pure function of the seed and the step.

    Attributes:
        scenes: where patches come from.
        batch: patches a step (of this shard).
        patch: side in pixels.
        seed: of everything random here.
        shard: which of the equal parts of the global batch this is.
        detail: how many patches are drawn for each that is used, the one with most detail.
    """

    scenes: Scenes
    batch: int
    patch: int
    seed: int
    shard: int = 0
    detail: int = 1
    _window: dict[int, Scene] = field(default_factory=dict, repr=False)

    def _scene(self, index: int, oldest: int) -> Scene:
        if index not in self._window:
            for gone in [i for i in self._window if i < oldest]:
                del self._window[gone]
            self._window[index] = self.scenes.load(index)
        return self._window[index]

    def _patch(self, rng: np.random.Generator, oldest: int) -> Patch:
        best, most = None, -1.0
        for _ in range(self.detail):
            scene = self._scene(oldest + int(rng.integers(self.scenes.window)), oldest)
            drawn = scene.draw(rng, self.patch)
            detail = patch_detail(drawn[1]) if self.detail > 1 else 0.0
            if detail > most:
                best, most = drawn, detail
        assert best is not None  # there is at least one try
        turned = _turned(int(rng.integers(8)))
        return turned(best[0]), turned(best[1]), turned(best[2])

    def at(self, step: int) -> tuple[Pixels, ...]:
        """The batch of one step.

        Returns:
            noisy and target, uint8, N×patch×patch×3; and where the scenes have masks, the places
            where the target counts, uint8 of 0 and 1, N×patch×patch×1.
        """
        rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, step]))
        patches = [self._patch(rng, step // TURNOVER) for _ in range(self.batch)]
        noisy = np.stack([each[0] for each in patches])
        target = np.stack([each[1] for each in patches])
        if not self.scenes.masked:
            return noisy, target
        everywhere = np.ones((self.patch, self.patch, 1), np.uint8)
        return noisy, target, np.stack([everywhere if m is None else m for *_, m in patches])
