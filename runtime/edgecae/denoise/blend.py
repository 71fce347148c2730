"""Write the interpreter's result as a frame: gray where it was gray, blended with the noisy one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOST",
    "MAX_SAMPLED_ROWS",
    "SIGN_BIT",
    "TEXTURE",
    "WEIGHT_ONE",
    "Writer",
    "blend_weight",
    "expected_error",
    "mean_square_change",
]

SIGN_BIT = np.uint8(0x80)
"""int8 = uint8 XOR 0x80: what scale 1/255 with zero point −128 comes to."""

WEIGHT_ONE = 256
"""The blend weight 1, as an integer: weights are counted in parts of it."""

MAX_BAND = 64 * 640 * 3
"""Values that are blended at a time: few enough for a processor's cache."""

MAX_SAMPLED_ROWS = 64
"""Rows of a tile that :func:`mean_square_change` reads, about."""

TEXTURE = 1.03
"""σ up to which a frame counts as clean (see :func:`edgecae.noise.estimate`): nine in ten parts of
clean photos that the estimate did not learn from show no more (``benchmarks/estimator.py``)."""

# python benchmarks/strength.py --photos FOLDER gives the next three, each by the criterion that it
# names.

ERROR_AT_SIGMA_5 = 4.1
"""Mean squared error that noise of σ 5 leaves behind: the median of photos, by ``nano``, ``small``
and ``base``."""

MAX_ERROR_RATIO = 3.8
"""Error on the clean photo that a network does worst on, as a multiple of its mean error: the
largest of the three."""

LOST = 0.3
"""What a network takes from the picture itself, as a part of its mean error on clean photos: the
median of photos with weak noise, of sources that it did not learn from."""

FULL_WEIGHT = 0.95
"""The blend weight from which on the result is taken without the frame."""


def expected_error(quality: Mapping[str, Mapping[str, float]]) -> float:
    """Estimate the mean squared error of a network on clean frames, 0–255 scale squared.

    Args:
        quality: PSNR in dB by form and noise, as a model's metadata have it; what it would be
            without noise follows from that at σ 5.

    Returns:
        At least 1. A model without such figures is taken for one like ``small``.
    """
    psnr = quality.get("int8", {}).get("gaussian:5", 36.0)
    return max(1.0, 255**2 / 10 ** (psnr / 10) - ERROR_AT_SIGMA_5)


def mean_square_change(result: NDArray[np.int8], noisy: NDArray[np.uint8]) -> float:
    """Return the mean square of what a network took away, 0–255 scale squared, over some rows.

    Args:
        result: output of the interpreter, int8 H×W×3, or H×W×1 where ``noisy`` has one channel.
        noisy: the frame that was denoised, uint8 H×W×3 or H×W×1.
    """
    step = max(1, len(result) // MAX_SAMPLED_ROWS)
    some = result[::step].view(np.uint8) ^ SIGN_BIT
    away = some.astype(np.float32) - noisy[::step]
    return float(np.mean(np.square(away, out=away)))


def blend_weight(sigma: float, error: float, away: float) -> float:
    """Return the weight of the denoised frame with which the blend is nearest to the clean one.

    What a network takes away is noise and, of the picture itself, something that it has lost. Both
    have nothing to do with each other, so the best blend takes the share of it that is noise:
    1 − lost / away (least squares). What lies beyond the noise is lost. Else it is a little, of the
    size of the error on clean frames. And where a network leaves noise that it can't tell from the
    picture, as much of a camera's is, it takes less away, and loses less in the same proportion.

    Args:
        sigma: estimated noise, 0–255 scale.
        error: from :func:`expected_error`.
        away: from :func:`mean_square_change`.

    Returns:
        0 to 1, growing with ``sigma``: 0 up to :data:`TEXTURE`.
    """
    if sigma <= TEXTURE or away <= 0:
        return 0.0
    variance = sigma**2
    lost = max(LOST * error * min(1.0, away / variance), away - variance)
    lost = min(lost, MAX_ERROR_RATIO * error)
    return min(1.0, max(0.0, 1 - lost / away) / FULL_WEIGHT)


class Writer:
    """Writes results as frames; keeps the memory that it needs in between."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)
        self._words = np.empty((2, 0), np.uint16)

    def write(
        self,
        result: NDArray[np.int8],
        noisy: NDArray[np.uint8],
        out: NDArray[np.uint8],
        share: int,
    ) -> None:
        """Turn a result into a frame, or a part of one.

        Args:
            result: output of the interpreter, int8 H×W×3, or H×W×1 where ``noisy`` has one channel.
            noisy: the frame that was denoised, uint8 H×W×3 or H×W×1.
            out: where to write, of the shape of ``noisy``; may be ``noisy`` itself.
            share: blend weight of the result, in parts of :data:`WEIGHT_ONE`; the rest is the noisy
                frame.
        """
        height, width, channels = out.shape
        if channels == result.shape[2] and share == WEIGHT_ONE:
            np.bitwise_xor(result.view(np.uint8), SIGN_BIT, out=out)
            return
        rows = min(height, max(1, MAX_BAND // (width * channels)))
        if self._bytes.size < rows * width * channels:
            self._bytes = np.empty(rows * width * channels, np.uint8)
            self._words = np.empty((2, self._bytes.size), np.uint16)
        for top in range(0, height, rows):
            band = slice(top, top + rows)
            self._write_band(result[band], noisy[band], out[band], share)

    def _write_band(
        self,
        result: NDArray[np.int8],
        noisy: NDArray[np.uint8],
        out: NDArray[np.uint8],
        share: int,
    ) -> None:
        clean, rest = (words[: out.size].reshape(out.shape) for words in self._words)
        if out.shape[2] < result.shape[2]:
            # Three estimates of the same gray: their rounded mean is the best of it.
            total = clean[..., 0].view(np.int16)
            np.copyto(total, result[..., 0])
            total += result[..., 1]
            total += result[..., 2]
            total += 3 * 128 + 1
            total //= 3
        else:
            # In bytes first: numpy is slow where one operation changes the type as well.
            plain = self._bytes[: out.size].reshape(out.shape)
            np.bitwise_xor(result.view(np.uint8), SIGN_BIT, out=plain)
            np.copyto(clean, plain)
        if share < WEIGHT_ONE:
            np.copyto(rest, noisy)
            rest *= WEIGHT_ONE - share
            clean *= share
            clean += rest
            clean += WEIGHT_ONE // 2
            clean >>= 8
        np.copyto(out, clean, casting="unsafe")
