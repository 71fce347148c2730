"""Full-reference quality of pictures (MSE, PSNR, SSIM) and of clips (flicker), in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecae.errors import FrameError

__all__ = ["flicker", "mse", "psnr", "ssim"]

PEAK = 255.0
"""Largest value of a frame: everything here is on the 0–255 scale."""


def _pair(
    reference: ArrayLike, image: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a = np.asarray(reference, dtype=np.float64)
    b = np.asarray(image, dtype=np.float64)
    if a.shape != b.shape:
        raise FrameError(f"the two images differ in shape: {a.shape} and {b.shape}")
    if a.size == 0:
        raise FrameError("an empty image has no quality")
    return a, b


def mse(reference: ArrayLike, image: ArrayLike) -> float:
    """Mean squared error over all pixels and channels.

    Args:
        reference: the clean image, any shape (H×W or H×W×C), values 0–255.
        image: the image to judge, same shape and scale.

    Returns:
        The mean of the squared differences, on the 0–255 scale squared.

    Raises:
        FrameError: the shapes differ, or the images are empty.
    """
    a, b = _pair(reference, image)
    return float(np.mean(np.square(a - b)))


def psnr(reference: ArrayLike, image: ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB: ``10·log10(255² / MSE)``, infinite for equal images.

    Takes and raises what :func:`mse` does.
    """
    error = mse(reference, image)
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def flicker(reference: Sequence[ArrayLike], frames: Sequence[ArrayLike]) -> float:
    """How much the error changes from one frame to the next: dtSSD, per pixel.

    Erofeev et al., "Perceptually motivated benchmark for video matting", 2015: for successive
    frames x, x' of a clip and c, c' of the clean one, the root mean square of (x' − x) − (c' − c)
    over all pixels and channels, then the mean over the pairs of frames. What moves in the clean
    clip, too, is no flicker, and neither is an error that stays.

    Args:
        reference: the clean frames, in order, values 0–255.
        frames: the frames to judge, as many, of the same shapes.

    Returns:
        Levels of the 0–255 scale. White noise of σ that is new in each frame has σ·√2.

    Raises:
        FrameError: the shapes differ, or the numbers of frames, or there are fewer than two.
    """
    if len(reference) != len(frames):
        raise FrameError(f"the two clips have {len(reference)} and {len(frames)} frames")
    found: list[float] = []
    before: NDArray[np.float64] | None = None
    for clean, frame in zip(reference, frames, strict=True):
        a, b = _pair(clean, frame)
        error = b - a
        if before is not None:
            found.append(math.sqrt(mse(before, error)))
        before = error
    if not found:
        raise FrameError("a clip of fewer than two frames has no flicker")
    return float(np.mean(found))


def _gaussian(size: int = 11, sigma: float = 1.5) -> NDArray[np.float64]:
    x = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-np.square(x) / (2 * sigma**2))
    normalized: NDArray[np.float64] = kernel / kernel.sum()
    return normalized


def _blur(plane: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Separable filter over the first two axes, only where the kernel lies inside the image."""
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(plane, kernel.size, axis=axis)
        plane = windows @ kernel
    return plane


def ssim(reference: ArrayLike, image: ArrayLike) -> float:
    """Mean structural similarity, averaged over channels.

    Wang et al., "Image quality assessment: from error visibility to structural similarity",
    2004: Gaussian window of 11×11 with σ 1.5, K1 = 0.01, K2 = 0.03, population covariance, no
    padding (the result covers the pixels whose window lies inside the image).

    Args:
        reference: the clean image, H×W or H×W×C with H, W ≥ 11, values 0–255.
        image: the image to judge, same shape and scale.

    Returns:
        A value up to 1, which equal images reach.

    Raises:
        FrameError: the shapes differ, or a side is shorter than the window.
    """
    a, b = _pair(reference, image)
    kernel = _gaussian()
    if a.ndim not in (2, 3) or min(a.shape[:2]) < kernel.size:
        raise FrameError(f"SSIM needs H×W or H×W×C of at least 11×11, not {a.shape}")
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_a, mean_b = _blur(a, kernel), _blur(b, kernel)
    var_a = _blur(a * a, kernel) - mean_a**2
    var_b = _blur(b * b, kernel) - mean_b**2
    cov = _blur(a * b, kernel) - mean_a * mean_b
    score = ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    return float(score.mean())
