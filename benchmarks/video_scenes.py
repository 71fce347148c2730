"""Clean clips to measure video models on, and the noise that they get.

==========  =======================================================================================
``clips``   the first frames of each video of a folder
``static``  a photo, the same in each frame
``pan``     a window that moves over a photo by 2 pixels a frame
``shake``   a window held by hand: its place is drawn anew for each frame, normal with σ 1.5 pixels
            in both directions, at most 5 pixels off; between pixels bicubic
==========  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from clips_420 import Pixels
from numpy.typing import NDArray
from PIL import Image
from tune import evenly

from edgecae import noise
from edgecae.media import images, sources

__all__ = ["CLIPS", "MOTIONS", "Clip", "add_noise", "from_photo", "from_photos", "read_clips"]

CLIPS = "clips"
PAN = 2.0
SHAKE, MAX_SHAKE = 1.5, 5.0

Places = NDArray[np.float64]
"""Where a window lies in each frame, frames×2: right and down, in pixels."""


@dataclass(frozen=True)
class Clip:
    """A clean clip.

    Attributes:
        name: of the file that it is from.
        frames: uint8, H×W×3, RGB, of one size with even sides.
    """

    name: str
    frames: Sequence[Pixels]


def _still(frames: int) -> Places:
    return np.zeros((frames, 2))


def _pan(frames: int) -> Places:
    places: Places = np.arange(frames)[:, None] * np.array([PAN, 0.0])
    return places


def _shake(frames: int) -> Places:
    off = np.random.default_rng(0).normal(0, SHAKE, (frames, 2))
    places: Places = np.clip(off, -MAX_SHAKE, MAX_SHAKE)
    return places


MOTIONS: dict[str, Callable[[int], Places]] = {"static": _still, "pan": _pan, "shake": _shake}


def _window(photo: Image.Image, size: tuple[int, int], place: Places) -> Pixels:
    right, down = place
    how = (1, 0, right, 0, 1, down)
    moved = photo.transform(size, Image.Transform.AFFINE, how, Image.Resampling.BICUBIC)
    return np.asarray(moved)


def from_photos(
    folder: Path, motion: str, size: tuple[int, int], frames: int, count: int
) -> list[Clip]:
    """Make clips of photos that are evenly spread over a folder.

    Args:
        folder: with photos that hold the window wherever it goes.
        motion: of :data:`MOTIONS`.
        size: width and height, pixels, even.
        frames: number of frames.
        count: number of clips.

    Raises:
        ValueError: a photo is too small.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in images.SUFFIXES)
    found = []
    for path in evenly(paths, count):
        photo = Image.fromarray(images.read(path).pixels)
        try:
            found.append(Clip(path.stem, from_photo(photo, motion, size, frames)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return found


def from_photo(photo: Image.Image, motion: str, size: tuple[int, int], frames: int) -> list[Pixels]:
    """Move a window over the middle of a photo.

    Args:
        photo: RGB; it holds the window wherever it goes.
        motion: of :data:`MOTIONS`.
        size: width and height, pixels, even.
        frames: number of frames.

    Raises:
        ValueError: the photo is too small.
    """
    places = MOTIONS[motion](frames)
    room = np.array(photo.size) - size - np.ptp(places, axis=0)
    if room.min() < 0:
        raise ValueError(f"{photo.size} pixels are too few for {size} and {motion}")
    start = np.floor(room / 2) - places.min(axis=0)
    return [_window(photo, size, place) for place in places + start]


def read_clips(
    folder: Path, frames: int, size: tuple[int, int] | None = None, count: int | None = None
) -> list[Clip]:
    """Read the first frames of videos, with even sides.

    Args:
        folder: of videos, in sorted order.
        frames: at most so many of each.
        size: width and height of the middle that is taken; None: all of it.
        count: so many videos, evenly spread; None: every one.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    found = []
    for path in paths if count is None else evenly(paths, count):
        with sources.open_source(str(path)) as source:
            pixels = [frame.pixels.copy() for frame in islice(source, frames)]
        height, width = pixels[0].shape[:2]
        wide, high = size or (width // 2 * 2, height // 2 * 2)
        top, left = (height - high) // 2, (width - wide) // 2
        middle = np.s_[top : top + high, left : left + wide]
        found.append(Clip(path.stem, [np.ascontiguousarray(each[middle]) for each in pixels]))
    return found


def add_noise(clips: Sequence[Clip], spec: str) -> list[list[Pixels]]:
    """Add noise that is new in each frame.

    Args:
        clips: clean.
        spec: a description of noise; ``camera:`` is one camera for each clip, ``camera:seed=0``
            for the first, ``camera:seed=1`` for the next and so on.

    Returns:
        The frames of each clip; the same at every call.
    """
    rng = np.random.default_rng(0)
    kinds = [f"camera:seed={n}" if spec == "camera:" else spec for n in range(len(clips))]
    return [
        [noise.parse(kind).add(frame, rng) for frame in clip.frames]
        for kind, clip in zip(kinds, clips, strict=True)
    ]
