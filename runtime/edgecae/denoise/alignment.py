"""Find how far a frame has moved against what a recurrent network keeps of earlier ones.

One shift of the whole frame. Phase correlation of small pictures (Kuglin and Hines, "The phase
correlation image alignment method", 1975) finds it roughly; the mean absolute difference of some
rows of the full resolution, walked downhill, gives whole pixels; and what is left, a part of a
pixel, follows from gradients (Lucas and Kanade, "An iterative image registration technique", 1981).
Where no shift is clearly better than none, it is none. The same small pictures tell whether the
scene is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.kept import Kept, Pixels, means
from edgecae.denoise.subpixel import part_of_a_pixel

__all__ = ["Aligner", "Motion"]

MAX_SMALL = 160 * 90
"""Pixels of a small picture."""
MIN_SIDE = 32
"""Pixels of a frame's shorter side, below which nothing is looked for."""
MAX_PART = 4
"""A shift is at most this part of a side."""
ROWS = 48
"""That are compared at the full resolution, about."""
MAX_STEPS = 10
"""Of the walk downhill."""
CLEARLY = 4.0
"""Standard errors of the rows' mean gain, and a half percent of the difference, make a shift better
than none."""
RENEWED = 0.2
"""Share of a new difference in the usual one."""
MAX_CHANGE = 2.0, 3.0
"""The difference of small pictures, times the usual one and on top of it in levels, from which on
the scene is another one."""
UNRELATED = 0.7
"""The difference of small pictures, as a share of that from the wrong part of the scene, from which
on the scene is another one where nothing is known of the usual difference yet."""
WHITE = 1.2
"""Neighbours of white noise differ by √2 of what it is, those of another scene by less. From here
on a difference of small pictures is taken for noise, where the usual one is not known yet."""


@dataclass(frozen=True)
class Motion:
    """What became of the scene since the last frame.

    Attributes:
        rows: pixel (y, x) of the frame shows what was at (y + ``rows``, x + ``columns``) before.
        columns: likewise.
        cut: whether it is another scene; the shift is 0 then.
    """

    rows: float = 0
    columns: float = 0
    cut: bool = False


def _quick(length: int) -> int:
    """The largest length, up to this one, of which a Fourier transform is quick."""
    while length > 1:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            break
        length -= 1
    return length


class Aligner:
    """Compares each frame of a sequence with what is kept of those before.

    Not more than some milliseconds for a frame: it looks at a part of the pixels, green alone.
    """

    def __init__(self) -> None:
        self._usual: float | None = None
        self._last, self._judged = (0, 0), True
        self._window = np.empty((0, 0), np.float32)

    def reset(self) -> None:
        """Forget the sequence."""
        self._usual, self._last, self._judged = None, (0, 0), True

    def find(self, frame: NDArray[np.uint8], kept: Kept) -> Motion:
        """Find the motion of a frame.

        Args:
            frame: uint8, H×W×3 or H×W×1.
            kept: of the frames before it, of the same size.
        """
        height, width = frame.shape[:2]
        if min(height, width) < MIN_SIDE:
            return Motion()
        factor = 2 * kept.block
        while height * width > MAX_SMALL * factor**2:
            factor *= 2
        tall, wide = (_quick((side - kept.block) // factor) for side in (height, width))
        green = frame[..., frame.shape[2] // 2]
        before, top, left = kept.small(factor, tall, wide)
        skip = max(1, factor // 4)
        now = means(
            green[top : top + tall * factor : skip, left : left + wide * factor],
            factor // skip,
            factor,
        )
        shift = self._exact(green, kept, self._rough(now, before, factor))
        known = self._usual is not None
        if self._is_cut(now, before, shift, factor):
            self.reset()
            # Strong noise in a scene of weak contrast looks like a cut: not twice running.
            self._judged = known
            return Motion(cut=True)
        self._last = shift
        down, right = part_of_a_pixel(green, kept, shift)
        return Motion(shift[0] + down, shift[1] + right)

    def _rough(self, now: Pixels, before: Pixels, factor: int) -> tuple[int, int]:
        """Shift in pixels of the frame, by phase correlation of the small pictures."""
        shape = now.shape
        if self._window.shape != shape:
            tall, wide = (np.hanning(side).astype(np.float32) for side in shape)
            self._window = tall[:, None] * wide
        one, two = (
            np.fft.rfft2((each - each.mean()) * self._window).astype(np.complex64)
            for each in (now, before)
        )
        cross = two * one.conj()
        size = np.abs(cross)
        surface = np.fft.irfft2(cross / (size + 0.1 * size.mean() + 1e-6), s=shape)
        peak = np.unravel_index(np.argmax(surface), shape)
        found = []
        for axis, (place, side) in enumerate(zip(peak, shape, strict=True)):
            line = np.take(surface, peak[1 - axis], axis=1 - axis)
            lower, middle, upper = (float(line[(place + by) % side]) for by in (-1, 0, 1))
            bend = lower - 2 * middle + upper
            part = 0.5 * (lower - upper) / bend if bend else 0.0
            found.append(round(((place + part + side / 2) % side - side / 2) * factor))
        return found[0], found[1]

    def _exact(
        self, green: NDArray[np.uint8], kept: Kept, rough: tuple[int, int]
    ) -> tuple[int, int]:
        """Walk from the best start to the shift of the least difference."""
        rows = _Rows(green, kept)
        starts = {(0, 0), self._last, rough}
        best = min(starts, key=rows.cost)
        for _ in range(MAX_STEPS):
            near = [(best[0] + y, best[1] + x) for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
            better = min(near, key=rows.cost)
            if rows.cost(better) >= rows.cost(best):
                break
            best = better
        return best if rows.is_better(best) else (0, 0)

    def _is_cut(self, now: Pixels, before: Pixels, shift: tuple[int, int], factor: int) -> bool:
        """Compare the small pictures where both have the scene, and learn what is usual."""
        parts = [
            _overlap(round(by / factor), side) for by, side in zip(shift, now.shape, strict=True)
        ]
        one = now[parts[0][0], parts[1][0]]
        two = before[parts[0][1], parts[1][1]]
        away = one - two
        change = float(np.abs(away).mean())
        if self._usual is None:
            self._usual, judged = change, self._judged
            self._judged = True
            elsewhere = np.roll(two, (two.shape[0] // 2, two.shape[1] // 2), (0, 1))
            unrelated = UNRELATED * float(np.abs(one - elsewhere).mean())
            white = float(np.abs(np.diff(away, axis=1)).mean()) > WHITE * change
            return judged and not white and change > max(MAX_CHANGE[1], unrelated)
        if change > max(MAX_CHANGE[0] * self._usual, self._usual + MAX_CHANGE[1]):
            return True
        self._usual += RENEWED * (change - self._usual)
        return False


def _overlap(shift: int, side: int) -> tuple[slice, slice]:
    """Where a picture and one that is ``shift`` further on both have the scene, along a side."""
    return (
        slice(max(0, -shift), min(side, side - shift)),
        slice(max(0, shift), min(side, side + shift)),
    )


class _Rows:
    """Some rows of a frame, and the difference of what is kept from them at any shift."""

    def __init__(self, green: NDArray[np.uint8], kept: Kept) -> None:
        self.height, self.width = green.shape
        block = kept.block
        self._step = max(1, self.height // ROWS // block) * block
        self._first = self._step // 2
        self._frame = green[self._first :: self._step].astype(np.int16)
        self._kept = kept
        self._bands: dict[int, tuple[slice, NDArray[np.int16]]] = {}
        self._rows: dict[tuple[int, int], tuple[slice, NDArray[np.float32]]] = {}
        self._costs: dict[tuple[int, int], float] = {}

    def _band(self, down: int) -> tuple[slice, NDArray[np.int16]]:
        """The rows that a shift leads to, and which of the frame's they belong to."""
        if down not in self._bands:
            count = len(self._frame)
            before = max(0, -(-(-down - self._first) // self._step))
            last = (self.height - 1 - down - self._first) // self._step
            part = slice(before, max(before, min(count, last + 1)))
            first = self._first + before * self._step + down
            band = self._kept.rows(first, self._step, part.stop - part.start, self.width)
            self._bands[down] = part, band
        return self._bands[down]

    def differences(self, shift: tuple[int, int]) -> tuple[slice, NDArray[np.float32]]:
        """Mean absolute difference of each row, and which rows they are."""
        if shift not in self._rows:
            part, band = self._band(shift[0])
            here, there = _overlap(shift[1], self.width)
            away = self._frame[part, here] - band[:, there]
            np.abs(away, out=away)
            sums = away.sum(axis=1, dtype=np.int32)
            self._rows[shift] = part, sums / np.float32(away.shape[1])
        return self._rows[shift]

    def cost(self, shift: tuple[int, int]) -> float:
        """Mean of the differences; infinite where the shift is too far."""
        limits = self.height // MAX_PART, self.width // MAX_PART
        if any(abs(by) > most for by, most in zip(shift, limits, strict=True)):
            return np.inf
        if shift not in self._costs:
            self._costs[shift] = float(self.differences(shift)[1].mean())
        return self._costs[shift]

    def is_better(self, shift: tuple[int, int]) -> bool:
        """Whether a shift is clearly better than none: in most rows, not by chance."""
        if shift == (0, 0):
            return False
        part, moved = self.differences(shift)
        _, still = self.differences((0, 0))
        gain = still[part] - moved
        mean, error = float(gain.mean()), float(gain.std()) / np.sqrt(max(1, len(gain) - 1))
        return mean > 0.005 * float(still.mean()) and mean > CLEARLY * error
