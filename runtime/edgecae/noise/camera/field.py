"""Noise fields: normal numbers, made to neighbours as a camera's own processing leaves them.

A field is float32, N×H×W×3, red, green and blue, of mean 0; the power of its channels is 1 on the
mean of each patch. How strong the noise is where, :mod:`edgecae.noise.camera.sensor` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecae.noise.camera.coding import colour_matrices
from edgecae.noise.camera.drawn import Generator

__all__ = ["Filters", "demosaicked", "draw_filters", "filtered", "normalized"]

Floats = NDArray[np.float32]

_RED, _GREEN, _BLUE = 0, 1, 2


def demosaicked(field: Floats, phase: tuple[int, int]) -> Floats:
    """What is left of a field that a Bayer sensor has sampled and bilinear demosaicking filled in.

    Args:
        field: N×H×W×3.
        phase: row and column, 0 or 1 each, of the first red pixel.

    Returns:
        N×H×W×3. What lies at a border takes its neighbours from the other side of the field.
    """
    height, width = field.shape[1:3]
    # A pixel more at each side, and an even start: all further work is on slices of step 2.
    rows = np.arange(-1, height + 1) % height
    columns = np.arange(-1, width + 1) % width
    around = field[:, rows][:, :, columns]
    mosaic = np.zeros_like(around)
    top, left = ((1 + p) % 2 for p in phase)
    mosaic[:, top::2, left::2, _RED] = around[:, top::2, left::2, _RED]
    mosaic[:, 1 - top :: 2, 1 - left :: 2, _BLUE] = around[:, 1 - top :: 2, 1 - left :: 2, _BLUE]
    for row, column in ((top, 1 - left), (1 - top, left)):
        mosaic[:, row::2, column::2, _GREEN] = around[:, row::2, column::2, _GREEN]
    # Along each axis ½ 1 ½: a sampled pixel keeps its value, one between two takes their mean.
    along = mosaic[:, 1:-1] + 0.5 * (mosaic[:, :-2] + mosaic[:, 2:])
    filled = along[:, :, 1:-1] + 0.5 * (along[:, :, :-2] + along[:, :, 2:])
    # Green has twice as many samples: its missing pixels are the mean of four neighbours.
    green = mosaic[..., _GREEN]
    filled[..., _GREEN] = green[:, 1:-1, 1:-1] + 0.25 * (
        green[:, :-2, 1:-1] + green[:, 2:, 1:-1] + green[:, 1:-1, :-2] + green[:, 1:-1, 2:]
    )
    return np.asarray(filled, np.float32)


@dataclass(frozen=True)
class Filters:
    """What a camera's processing does to the noise of each of N patches, as linear filters.

    Attributes:
        luma_blur, chroma_blur: σ in pixels of the Gaussian that noise reduction blurs with.
        luma_rest: share of the luma noise that is not blurred.
        chroma_gain: σ that filters leave of white chroma noise, over what they leave of white luma
            noise. It does not fall with the blur: where cameras blur colour widely there was much
            noise to take away, and coarse blotches stay.
        sharpening: how much of what a blur of σ 1 takes away is added again (unsharp masking).
        scale: how much larger the picture was made; bilinear.
    """

    luma_blur: Floats
    chroma_blur: Floats
    luma_rest: Floats
    chroma_gain: Floats
    sharpening: Floats
    scale: Floats


def draw_filters(
    rng: Generator, raw: NDArray[np.bool_], denoise: float, sharpen: float, scale: float
) -> Filters:
    """Draw filters for N patches.

    Args:
        rng: where they are drawn from.
        raw: N, whether the noise is that of a sensor: what makes its colours those of a display
            makes colour noise stronger.
        denoise, sharpen, scale: share of the patches that has each.
    """
    draws = rng.random((len(raw), 10)).astype(np.float32)
    reduced = draws[:, 0] < denoise
    saturation = np.where(raw, 2 ** draws[:, 6], 1)
    return Filters(
        luma_blur=np.where(reduced & (draws[:, 1] < 0.7), 0.3 * 8 ** draws[:, 2], 0),
        luma_rest=0.5 * draws[:, 3] ** 2,
        chroma_blur=np.where(reduced & (draws[:, 4] < 0.95), 0.8 * 10 ** draws[:, 5], 0),
        chroma_gain=np.where(reduced, 0.12 * 12 ** draws[:, 6], saturation),
        sharpening=np.where(draws[:, 7] < sharpen, 1.2 * draws[:, 7] / max(sharpen, 1e-9), 0),
        scale=np.where(draws[:, 8] < scale, 1 + draws[:, 9], 1),
    )


def _frequencies(height: int, width: int) -> tuple[Floats, Floats]:
    """Angular frequencies of the rows and columns of a real Fourier transform."""
    rows = 2 * np.pi * np.fft.fftfreq(height)
    columns = 2 * np.pi * np.fft.rfftfreq(width)
    return rows.astype(np.float32), columns.astype(np.float32)


def _gaussian(sigma: Floats, rows: Floats, columns: Floats) -> Floats:
    """Transfer function of a Gaussian blur for each patch, N×rows×columns."""
    falls = -0.5 * np.square(sigma)[:, None]
    down, across = (np.exp(falls * np.square(f)) for f in (rows, columns))
    return down[:, :, None] * across[:, None, :]


def _scaling(scale: Floats, rows: Floats, columns: Floats) -> Floats:
    """Transfer function of bilinear enlargement: a triangle as wide as the old pixels."""
    down, across = (np.square(np.sinc(scale[:, None] * f / (2 * np.pi))) for f in (rows, columns))
    return np.where(scale[:, None, None] > 1, down[:, :, None] * across[:, None, :], 1)


def _power(transfer: Floats, width: int) -> Floats:
    """Power that white noise of power 1 has after a filter, N.

    Args:
        transfer: of a real transform, N×rows×columns.
        width: of the pictures.
    """
    # All columns but those that are their own mirror image stand for two.
    weight = np.full(transfer.shape[2], 2, np.float32)
    weight[-1] = 1 + width % 2
    weight[0] = 1
    return np.asarray(np.square(transfer).mean(axis=1) @ weight / width, np.float32)


def filtered(field: Floats, filters: Filters) -> Floats:
    """A field after :class:`Filters`, N×H×W×3, in one pair of Fourier transforms."""
    height, width = field.shape[1:3]
    rows, columns = _frequencies(height, width)
    sharp = filters.sharpening[:, None, None]
    both = 1 + sharp * (1 - _gaussian(np.ones(1, np.float32), rows, columns))
    both = both * _scaling(filters.scale, rows, columns)
    rest = filters.luma_rest[:, None, None]
    luma = both * (rest + (1 - rest) * _gaussian(filters.luma_blur, rows, columns))
    chroma = both * _gaussian(filters.chroma_blur, rows, columns)
    weaker = np.sqrt(_power(luma, width) / _power(chroma, width))
    chroma *= (filters.chroma_gain * weaker)[:, None, None]
    to_luma, from_luma = colour_matrices(601)
    spectrum = np.fft.rfft2(field @ to_luma.T, axes=(1, 2))
    spectrum[..., 0] *= luma
    spectrum[..., 1:] *= chroma[..., None]
    planes: Floats = np.fft.irfft2(spectrum, s=(height, width), axes=(1, 2)).astype(np.float32)
    return planes @ from_luma.T


def normalized(field: Floats) -> Floats:
    """A field with the power of its channels brought to 1, patch by patch."""
    power = np.mean(np.square(field), axis=(1, 2, 3), keepdims=True)
    return np.asarray(field / np.sqrt(np.maximum(power, 1e-12)), np.float32)
