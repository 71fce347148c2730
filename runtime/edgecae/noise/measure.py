"""Measure the noise of a camera: variance = gain · mean + read² in each channel.

Two estimators give points of local mean against local variance, block by block, and one fit lays
the line through them (the two steps of Foi, Trimeche, Katkovnik and Egiazarian, "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP 17(10), 2008):

*Still frames.* What changes from one frame to the next, divided by √2, is noise; blocks in which
something moves lie far above the line, and are left out. That the scene is still shows in that
there is as much change in detail as where all is plain.

*Single pictures.* The diagonal band of the Haar wavelet holds noise and little else where the
picture is flat. Flat blocks are those that show least in the other two bands of detail. The bands
are orthogonal: of white noise, two say nothing about the third, so that choosing quiet blocks
does not make the noise look smaller than it is (as it does where the measured band chooses: Liu,
Szeliski, Kang, Zitnick and Freeman, "Automatic estimation and removal of noise from a single
image", IEEE TPAMI 30(2), 2008, take the lower envelope for that reason).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import atomic
from edgecae.errors import NoiseError, SinkError
from edgecae.noise.blocks import BLOCK, Blocks, Floats, split, statistics
from edgecae.noise.fit import Fit, bin_by_level, fit_line, not_clipped, robust_line

__all__ = ["Measurement", "measure_noise", "require_writable", "write_noise_file"]

MIN_GOOD_BLOCKS = 96
"""Blocks that a choice by brightness and flatness must leave; else it is relaxed."""

ROUNDING = 1 / 12
"""Variance of rounding to whole numbers."""

MIN_STILL_SHARE = 0.5
"""Share of blocks that must fit the line of still frames."""

MAX_DETAIL_RATIO = 1.06
"""Variance where there is much detail, by that where there is little; 1 when nothing moves."""

MAX_CORRELATION = 0.2
"""Correlation of neighbouring pixels' noise that is worth a warning."""

MAX_NOISELESS_SHARE = 0.02
"""Share of blocks without any noise, not even that of rounding, that is worth a warning."""

MAX_FIT_ERROR = 0.15
"""Relative distance of σ from the fit that is worth a warning."""


@dataclass(frozen=True)
class Measurement:
    """Noise of a camera, and how sure it is.

    Attributes:
        gain: of red, green, blue, 0–255 scale; equal for gray frames.
        read: standard deviation in the dark, likewise.
        method: ``still frames`` or ``single pictures``.
        frames: how many were used.
        blocks: of 8×8 pixels, in the channel that has the fewest.
        levels: lowest and highest brightness among those blocks.
        fit_error: relative distance of the σ measured at each brightness from the fitted one,
            root of the mean square.
        correlation: of the noise in neighbouring pixels of a row or column; 0 for white noise.
        warnings: what to know before the numbers are used, a sentence each.
    """

    gain: tuple[float, float, float]
    read: tuple[float, float, float]
    method: str
    frames: int
    blocks: int
    levels: tuple[float, float]
    fit_error: float
    correlation: float
    warnings: tuple[str, ...]

    def sigma(self, brightness: float) -> tuple[float, float, float]:
        """Standard deviation in each channel, 0–255 scale, at ``brightness`` from 0 to 1."""
        red, green, blue = (
            math.sqrt(gain * 255 * brightness + read**2)
            for gain, read in zip(self.gain, self.read, strict=True)
        )
        return red, green, blue

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``; ``sigma`` is by per cent of brightness."""
        return {
            "gain": [round(value, 4) for value in self.gain],
            "read": [round(value, 4) for value in self.read],
            "method": self.method,
            "frames": self.frames,
            "blocks": self.blocks,
            "levels": [round(value, 1) for value in self.levels],
            "sigma": {
                f"{percent}": [round(value, 3) for value in self.sigma(percent / 100)]
                for percent in (10, 50, 90)
            },
            "fit_error": round(self.fit_error, 4),
            "correlation": round(self.correlation, 4),
            "warnings": list(self.warnings),
        }


def _flat_blocks(blocks: Blocks) -> Blocks:
    """The blocks that show no more detail than the quietest ones of their brightness.

    Where there are too few of them, the quietest ones there are.
    """
    level = blocks.level.mean(1)
    detail = ((blocks.detail + blocks.coarse) / 2).mean(1)
    points = bin_by_level(level, detail, 0.05)
    if not points[0].size:
        return blocks
    # Some 130 degrees of freedom: of 90 in two bands, and of 48 that overlap in the third.
    spread = math.sqrt(2 / 130)
    levels, quietest, counts = points
    quietest = quietest / (1 - 1.64 * spread)
    gain, offset = robust_line(levels, quietest, np.sqrt(counts), envelope=True)
    excess = detail / np.maximum(gain * level + offset, 1e-9)
    few = min(MIN_GOOD_BLOCKS, excess.size) - 1
    return blocks.where(excess <= max(1 + spread, np.partition(excess, few)[few]))


def _correlation(blocks: Blocks, fits: Sequence[Fit]) -> float:
    """Lag-one correlation of the noise.

    Of noise with correlation ρ along rows and columns, the horizontal band holds (1 + ρ) / (1 − ρ)
    times the power of the diagonal one.
    """
    detail, diagonal = (
        sum(float(each[fit.kept, i].mean()) for i, fit in enumerate(fits))
        for each in (blocks.detail, blocks.diagonal)
    )
    return (detail - diagonal) / (detail + diagonal) if detail > 0 else 0.0


def _fit_pairs(blocks: Blocks) -> tuple[Blocks, list[Fit]]:
    return blocks, [fit_line(blocks, channel, BLOCK**2 - 1) for channel in range(3)]


def _is_still(blocks: Blocks, fits: Sequence[Fit]) -> bool:
    """Whether what changes between frames is noise: as large in detail as where all is plain."""
    for channel, fit in enumerate(fits):
        if fit.share < MIN_STILL_SHARE:
            return False
        level, variance, detail = (
            each[fit.kept, channel] for each in (blocks.level, blocks.variance, blocks.coarse)
        )
        changed = variance / np.maximum(fit.gain * level + fit.offset, 1e-9)
        least, most = np.quantile(detail, [0.25, 0.75])
        plain, busy = (np.median(changed[part]) for part in (detail <= least, detail >= most))
        if busy > MAX_DETAIL_RATIO * plain:
            return False
    return True


def _fit_pictures(blocks: Blocks) -> tuple[Blocks, list[Fit]]:
    """Choose flat blocks and fit, twice: what is clipped looks flat, and depends on the noise.

    Where neighbouring pixels share noise, the diagonal band holds less than its part. The mean of
    all four bands is then the variance, with the coarse band in the place of the lowest.
    """
    good = np.all((blocks.low >= 16) & (blocks.high <= 239), axis=1)
    chosen = blocks.where(good) if np.count_nonzero(good) >= MIN_GOOD_BLOCKS else blocks
    for attempt in range(2):
        flat = _flat_blocks(chosen)
        fits = [fit_line(flat, channel, BLOCK**2 // 4) for channel in range(3)]
        if _correlation(flat, fits) > MAX_CORRELATION:
            flat = flat._replace(variance=(2 * flat.detail + flat.coarse + flat.diagonal) / 4)
            fits = [fit_line(flat, channel, BLOCK**2 // 4) for channel in range(3)]
        if not attempt:
            for margin in (3.0, 2.0, 1.0):
                each = [
                    not_clipped(blocks, f.gain, f.offset, i, margin) for i, f in enumerate(fits)
                ]
                good = np.all(np.stack(each), axis=0)
                if np.count_nonzero(good) >= MIN_GOOD_BLOCKS:
                    chosen = blocks.where(good)
                    break
    return flat, fits


def _warnings(
    fits: Sequence[Fit], correlation: float, alone: bool, error: float, noiseless: float
) -> list[str]:
    said = []
    if correlation > MAX_CORRELATION:
        cause = "demosaicing, scaling or compression"
        advice = "training has white noise, so a network does less well on this camera"
        if alone:
            cause += " (or what was measured is fine texture)"
            advice += "; σ is raised for it, but still frames would say more surely by how much"
        said.append(
            f"neighbouring pixels share noise, correlation {correlation:.2f}, as after {cause}; "
            f"{advice}"
        )
    if noiseless > MAX_NOISELESS_SHARE:
        said.append(
            f"in {100 * noiseless:.0f} % of the picture, compression or noise reduction left no "
            "fine noise: σ is too low; take still frames, or pictures as the sensor gives them"
        )
    if any(fit.narrow for fit in fits):
        said.append(
            "the pictures have one brightness, at which alone this noise holds: gain and read "
            "can't be told apart; take pictures with dark and bright parts"
        )
    if error > MAX_FIT_ERROR:
        said.append(
            f"σ lies {100 * error:.0f} % off the fit, as after a strong tone curve or noise "
            "reduction in the camera, or where little of the picture is flat or still"
        )
    if any(fit.clipped for fit in fits):
        said.append("most of the picture is black or white, where noise is cut off; σ may be low")
    return said


def measure_noise(frames: Iterable[NDArray[np.uint8]]) -> Measurement:
    """Measure the noise that frames of one camera have in common.

    Frames of a still scene are compared with each other, and give the better figures; where most
    of the picture changes, or there is one frame, each is looked at by itself. A frame that equals
    the one before it is passed over.

    Args:
        frames: uint8, H×W×3 or H×W, all with the same exposure and sensitivity.

    Raises:
        NoiseError: there are none, they are too small, black or white, or show no noise at all.
    """
    pairs: list[Blocks] = []
    singles: list[Blocks] = []
    before: NDArray[np.uint8] | None = None
    now: Floats | None = None
    for frame in frames:
        if before is not None and np.array_equal(frame, before):
            continue
        last, now = now, split(frame)
        singles.append(statistics(now))
        if before is not None and last is not None and before.shape == frame.shape:
            pairs.append(statistics((now + last) / 2, (now - last) / np.float32(math.sqrt(2))))
        before = frame
    if not singles:
        raise NoiseError("there is no frame to measure noise in")
    still = False
    if pairs:
        with contextlib.suppress(NoiseError):
            blocks, fits = _fit_pairs(Blocks.joined(pairs))
            still = _is_still(blocks, fits)
    noiseless = 0.0
    if not still:
        all_blocks = Blocks.joined(singles)
        noiseless = float(np.mean(all_blocks.diagonal.mean(1) < ROUNDING / 2))
        blocks, fits = _fit_pictures(all_blocks)
    correlation = _correlation(blocks, fits)
    gain = [fit.gain for fit in fits]
    read = [math.sqrt(max(0.0, fit.offset - ROUNDING)) for fit in fits]
    if not any(gain) and not any(read):
        raise NoiseError(
            "the pictures show no noise: they are drawn, or were denoised or compressed; take "
            "several frames of a still scene, or pictures as the sensor gives them"
        )
    error = max(fit.error for fit in fits)
    levels = [blocks.level[fit.kept, i] for i, fit in enumerate(fits)]
    return Measurement(
        gain=(gain[0], gain[1], gain[2]),
        read=(read[0], read[1], read[2]),
        method="still frames" if still else "single pictures",
        frames=len(singles),
        blocks=min(each.size for each in levels),
        levels=(min(float(e.min()) for e in levels), max(float(e.max()) for e in levels)),
        fit_error=error,
        correlation=correlation,
        warnings=tuple(_warnings(fits, correlation, not still, error, noiseless)),
    )


def require_writable(path: Path, overwrite: bool = False) -> None:
    """See whether :func:`write` would write, before the time is spent to measure.

    Raises:
        SinkError: it has another suffix than ``.toml``, or is there already.
    """
    if path.suffix != ".toml":
        raise SinkError(f"{path}: a noise file ends in .toml")
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")


def write_noise_file(
    path: Path, measured: Measurement, source: str, overwrite: bool = False
) -> None:
    """Write a file that :func:`edgecae.noise.parse` reads, whole or not at all.

    Args:
        path: ends in ``.toml``.
        measured: what to write.
        source: where the frames came from, for people.
        overwrite: replace a file that is there.

    Raises:
        SinkError: it is there already, has another suffix, or can't be written.
    """
    require_writable(path, overwrite)
    numbers = measured.to_dict()
    shown = "".join(letter if letter.isprintable() else "?" for letter in source)
    text = (
        f"# Noise of {shown}: {measured.method}, frames used: {measured.frames}.\n"
        "# variance = gain · mean + read², red, green, blue, 0–255 scale.\n"
        f"gain = {numbers['gain']}\nread = {numbers['read']}\n"
    )
    atomic.write_text(path, text, overwrite)
