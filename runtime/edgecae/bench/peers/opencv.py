"""OpenCV: two filters that keep edges, and the two that everybody knows."""

from __future__ import annotations

import numpy as np

from edgecae.bench.peers.base import Package, Peer, Pixels, frame_filter

__all__ = ["PEERS"]

SEARCH = 21
"""Side of the window that non-local means looks for like patches in, as OpenCV recommends."""


def _threads(many: int) -> None:
    import cv2

    cv2.setNumThreads(many)


def bilateral(noisy: Pixels, sigma: float, colour: float, space: float) -> Pixels:
    """``colour``: of σ, how far values may differ; ``space``: σ of the window, pixels."""
    import cv2

    radius = max(1, round(2.5 * space))
    return np.asarray(cv2.bilateralFilter(noisy, 2 * radius + 1, colour * sigma, space), np.uint8)


def nlmeans(noisy: Pixels, sigma: float, luma: float, chroma: float, patch: float) -> Pixels:
    """``luma``: h in σ; ``chroma``: hColor in h; ``patch``: its side, pixels."""
    import cv2

    bgr = np.ascontiguousarray(noisy[..., ::-1])
    h = luma * sigma
    result = cv2.fastNlMeansDenoisingColored(bgr, None, h, h * chroma, int(patch), SEARCH)
    return np.ascontiguousarray(np.asarray(result, np.uint8)[..., ::-1])


def gaussian(noisy: Pixels, sigma: float, space: float) -> Pixels:  # noqa: ARG001 - like others
    """``space``: σ of the window, pixels."""
    import cv2

    return np.asarray(cv2.GaussianBlur(noisy, (0, 0), space), np.uint8)


def median(noisy: Pixels, sigma: float, side: float) -> Pixels:  # noqa: ARG001 - like others
    """``side``: of the window, pixels."""
    import cv2

    return np.asarray(cv2.medianBlur(noisy, int(side)), np.uint8)


_OPENCV = Package("cv2", "opencv-python-headless")

PEERS = (
    Peer(
        "bilateral",
        _OPENCV,
        "cv2.bilateralFilter (Tomasi and Manduchi, 1998)",
        frame_filter(bilateral, _threads),
        {"colour": (1, 1.5, 2, 2.5, 3, 4, 5, 6), "space": (0.7, 1, 1.5, 2, 3)},
    ),
    Peer(
        "nlmeans",
        _OPENCV,
        "cv2.fastNlMeansDenoisingColored (Buades, Coll and Morel, 2005)",
        frame_filter(nlmeans, _threads),
        {
            "luma": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2),
            "chroma": (0.5, 1, 1.5),
            "patch": (3, 5, 7),
        },
    ),
    Peer(
        "gaussian",
        _OPENCV,
        "cv2.GaussianBlur",
        frame_filter(gaussian, _threads),
        {"space": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.2, 1.5, 2)},
    ),
    Peer("median", _OPENCV, "cv2.medianBlur", frame_filter(median, _threads), {"side": (3, 5, 7)}),
)
