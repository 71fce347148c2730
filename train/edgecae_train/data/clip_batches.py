"""Batches of clips with noise, for recurrent networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgecae.noise import Noise, fast_normals
from edgecae_train.data.clips import clip
from edgecae_train.data.images import Images
from edgecae_train.data.photo_window import PhotoWindow
from edgecae_train.data.videos import ShotWindow, Videos

__all__ = ["ClipBatches", "add_noise", "held_out_clips"]

HELD = 64
"""Clips that are held in memory at once."""
USES = 4
"""How often a clip is used on the mean: to draw one takes longer than to train on it. Each time it
is turned and mirrored anew, and half of the time it runs backwards."""
CLIPS_A_PHOTO = 10
"""Clips after which the oldest photo of the window makes room for a new one."""
CLIPS_A_SHOT = 40
"""The same of the shots of videos, which take longer to read."""
RECORDED = 0.5
"""Share of the clips that are cut from videos, where there are some. Motion that is made has what
few videos show enough of: cuts, steps of light, and a camera on a stand."""
BEGINS = 0.4
"""Share of the clips that are the begin of a sequence."""
LED = 0.5
"""Share of the clips whose frames see the mean that the best gains would have left: a gate that
forgets too much would else learn from short histories alone."""
STRIPS = 0.5
"""Share of the clips with strips at their sides that begin anew with each frame, as what comes into
view does where the camera moves: the mean is the frame there, and differs from it by no noise."""
MAX_STRIP = 20
"""Width of a strip, in blocks of 2 pixels."""
MAX_BEFORE = 32
"""Frames that a scene has been still for before another clip."""

Pixels = NDArray[np.uint8]


def add_noise(clean: Pixels, noise: Noise, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Make a clip noisy, with one strength and one camera for all of it, anew in each frame.

    To the noise, the clip is one tall picture of its frames.

    Args:
        clean: T×H×W×3.
        noise: see :class:`edgecae.noise.Noise`.
        rng: the only source of randomness.

    Returns:
        noisy and target, alike.
    """
    noisy, target = noise.pair(clean.reshape(-1, *clean.shape[2:]), rng, fast_normals)
    return noisy.reshape(clean.shape), target.reshape(clean.shape)


@dataclass
class ClipBatches:
    """Clips with and without noise for each step, a pure function of seed and step.

    Attributes:
        images: photos that clips are made from (:mod:`.clips`).
        videos: what others are cut from (:mod:`.videos`); None: nothing.
        noise: drawn anew for every clip, strength included.
        batch: clips a step (of this shard).
        patch: their height and width.
        frames: their length.
        seed: of everything random here.
        shard: which of the equal parts of the global batch this is.
    """

    images: Images
    videos: Videos | None
    noise: Noise
    batch: int
    patch: int
    frames: int
    seed: int
    shard: int = 0
    _held: dict[int, tuple[Pixels, Pixels]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Begin without photos."""
        self._photos = PhotoWindow(self.images)
        self._shots = ShotWindow(self.videos) if self.videos else None

    def _clip(self, index: int) -> tuple[Pixels, Pixels]:
        """Clip ``index`` of the endless series."""
        if index not in self._held:
            rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, index, 1]))
            if self._shots and rng.random() < RECORDED:
                clean = self._shots.draw(rng, self.patch, index // CLIPS_A_SHOT)
            else:
                oldest = index // CLIPS_A_PHOTO

                def photo(rng: np.random.Generator, side: int) -> Pixels:
                    return self._photos.draw(rng, side, oldest, 1)

                clean = clip(rng, photo, self.frames, self.patch)
            self._held[index] = add_noise(clean, self.noise, rng)
        return self._held[index]

    def at(self, step: int) -> tuple[Pixels, ...]:
        """The batch of one step.

        Returns:
            noisy and target, uint8, N×T×patch×patch×3; how many frames of the scene, as the first
            one shows it, were before the clip, uint8, N: 1 where it is the begin; whether frames
            see the mean that the best gains would have left, uint8, N: else the gate's own; and
            how wide the strips are that begin anew, uint8, N×4: top, bottom, left, right.
        """
        rng = np.random.Generator(np.random.SFC64([self.seed, self.shard, step]))
        first = step * self.batch // USES
        for gone in [index for index in self._held if index < first]:
            del self._held[gone]
        pairs = []
        for _ in range(self.batch):
            noisy, target = self._clip(first + int(rng.integers(HELD)))
            turn = int(rng.integers(16))
            for axis in range(3):
                if turn & 1 << axis:
                    noisy, target = (np.flip(x, axis) for x in (noisy, target))
            if turn & 8:
                noisy, target = (x.transpose(0, 2, 1, 3) for x in (noisy, target))
            pairs.append((noisy, target))
        before = rng.integers(2, MAX_BEFORE + 1, self.batch)
        counts = np.where(rng.random(self.batch) < BEGINS, 1, before).astype(np.uint8)
        led = (rng.random(self.batch) < LED).astype(np.uint8)
        strips = rng.integers(1, MAX_STRIP + 1, (self.batch, 4)) * (
            rng.random((self.batch, 4)) < 0.5
        )
        strips[rng.random(self.batch) >= STRIPS] = 0
        stacked = (np.stack(each) for each in zip(*pairs, strict=True))
        return *stacked, counts, led, strips.astype(np.uint8)


def held_out_clips(
    photos: list[Pixels], videos: Videos | None, frames: int, side: int, count: int = 12
) -> tuple[Pixels, ...]:
    """Make clips for validation, always the same.

    Args:
        photos: held-out ones, which take turns.
        videos: clips of which come first, half of all at most; None: there are none.
        frames: of a clip.
        side: of a clip, pixels.
        count: of clips.
    """
    clips = videos.held_out(frames, side)[: count // 2] if videos else []
    for index in range(count - len(clips)):
        rng = np.random.default_rng([2**31, index])

        def photo(rng: np.random.Generator, side: int, index: int = index) -> Pixels:
            picture = photos[(index + int(rng.integers(2))) % len(photos)]
            height, width = (min(side, length) for length in picture.shape[:2])
            top = int(rng.integers(picture.shape[0] - height + 1))
            left = int(rng.integers(picture.shape[1] - width + 1))
            return picture[top : top + height, left : left + width]

        clips.append(clip(rng, photo, frames, side))
    return tuple(clips)
