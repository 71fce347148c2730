"""scikit-image: wavelet shrinkage and total variation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecae.bench.peers.base import Package, Peer, Pixels, frame_filter

__all__ = ["PEERS"]


def _to_frame(result: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.rint(np.clip(result, 0, 1) * 255), np.uint8)


def wavelet(noisy: Pixels, sigma: float, strength: float) -> Pixels:
    """``strength``: in σ, what the thresholds are computed from."""
    from skimage import restoration

    result = restoration.denoise_wavelet(
        noisy / np.float32(255),
        sigma=strength * sigma / 255,
        mode="soft",
        method="BayesShrink",
        convert2ycbcr=False,
        rescale_sigma=False,
        channel_axis=-1,
    )
    return _to_frame(result)


def tv(noisy: Pixels, sigma: float, weight: float) -> Pixels:
    """``weight``: in σ, on the scale 0–1."""
    from skimage import restoration

    result = restoration.denoise_tv_chambolle(
        noisy / np.float32(255), weight=weight * sigma / 255, channel_axis=-1
    )
    return _to_frame(result)


_SKIMAGE = Package("skimage", "scikit-image")
_WAVELETS = Package("pywt", "PyWavelets")

PEERS = (
    Peer(
        "wavelet",
        _SKIMAGE,
        "skimage.restoration.denoise_wavelet, BayesShrink (Chang, Yu and Vetterli, 2000)",
        frame_filter(wavelet),
        {"strength": (0.6, 0.8, 1, 1.2, 1.5, 2)},
        check=lambda: _WAVELETS.require("wavelet"),
    ),
    Peer(
        "tv",
        _SKIMAGE,
        "skimage.restoration.denoise_tv_chambolle (Chambolle, 2004)",
        frame_filter(tv),
        {"weight": (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2)},
    ),
)
