"""Clips cut from videos, for networks that carry a state through time.

The runtime moves the state with the scene, so a clip follows the camera, too: each frame is cut
where :class:`edgecae.denoise.alignment.Aligner` finds the scene of the frame before it, by whole
pixels. What moves by itself, turns or grows is left in it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.alignment import Aligner
from edgecae.denoise.kept import Kept
from edgecae.errors import DataError, SourceError
from edgecae.media.sources.video_file import VideoFile
from edgecae_train.data.series import fingerprint, load_item, ranked

__all__ = ["SUFFIXES", "ShotWindow", "VideoFrames", "Videos", "open_videos"]

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    (".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".ts", ".webm", ".y4m")
)
"""Of files that are taken for videos."""

ENOUGH_ROWS = 400
"""Frames are averaged down as long as their shorter side keeps so many pixels: what compression has
done to the finest detail goes with it."""

MAX_SIDE = 384
"""A larger shot is used through a window of this size, so that memory is bounded."""

MAX_SKIPPED = 300
"""Frames that are decoded in vain, at most, to begin a shot between two key frames."""

WINDOW = 24
"""Shots that are held in memory at once."""

MAX_HELD_OUT = 6
"""Shots to validate on."""

_PER_SECOND = 1_000_000
"""Unit of FFmpeg's times of a whole file."""

Pixels = NDArray[np.uint8]


def _reduced(frame: Pixels) -> Pixels:
    """A frame averaged down to less than twice :data:`ENOUGH_ROWS`, with even sides."""
    by = max(1, min(frame.shape[:2]) // ENOUGH_ROWS)
    height, width = (side // (2 * by) * 2 for side in frame.shape[:2])
    cells = frame[: height * by, : width * by].reshape(height, by, width, by, 3)
    means: Pixels = np.rint(cells.mean((1, 3), dtype=np.float32)).astype(np.uint8)
    return means


def _seek(video: VideoFile, first: int) -> None:
    """Go to a frame, or near to it where the file can't be searched."""
    rate = video.rate
    if not first or not rate:
        return
    start = video.container.start_time or 0
    try:
        video.container.seek(start + int(first / rate * _PER_SECOND))
    except OSError as error:  # PyAV's errors are some
        log.debug("%s: %s", video.name, error)
    frame = video.look_ahead()
    if frame is None or frame.pts is None or frame.time_base is None:
        return
    here = round((frame.pts * frame.time_base - Fraction(start, _PER_SECOND)) * rate)
    for _ in range(min(MAX_SKIPPED, first - here)):
        video.skip()


def _read(path: Path, frames: int, rng: np.random.Generator | None) -> Pixels:
    """Read successive frames from anywhere in a video, or from its middle without ``rng``.

    Raises:
        DataError: it can't be read, or is too short.
    """

    def from_frame(choose: Callable[[int], int]) -> list[Pixels]:
        with VideoFile(path, deinterlace=True) as video:
            _seek(video, choose(max(0, (video.expected_frames or 0) - frames)))
            return [_reduced(each.pixels) for each in itertools.islice(video, frames)]

    try:
        shot = from_frame(lambda last: last // 2 if rng is None else int(rng.integers(last + 1)))
        if len(shot) < frames:  # no key frame after the place, or a file that was cut
            shot = from_frame(lambda _: 0)
    except SourceError as error:
        raise DataError(str(error)) from error
    if len(shot) < frames or len({frame.shape for frame in shot}) > 1:
        raise DataError(f"{path} has no {frames} successive frames of one size")
    return np.stack(shot)


def _kept(frame: Pixels) -> Kept:
    """A frame as the fusion front keeps it."""
    height, width = frame.shape[:2]
    cells = frame.reshape(height // 2, 2, width // 2, 2, 3).swapaxes(1, 2)
    blocks = (cells.reshape(height // 2, width // 2, 12) ^ 0x80).view(np.int8)
    return Kept(blocks, 2, 0, 0)


def followed(shot: Pixels, smallest: int, rng: np.random.Generator | None) -> Pixels:
    """Cut the part that all frames show, where the camera is followed.

    Where that has no ``smallest`` pixels, a window of this side stays at the edge of the frames.

    Args:
        shot: uint8, T×H×W×3, with even H and W.
        smallest: pixels of a side, at least.
        rng: chooses the place of a part, where it is larger than :data:`MAX_SIDE`; None: the
            middle.

    Returns:
        uint8, T×h×w×3.
    """
    aligner = Aligner()
    places = [np.zeros(2)]
    for before, now in itertools.pairwise(shot):
        motion = aligner.find(now, _kept(before))
        places.append(places[-1] - (motion.rows, motion.columns))
    path = np.rint(places).astype(int)
    size = np.array(shot.shape[1:3])
    sides = np.clip(size - np.ptp(path, 0), smallest, MAX_SIDE)
    rest = size - sides
    low, high = np.maximum(0, -path.min(0)), rest - np.maximum(0, path.max(0))
    high = np.maximum(low, high)
    start = (low + high) // 2 if rng is None else rng.integers(low, high + 1)
    corners = np.clip(start + path, 0, rest)
    return np.stack(
        [
            frame[top : top + sides[0], left : left + sides[1]]
            for frame, (top, left) in zip(shot, corners, strict=True)
        ]
    )


@dataclass(frozen=True)
class Videos:
    """Shots of the videos of a folder: successive frames, see :func:`followed`.

    Attributes:
        training: files to train on.
        validation: files held out.
        frames: of a shot.
        smallest: pixels of a side that a shot has at least.
        seed: chooses the order, and where shots begin.
    """

    training: tuple[Path, ...]
    validation: tuple[Path, ...]
    frames: int
    smallest: int
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """Of the names and sizes of all files: what a resumed run compares."""
        return fingerprint((*self.training, *self.validation))

    def load(self, index: int) -> Pixels:
        """Shot ``index`` of an endless series, uint8, T×H×W×3."""

        def read(path: Path, rng: np.random.Generator) -> Pixels:
            return followed(_read(path, self.frames, rng), self.smallest, rng)

        none_left = "none of the videos can be read any more"
        return load_item(self.training, self.seed, index, read, none_left)

    def held_out(self, frames: int, side: int) -> list[Pixels]:
        """Clips to validate on, from the middle of held-out videos, uint8, frames×side×side×3."""
        clips = []
        for path in self.validation[:MAX_HELD_OUT]:
            try:
                shot = followed(_read(path, frames, None), side, None)
            except DataError as error:
                log.warning("not validated on: %s", error)
                continue
            top, left = ((length - side) // 2 for length in shot.shape[1:3])
            clips.append(shot[:, top : top + side, left : left + side])
        return clips


@dataclass(frozen=True)
class VideoFrames:
    """Single frames of videos, in the place of photos (:class:`.images.Images`)."""

    videos: Videos

    @property
    def window(self) -> int:
        """How many of the series to keep at hand."""
        return 4 * WINDOW

    @property
    def fingerprint(self) -> str:
        """See :class:`Videos`."""
        return self.videos.fingerprint

    def load(self, index: int) -> Pixels:
        """The first frame of a shot, H×W×3."""

        def read(path: Path, rng: np.random.Generator) -> Pixels:
            frame: Pixels = _read(path, 1, rng)[0]
            return frame

        none_left = "none of the videos can be read any more"
        return load_item(self.videos.training, self.videos.seed + 1, index, read, none_left)

    def held_out(self) -> list[Pixels]:
        """The frame in the middle of each held-out video."""
        return [_read(path, 1, None)[0] for path in self.videos.validation]


class ShotWindow:
    """Some shots held in memory; the oldest is replaced from time to time.

    Args:
        videos: the series.
    """

    def __init__(self, videos: Videos) -> None:
        self._videos = videos
        self._held: dict[int, Pixels] = {}

    def draw(self, rng: np.random.Generator, side: int, oldest: int) -> Pixels:
        """Draw a part of a shot, T×side×side×3.

        Args:
            rng: decides which.
            side: of the part.
            oldest: number of the first shot of the window.
        """
        index = oldest + int(rng.integers(WINDOW))
        if index not in self._held:
            self._held = {i: shot for i, shot in self._held.items() if i >= oldest}
            self._held[index] = self._videos.load(index)
        shot = self._held[index]
        top, left = (int(rng.integers(length - side + 1)) for length in shot.shape[1:3])
        return shot[:, top : top + side, left : left + side]


def _usable(path: Path, frames: int, smallest: int) -> bool:
    try:
        shortest = min(_read(path, 1, None).shape[1:3])
        with VideoFile(path) as video:
            count = video.expected_frames
    except (DataError, SourceError) as error:
        log.warning("skipped: %s", error)
        return False
    if shortest < smallest:
        log.warning("skipped: the shorter side of %s has %d pixels here", path, shortest)
        return False
    if count is not None and count < frames:
        log.warning("skipped: %s has %d frames, a clip has %d", path, count, frames)
        return False
    return True


def _usable_videos(folder: Path, frames: int, smallest: int) -> list[Path]:
    """The videos below a folder that can be used, in an order that names alone decide."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    return ranked((path for path in files if _usable(path, frames, smallest)), folder)


def open_videos(
    folder: Path, frames: int, longest: int, smallest: int, seed: int, held_out: str = ""
) -> Videos | None:
    """Open the videos of a folder (recursively); None: it has none.

    Args:
        folder: where to look.
        frames: of a shot.
        longest: videos of fewer frames are skipped: those of a clip to validate on.
        smallest: videos with a shorter side are skipped, pixels.
        seed: chooses the order, and where shots begin.
        held_out: a folder of videos to validate on; without one, a tenth of them.

    Raises:
        DataError: there is one alone, and none to validate on; or a patch is larger than a shot.
    """
    files = _usable_videos(folder, longest, smallest)
    if not files:
        return None
    if smallest > MAX_SIDE:
        raise DataError(f"a patch of {smallest} is too large: videos have parts up to {MAX_SIDE}")
    if held_out:
        validation = _usable_videos(Path(held_out), longest, smallest)
        seen = {path.resolve() for path in validation}
        training = [path for path in files if path.resolve() not in seen]
    else:
        count = max(1, len(files) // 10)
        training, validation = files[count:], files[:count]
    if not training:
        raise DataError(
            f"{folder} holds {len(files)} usable videos; training needs at least two, one of "
            "them to validate on"
        )
    return Videos(tuple(sorted(training)), tuple(sorted(validation)), frames, smallest, seed)
