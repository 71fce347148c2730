"""What to know before measured noise is used: where a scene or a camera can't tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.curve import MIN_PIXELS
from edgecae.noise.line_fit import MIN_LEVEL_RANGE, Fit
from edgecae.noise.single import MAX_CORRELATION, FlatNoise
from edgecae.noise.still import StillNoise

__all__ = ["LASTS", "of_pictures", "of_still_frames"]

Floats = NDArray[np.floating]

LASTS = "the noise of a frame lasts into the next ones"
"""How the warning begins that cameras before an encoder (:mod:`.encoded`) explain."""

MAX_CURVE_ERROR = 0.05
"""Relative error of σ, median over the curve, that is worth a warning."""

MAX_SPECTRUM_ERROR = 0.15

MAX_LASTING = 0.05
"""How much larger changes over half of the frames may be than over a quarter."""

MIN_INDEPENDENT = 20
"""Frames whose noise is new, that a measurement needs."""

MAX_FLICKER = 0.1
"""Of the light, in parts of the noise's σ."""

MAX_SHIFT = 0.05
"""Of the camera, pixels."""

MAX_SHAKEN = 0.1
"""Share of the change at sharp edges."""

MAX_MOVING = 0.1
"""Share of blocks."""

MAX_EATEN = 0.1
"""Share of blocks that have lost their noise, of still frames."""

MAX_NOISELESS = 0.02
"""The same, of single pictures, where those without noise hide how much there was."""

MAX_CLIPPED = 0.5
"""Share of pixels."""

MAX_ROWS = 0.05
"""Share of the noise that rows have in common."""

MAX_HOT = 20.0
"""Hot pixels for each million."""

MIN_SHARE = 0.01
"""Share of the pixels that a brightness must have to count."""

DARK = 24.0
"""Brightness below which a picture is dark, 0–255."""

MIN_LIMIT = 0.6
"""See :attr:`.single.FlatNoise.limit`."""

MIN_FLAT = 0.04
"""Share of blocks that must be flat."""

MAX_COMPRESSED = 1.25
"""See :func:`.single.compressed`."""

MAX_FIT_ERROR = 0.15
"""Relative distance of σ from the line, of single pictures."""


def _of_levels(pixels: Floats, level: Floats) -> Iterator[str]:
    """Too few brightnesses, or too dark a scene; both arguments 3×B."""
    there = pixels >= np.maximum(1, MIN_SHARE * pixels.sum(1, keepdims=True))
    spans = [np.ptp(each[kept]) for each, kept in zip(level, there, strict=True) if kept.any()]
    if max(spans, default=0) < MIN_LEVEL_RANGE:
        yield (
            "the pictures have one brightness, at which alone this noise holds: gain and read "
            "can't be told apart; take pictures with dark and bright parts"
        )
    counted = np.nan_to_num(level) * pixels
    if counted.sum() < DARK * pixels.sum():
        yield (
            "the pictures are dark: beyond their brightness the curve is a guess; "
            "take a scene with bright parts as well"
        )


def of_still_frames(
    found: StillNoise, spectrum_error: float, rows: float, count: int
) -> Iterator[str]:
    """Warnings about still frames, a sentence each."""
    curve_error = float(np.median(found.error[found.pixels >= MIN_PIXELS])) / 2
    if curve_error > MAX_CURVE_ERROR or spectrum_error > MAX_SPECTRUM_ERROR:
        yield (
            f"σ is sure to {100 * curve_error:.0f} % and the spectrum to "
            f"{100 * spectrum_error:.0f} %: {count} frames; take 30 or more, of a scene that "
            "fills the picture with plain surfaces"
        )
    sigma = float(np.sqrt(np.nanmedian(found.variance)))
    lasting = max(0.0, sum(found.time))
    if found.rising > MAX_LASTING or (
        count < MIN_INDEPENDENT * (1 + 2 * lasting) and lasting > 0.2
    ):
        yield (
            f"{LASTS}, as in compressed video: {count} frames are too few to tell how strong it "
            "is; take 300 (--frames), or find out what the encoder got (edgecae noise --encoded)"
        )
    if found.flicker > max(MAX_FLICKER * sigma, 0.2):
        yield (
            f"the light flickers by {found.flicker:.1f} of 255 levels: that was taken out; lamps "
            "without flicker, or daylight, are better"
        )
    if found.shift > MAX_SHIFT and found.shaken > MAX_SHAKEN:
        yield (f"the camera moves by {found.shift:.2f} pixels: that was taken out, in part; fix it")
    if found.moving > MAX_MOVING:
        yield (
            f"something moves in {100 * found.moving:.0f} % of the picture, which was left out; "
            "take a scene in which nothing moves"
        )
    yield from _of_levels(found.pixels, found.level)
    if found.clipped > MAX_CLIPPED:
        yield "most of the picture is black or white, where noise is cut off; σ may be low"
    if found.eaten > MAX_EATEN:
        yield (
            f"in {100 * found.eaten:.0f} % of the blocks, compression or noise reduction left no "
            "noise: σ is the mean of blocks with and without"
        )
    if rows > MAX_ROWS:
        yield (
            f"whole rows share {100 * rows:.0f} % of the noise: of the camera, or of a lamp that "
            "flickers; try in daylight"
        )
    if found.hot > MAX_HOT:
        yield (
            f"{found.hot:.0f} of a million pixels are far off their neighbours, as hot pixels are: "
            "training does not make them"
        )


def of_pictures(
    found: FlatNoise, fits: Sequence[Fit], correlation: float, noiseless: float, compressed: float
) -> Iterator[str]:
    """Warnings about single pictures, a sentence each."""
    shared = correlation > MAX_CORRELATION
    if compressed > MAX_COMPRESSED:
        yield (
            "the picture was compressed in blocks (JPEG or video), which takes noise away where "
            "the picture is flat: one picture can't tell how much; take still frames"
        )
    if noiseless > MAX_NOISELESS:
        yield (
            f"in {100 * noiseless:.0f} % of the picture, compression or noise reduction left no "
            "fine noise: σ is too low; take still frames, or pictures as the sensor gives them"
        )
    if shared and (found.limit < MIN_LIMIT or found.flat < MIN_FLAT):
        yield (
            f"neighbouring pixels share what was measured, correlation {correlation:.2f}, and too "
            "little of the picture is flat: it may be fine texture, no noise; take still frames"
        )
    if not shared:
        yield from _of_fits(fits)
        return
    yield from _of_levels(found.pixels, found.level)
    if found.spectrum is None:
        yield (
            "too little of the picture is flat to measure the spectrum: white noise is assumed; "
            "take still frames"
        )
    elif found.spectrum_error > MAX_SPECTRUM_ERROR:
        yield (
            f"little of the picture is flat: the spectrum is sure to "
            f"{100 * found.spectrum_error:.0f} % alone; take still frames"
        )


def _of_fits(fits: Sequence[Fit]) -> Iterator[str]:
    if any(fit.narrow for fit in fits):
        yield (
            "the pictures have one brightness, at which alone this noise holds: gain and read "
            "can't be told apart; take pictures with dark and bright parts"
        )
    error = max(fit.error for fit in fits)
    if error > MAX_FIT_ERROR:
        yield (
            f"σ lies {100 * error:.0f} % off the line, as after a strong tone curve or noise "
            "reduction in the camera, or where little of the picture is flat"
        )
    if any(fit.clipped for fit in fits):
        yield "most of the picture is black or white, where noise is cut off; σ may be low"
