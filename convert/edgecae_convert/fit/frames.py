"""Frames of a source, recorded as files; and those of a still scene as a burst to judge by."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SourceError
from edgecae.media import images, sources
from edgecae.media.images import Picture
from edgecae_train.data.alignment import BLOCK, align
from edgecae_train.data.bursts import Burst, held_out_pair
from edgecae_train.data.scenes import draw_window

__all__ = ["MIN_JUDGING", "judging_pairs", "read_frames", "record"]

log = logging.getLogger(__name__)

SETTLE = 10
"""Frames of a live source that are passed over: its exposure settles."""

MIN_JUDGING = 4
"""Frames of a still scene whose mean is close enough to a clean picture to judge by."""

MAX_JUDGING = 16
"""Frames that are brought into line; more would hardly change their mean."""

JUDGED = 4
"""Noisy frames that are judged."""

JUDGING_SIDE = 512
MIN_JUDGING_SIDE = 64
"""Of the part of the frames in which nothing moves, pixels."""

MAX_COARSE = 0.35
"""Variance of the means of blocks by that of pixels, of what changes between frames, where it is
noise. Of frames that show different things it is near 1."""

Pixels = NDArray[np.uint8]


def record(spec: str, settings: sources.SourceSettings, count: int, folder: Path) -> int:
    """Write the first frames of a source as ``NNNN.png``, all or none of them.

    Args:
        spec: what :func:`edgecae.media.sources.open_source` takes.
        settings: see there.
        count: of the frames, at most.
        folder: where to; nothing is recorded where it is.

    Returns:
        How many frames are there.

    Raises:
        SourceError: it can't be opened or read, or has no frame.
        SinkError: they can't be written.
    """
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with sources.open_source(spec, settings) as source:
            start = SETTLE if source.live else 0
            for index, frame in enumerate(itertools.islice(source, start, start + count)):
                images.write(unfinished / f"{index:04}.png", Picture(frame.pixels))
        if not unfinished.exists():
            raise SourceError(f"{source.name} has no frame to measure")
        unfinished.rename(folder)
    return len(list(folder.glob("*.png")))


def read_frames(folder: Path, count: int | None = None) -> Iterator[Pixels]:
    """The frames that were recorded, in their order: uint8, H×W×3 or H×W."""
    for path in sorted(folder.glob("*.png"))[:count]:
        yield images.read(path).pixels


def _only_noise_changes(burst: Burst) -> bool:
    """Whether what differs between shots is noise, which has little in common over a block."""
    values = burst.shots[..., 1].astype(np.float32)
    still = burst.still[1:] & burst.still[:-1]
    rows, columns = (side // BLOCK for side in still.shape[1:])

    def blocks(array: NDArray[Any]) -> NDArray[Any]:
        cut = array[:, : rows * BLOCK, : columns * BLOCK]
        return cut.reshape(-1, rows, BLOCK, columns, BLOCK).swapaxes(2, 3)

    change = blocks(values[1:] - values[:-1])[blocks(still).all((-1, -2))]
    total = float(change.var()) if change.size else 0.0
    return total > 0 and float(change.mean((-1, -2)).var()) < MAX_COARSE * total


def judging_pairs(folder: Path) -> list[tuple[Pixels, Pixels]]:
    """Frames of a still scene and the mean of the others, where nothing moves.

    Returns:
        Pairs of uint8, H×W×3; none where the scene is not still.
    """
    sizes, parts = set(), []
    for frame in read_frames(folder, MAX_JUDGING):
        sizes.add(frame.shape)
        top, left, height, width = draw_window(frame.shape[:2], 2 * JUDGING_SIDE, None)
        part = frame[top : top + height, left : left + width]
        parts.append(part.copy() if part.ndim == 3 else np.repeat(part[..., None], 3, axis=2))
    if len(parts) < MIN_JUDGING or len(sizes) > 1 or min(parts[0].shape[:2]) < MIN_JUDGING_SIDE:
        return []
    aligned = align(np.stack(parts))
    # What is measured of the noise brings the mean back to the scene, at black and white as well.
    burst = Burst(aligned.shots, aligned.still, declipped=False)
    if len(aligned.used) < MIN_JUDGING or not _only_noise_changes(burst):
        return []
    found = [
        held_out_pair(burst, MIN_JUDGING_SIDE, JUDGING_SIDE, shot)
        for shot in range(min(JUDGED, len(burst.shots)))
    ]
    return [pair for pair in found if pair is not None]
