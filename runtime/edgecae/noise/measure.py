"""Measure the noise of a camera: σ over brightness, and what pixels, channels and frames share.

*Still frames.* What changes from one frame to the next is noise (``still.py``).

*Single pictures*, where most of the picture moves or there is one frame: noise is the finest detail
of the flattest blocks (``single.py``).

Both also give the line variance = gain · mean + read² that fits best, by the two steps of Foi,
Trimeche, Katkovnik and Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data", IEEE TIP 17(10), 2008.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise import single, warnings
from edgecae.noise.blocks import Blocks, split, statistics
from edgecae.noise.curve import ROUNDING, Curve
from edgecae.noise.line_fit import robust_line
from edgecae.noise.measured import LEVELS, MeasuredNoise, measured_noise
from edgecae.noise.spectrum import Spectrum
from edgecae.noise.still import StillNoise, measure_still
from edgecae.noise.tiles import SIDE, Tiles
from edgecae.noise.tone import fit_gamma

__all__ = ["Measurement", "measure_noise"]

MAX_WHOLE = 0.25
"""Share of the change that whole tiles may have in common where frames count as still."""

MAX_MOVING = 0.5
"""Share of blocks in which something may move."""

MAX_SHIFT = 0.7
"""Pixels that the camera may move by."""

MAX_RISING = 0.15
"""Growth of the change with time where there are other signs of movement."""

MAX_SINGLES = 16
"""Frames of which each is looked at by itself."""

SMOOTH_LEVELS, SMOOTH_PIXELS = 16.0, 4096.0
"""Of single pictures: levels over which the curve is smoothed, pixels that the line weighs."""

MAX_TILES = 2048
"""Tiles of all frames in which single pictures are measured."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Measurement:
    """Noise of a camera, and how sure it is.

    Attributes:
        gain: of red, green, blue, 0–255 scale; equal for gray frames.
        read: standard deviation in the dark, likewise; variance = gain · mean + read² is the line
            that fits the curves best.
        curves: σ over brightness of red, green, blue.
        gamma: of the tone curve that explains how lopsided the noise is; 1 where none does, or
            where it was not measured. The mean of frames is off by what it shifts
            (:mod:`.tone`).
        spectrum: of the noise, brought to variance 1.
        spectrum_error: relative error of its densities, root of the mean square; 1 where it was not
            measured, and is taken for that of white noise.
        time: correlation of a frame's noise with that of the next frames; empty where unknown.
        method: ``still frames`` or ``single pictures``.
        frames: how many were used.
        blocks: of 8×8 pixels that were looked at, in the channel that has the fewest.
        levels: lowest and highest brightness of the curves.
        fit_error: relative distance of the curves from the line, root of the mean square.
        correlation: of the luma noise in neighbouring pixels of a row or column; 0 for white noise.
        rows: share of the luma noise that the pixels of a row have in common.
        moving: share of blocks that were left out because something moves.
        eaten: share of blocks whose noise compression or noise reduction took away.
        clipped: share of pixels whose noise is cut off at black or white.
        hot: pixels far off all their neighbours, for each million.
        warnings: what to know before the numbers are used, a sentence each.
    """

    gain: tuple[float, float, float]
    read: tuple[float, float, float]
    curves: tuple[Curve, Curve, Curve]
    gamma: float
    spectrum: Spectrum
    spectrum_error: float
    time: tuple[float, ...]
    method: str
    frames: int
    blocks: int
    levels: tuple[float, float]
    fit_error: float
    correlation: float
    rows: float
    moving: float
    eaten: float
    clipped: float
    hot: float
    warnings: tuple[str, ...]

    def sigma(self, brightness: float) -> tuple[float, float, float]:
        """σ of each channel by its curve, less rounding, 0–255 scale.

        Args:
            brightness: 0 to 1. Near black and white, what is cut off is missing.
        """
        level = np.array([255 * brightness])
        red, green, blue = (
            math.sqrt(max(0.0, float(curve.at(level, gain, read)[0]) ** 2 - ROUNDING))
            for curve, gain, read in zip(self.curves, self.gain, self.read, strict=True)
        )
        return red, green, blue

    def noise(self) -> MeasuredNoise:
        """A model that makes this noise."""
        curves = zip(self.curves, self.gain, self.read, strict=True)
        sigma = np.stack([curve.at(np.array(LEVELS), *line) for curve, *line in curves])
        return measured_noise(sigma, self.spectrum, self.gamma)

    def explained(self) -> Measurement:
        """The same where it is known what the encoder got: that noise lasts is no warning then."""
        left = tuple(each for each in self.warnings if not each.startswith(warnings.LASTS))
        return dataclasses.replace(self, warnings=left)

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``; ``sigma`` is by per cent of brightness."""
        names = ("red", "green", "blue")
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
            "curve": {n: c.to_dict() for n, c in zip(names, self.curves, strict=True)},
            "tone": {"gamma": self.gamma},
            "spectrum": self.spectrum.to_dict(),
            "spectrum_error": round(self.spectrum_error, 4),
            "channels": [[round(float(v), 3) for v in row] for row in self.spectrum.channels()],
            "time": [round(value, 3) for value in self.time],
            "fit_error": round(self.fit_error, 4),
            "correlation": round(self.correlation, 4),
            "rows": round(self.rows, 4),
            "moving": round(self.moving, 4),
            "eaten": round(self.eaten, 4),
            "clipped": round(self.clipped, 4),
            "hot": round(self.hot, 1),
            "warnings": list(self.warnings),
        }


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
    tiles = Tiles()
    singles: list[Blocks] = []
    before: NDArray[np.uint8] | None = None
    for frame in frames:
        if before is not None and np.array_equal(frame, before):
            continue
        if min(frame.shape[:2]) < SIDE:
            raise NoiseError(
                f"a picture of {frame.shape[1]}×{frame.shape[0]} pixels is too small to measure "
                f"noise; {SIDE}×{SIDE} is the least"
            )
        tiles.add(frame)
        if len(singles) < MAX_SINGLES:
            singles.append(statistics(split(frame)))
        before = frame.copy()
    if not singles:
        raise NoiseError("there is no frame to measure noise in")
    if tiles.count > 1 and tiles.same_size:
        found = measure_still(tiles.stacked(), tiles.columns)
        if _is_still(found):
            return _of_still_frames(found, tiles.count)
    return _of_pictures(Blocks.joined(singles), tiles)


def _is_still(found: StillNoise) -> bool:
    """Whether what changes is noise.

    A picture that moves changes more, the longer one waits, and so does the noise of some video;
    but that moves no edges, and no whole tiles become brighter.
    """
    if found.whole > MAX_WHOLE or found.moving > MAX_MOVING or found.shift > MAX_SHIFT:
        return False
    moves = found.shift > MAX_SHIFT / 3 or found.whole > MAX_WHOLE / 5
    return not (found.rising > MAX_RISING and moves)


@dataclass(frozen=True)
class _Points:
    """Variance over brightness in bins, as :class:`.still.StillNoise` has them."""

    level: Floats
    variance: Floats
    error: Floats
    pixels: Floats

    def line(self, channel: int) -> tuple[float, float, float]:
        """The line through what is not cut off at black or white.

        Returns:
            Gain; read² + 1/12; relative distance of σ from it, root of the mean square.
        """
        level, variance, pixels = (
            each[channel] for each in (self.level, self.variance, self.pixels)
        )
        there = (pixels > 0) & (variance > 0)
        margin = 3 * np.sqrt(np.where(there, variance, 0))
        inside = there & (level > margin) & (level < 255 - margin)
        usual = inside & (pixels >= 0.01 * pixels.sum())
        chosen = next(each for each in (usual, inside, there) if each.any())
        level, variance, pixels = level[chosen], variance[chosen], pixels[chosen]
        gain, offset = robust_line(level, variance, pixels)
        off = np.sqrt(variance / np.maximum(gain * level + offset, 1e-9)) - 1
        return gain, offset, math.sqrt(float(np.average(off**2, weights=pixels)))

    def smoothed(self, lines: Sequence[tuple[float, float, float]]) -> _Points:
        """Points of few blocks, brought nearer to their line and to each other."""
        variance = self.variance.copy()
        for channel, (gain, offset, _) in enumerate(lines):
            there = self.pixels[channel] > 0
            level, pixels = self.level[channel, there], self.pixels[channel, there]
            line = np.maximum(gain * level + offset, 1e-9)
            ratio = variance[channel, there] / line
            near = np.exp(-0.5 * np.square((level[:, None] - level) / SMOOTH_LEVELS)) * pixels
            mean = (near @ ratio + SMOOTH_PIXELS) / (near.sum(1) + SMOOTH_PIXELS)
            variance[channel, there] = mean * line
        return dataclasses.replace(self, variance=variance)


def _nothing(advice: str) -> NoiseError:
    return NoiseError(
        f"the pictures show no noise: they are drawn, or were denoised or compressed; {advice}"
    )


def _measurement(
    points: _Points, lines: Sequence[tuple[float, float, float]] | None = None, **more: Any
) -> Measurement:
    """Curves and lines through points, with all else that was found."""
    if not (points.pixels * (np.nan_to_num(points.variance) > 0)).any():
        raise _nothing("take several frames of a still scene, or pictures as the sensor gives them")
    if lines is None:
        lines = [points.line(channel) for channel in range(3)]
    curves = [
        Curve.of_points(*(each[channel] for each in vars(points).values())) for channel in range(3)
    ]
    gain = [line[0] for line in lines]
    read = [math.sqrt(max(0.0, line[1] - ROUNDING)) for line in lines]
    levels = [level for curve in curves for level in curve.level]
    return Measurement(
        gain=(gain[0], gain[1], gain[2]),
        read=(read[0], read[1], read[2]),
        curves=(curves[0], curves[1], curves[2]),
        levels=(min(levels), max(levels)),
        fit_error=max(line[2] for line in lines),
        **more,
    )


def _of_still_frames(found: StillNoise, count: int) -> Measurement:
    points = _Points(found.level, found.variance, found.error, found.pixels)
    spectrum = found.sums.spectrum()
    error = found.sums.error()
    still = int(np.nansum(found.pixels, axis=1).min()) // 64
    rows = spectrum.rows()
    return _measurement(
        points,
        gamma=fit_gamma(found.level, found.variance, found.third, found.pixels),
        spectrum=spectrum,
        spectrum_error=error,
        time=found.time,
        method="still frames",
        frames=count,
        blocks=still * count,
        correlation=spectrum.neighbours(),
        rows=rows,
        moving=found.moving,
        eaten=found.eaten,
        clipped=found.clipped,
        hot=found.hot,
        warnings=tuple(warnings.of_still_frames(found, error, rows, count)),
    )


def _of_pictures(blocks: Blocks, tiles: Tiles) -> Measurement:
    """Measure single pictures: white noise by its finest band, other noise by flat blocks."""
    flat_blocks, fits, correlation = single.measure_pictures(blocks)
    if not any(fit.gain for fit in fits) and not any(fit.offset > ROUNDING for fit in fits):
        raise _nothing("take several frames of a still scene, or pictures as the sensor gives them")
    sample = tiles.sample(MAX_TILES)
    found = single.measure_flat(sample)
    if correlation <= single.MAX_CORRELATION or not found.pixels.any(1).all():
        points = _Points(*single.points_of(flat_blocks, fits))
        lines = [(fit.gain, fit.offset, fit.error) for fit in fits]
        seen = min(int(np.count_nonzero(fit.kept)) for fit in fits)
    else:
        points = _Points(found.level, found.variance, found.error, found.pixels)
        lines = [points.line(channel) for channel in range(3)]
        seen = int(found.pixels.sum(1).min()) // 64
    spectrum, spectrum_error = found.spectrum, found.spectrum_error
    white = correlation <= single.MAX_CORRELATION and spectrum_error > warnings.MAX_SPECTRUM_ERROR
    if spectrum is None or white:
        spectrum, spectrum_error = Spectrum.white(), 1.0
    noiseless = float(np.mean(blocks.diagonal.mean(1) < ROUNDING / 2))
    ends = (blocks.low < 1) | (blocks.high > 254)
    return _measurement(
        points.smoothed(lines),
        lines,
        gamma=1.0,
        spectrum=spectrum,
        spectrum_error=spectrum_error,
        time=(),
        method="single pictures",
        frames=tiles.count,
        blocks=seen,
        correlation=correlation,
        rows=0.0,
        moving=0.0,
        eaten=noiseless,
        clipped=float(np.mean(ends)),
        hot=0.0,
        warnings=tuple(
            warnings.of_pictures(found, fits, correlation, noiseless, single.compressed(sample))
        ),
    )
