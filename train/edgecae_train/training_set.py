"""What a run learns from and is validated on: photos or clips with noise that is made, pairs, or
bursts.

Each kind draws batches, and keeps its held-out pictures in the run directory, which needs nothing
else from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgecae import noise as noise_models
from edgecae.errors import DataError, RecipeError
from edgecae.media import images as picture_files
from edgecae.media.images import Picture
from edgecae.noise import Noise
from edgecae_train import evaluate
from edgecae_train.architectures import RECURRENT
from edgecae_train.data.batches import Batches, Drawn
from edgecae_train.data.bursts import open_bursts
from edgecae_train.data.clip_batches import ClipBatches, add_noise, held_out_clips
from edgecae_train.data.images import BUILTIN, Images, has_pictures, open_images
from edgecae_train.data.pairs import open_pairs
from edgecae_train.data.scenes import ScenePatches, Scenes
from edgecae_train.data.videos import VideoFrames, Videos, open_videos
from edgecae_train.evaluate import HeldOut, Pixels
from edgecae_train.recipe import Recipe

__all__ = [
    "AGAINST",
    "HeldOutPictures",
    "TrainingSet",
    "clip_validation",
    "open_training_set",
    "read_held_out",
]

HELD_OUT_FRAMES = 12
"""Of a clip that a recurrent network is validated on."""

AGAINST = {"pairs": "clean pictures", "bursts": "mean of other shots"}
"""What held-out noisy pictures are measured against: the name of the only figure."""


@dataclass(frozen=True)
class HeldOutPictures:
    """Pictures that a run is validated on.

    Attributes:
        clean: uint8, H×W×3; noise is made for them.
            Clips, T×H×W×3 with equal H and W, of a recurrent network.
        pairs: noisy pictures and what they are measured against; then ``clean`` are the latter.
    """

    clean: tuple[Pixels, ...]
    pairs: tuple[tuple[Pixels, Pixels], ...] = ()

    def write(self, folder: Path) -> None:
        """Write ``NN.png``, or ``NN_noisy.png`` and ``NN_clean.png``.

        Of a clip, the frames stand below each other, in ``NN_clip.png``.
        """
        for index, image in enumerate(() if self.pairs else self.clean):
            of_clip = image.ndim == 4
            name = f"{index:02}_clip.png" if of_clip else f"{index:02}.png"
            picture = image.reshape(-1, *image.shape[2:]) if of_clip else image
            picture_files.write(folder / name, Picture(picture))
        for index, (noisy, clean) in enumerate(self.pairs):
            picture_files.write(folder / f"{index:02}_noisy.png", Picture(noisy))
            picture_files.write(folder / f"{index:02}_clean.png", Picture(clean))


def read_held_out(folder: Path) -> HeldOutPictures:
    """Read what :meth:`HeldOutPictures.write` wrote; nothing where there is no such folder."""

    def read(path: Path) -> Pixels:
        return picture_files.read(path).pixels

    strips = [read(path) for path in sorted(folder.glob("*_clip.png"))]
    if strips:
        sides = [strip.shape[1] for strip in strips]
        clips = (x.reshape(-1, side, side, 3) for x, side in zip(strips, sides, strict=True))
        return HeldOutPictures(tuple(clips))
    clean = sorted(folder.glob("*_clean.png"))
    if not clean:
        return HeldOutPictures(tuple(read(path) for path in sorted(folder.glob("*.png"))))
    noisy = [path.with_name(path.name.replace("_clean", "_noisy")) for path in clean]
    pairs = tuple((read(a), read(b)) for a, b in zip(noisy, clean, strict=True))
    return HeldOutPictures(tuple(target for _, target in pairs), pairs)


class TrainingSet(Protocol):
    """What a run learns from."""

    @property
    def held_out(self) -> HeldOutPictures:
        """Pictures that it is validated on."""

    @property
    def fingerprint(self) -> str:
        """The same for the same files: what a resumed run compares."""

    def batches(self, batch: int, patch: int, seed: int, shard: int = 0) -> Drawn:
        """Make the batches of a phase, see :class:`.data.batches.Batches`."""

    def validation(self, stride: int) -> HeldOut:
        """Prepare the held-out pictures for measuring a network of this stride."""


@dataclass(frozen=True)
class _Made:
    """Photos or generated pictures, whose noise is made as the recipe says."""

    images: Images
    recipe: Recipe
    held_out: HeldOutPictures

    @property
    def fingerprint(self) -> str:
        """See :class:`TrainingSet`."""
        return self.images.fingerprint

    @property
    def levels(self) -> list[Noise]:
        """What is measured at."""
        return evaluate.levels(noise_models.parse(self.recipe.noise))


class Photos(_Made):
    """Patches of them."""

    def batches(self, batch: int, patch: int, seed: int, shard: int = 0) -> Batches:
        """See :class:`TrainingSet`."""
        return Batches(
            images=self.images,
            noise=noise_models.parse(self.recipe.noise),
            batch=batch,
            patch=patch,
            seed=seed,
            shard=shard,
            gray=self.recipe.gray,
            flat=self.recipe.flat,
            patterns=self.recipe.patterns,
            enlarged=self.recipe.enlarged,
            detail=self.recipe.detail,
        )

    def validation(self, stride: int) -> HeldOut:
        """See :class:`TrainingSet`."""
        return evaluate.held_out(self.held_out.clean, stride, self.levels)


@dataclass(frozen=True)
class Clips(_Made):
    """Clips made from them, and cut from videos."""

    videos: Videos | None = None

    @property
    def fingerprint(self) -> str:
        """See :class:`TrainingSet`."""
        videos = self.videos.fingerprint if self.videos else ""
        of_videos = isinstance(self.images, VideoFrames)
        return videos if of_videos else self.images.fingerprint + videos

    def batches(self, batch: int, patch: int, seed: int, shard: int = 0) -> ClipBatches:
        """See :class:`TrainingSet`."""
        noise = noise_models.parse(self.recipe.noise)
        frames = self.recipe.frames
        return ClipBatches(self.images, self.videos, noise, batch, patch, frames, seed, shard)

    def validation(self, stride: int) -> HeldOut:  # noqa: ARG002
        """See :class:`TrainingSet`."""
        return clip_validation(self.held_out.clean, self.levels)


def clip_validation(clips: Sequence[Pixels], noises: Sequence[Noise]) -> HeldOut:
    """Prepare held-out clips, T×H×W×3, for measuring; all their frames count.

    Args:
        clips: without noise.
        noises: what to measure at.
    """
    pairs = {}
    for noise in noises:
        rng = np.random.default_rng(0)
        pairs[noise.name] = tuple(add_noise(clip, noise, rng) for clip in clips)
    return HeldOut(pairs)


@dataclass(frozen=True)
class Photographed:
    """Pairs or bursts, whose noise is the camera's own."""

    scenes: Scenes
    kind: str
    recipe: Recipe
    held_out: HeldOutPictures

    @property
    def fingerprint(self) -> str:
        """See :class:`TrainingSet`."""
        return self.scenes.fingerprint

    def batches(self, batch: int, patch: int, seed: int, shard: int = 0) -> ScenePatches:
        """See :class:`TrainingSet`."""
        detail = self.recipe.detail
        assert isinstance(detail, int)  # a recipe of pairs or bursts has one number
        return ScenePatches(self.scenes, batch, patch, seed, shard, detail)

    def validation(self, stride: int) -> HeldOut:
        """See :class:`TrainingSet`."""
        return evaluate.held_out_pairs(self.held_out.pairs, stride, AGAINST[self.kind])


def _open_clips(settings: Recipe, smallest: int) -> Clips:
    """Open photos, videos or both; of videos alone, single frames are the photos.

    Raises:
        DataError: there is nothing usable to train on, or nothing to validate on.
    """
    data, held_out = settings.data, settings.held_out
    videos = None
    if data != BUILTIN:
        longest = max(settings.frames, HELD_OUT_FRAMES)
        videos = open_videos(
            Path(data), settings.frames, longest, smallest, settings.seed, held_out
        )
    images: Images
    if videos and not has_pictures(Path(data)):
        if not videos.validation:
            raise DataError(f"{held_out} holds no usable video, and {data} nothing else")
        images = VideoFrames(videos)
    else:
        images = open_images(data, smallest, settings.seed, held_out)
    clips = held_out_clips(images.held_out(), videos, HELD_OUT_FRAMES, smallest)
    return Clips(images, settings, HeldOutPictures(clips), videos)


def open_training_set(settings: Recipe) -> TrainingSet:
    """Open what a recipe says to train on.

    Raises:
        DataError: there are no usable pictures.
    """
    phases = [phase for phase in (settings.float_phase, settings.qat) if phase.steps]
    smallest = max(size.patch for phase in phases for size in phase.sizes)
    if not settings.photographed:
        if settings.model in RECURRENT:
            return _open_clips(settings, smallest)
        images = open_images(settings.data, smallest, settings.seed, settings.held_out)
        return Photos(images, settings, HeldOutPictures(tuple(images.held_out())))
    kind, folder = settings.photographed
    if settings.model in RECURRENT:
        raise RecipeError(f"{settings.model} learns from photos (data), not from {kind}")
    opening: Callable[..., Scenes] = open_pairs if kind == "pairs" else open_bursts
    scenes = opening(folder, smallest, settings.seed, settings.held_out)
    pairs = tuple(scenes.held_out())
    targets = tuple(np.ascontiguousarray(target) for _, target in pairs)
    return Photographed(scenes, kind, settings, HeldOutPictures(targets, pairs))
