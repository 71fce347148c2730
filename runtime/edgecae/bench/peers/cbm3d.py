"""CBM3D by its authors: the yardstick among methods that are no networks, and slow.

Their package is licensed for non-commercial use only. So it has an extra of its own, and no other
extra installs it.
"""

from __future__ import annotations

import numpy as np

from edgecae.bench.peers.base import Package, Peer, Pixels, frame_filter

__all__ = ["PEERS"]


def cbm3d(noisy: Pixels, sigma: float) -> Pixels:
    """Without settings but σ."""
    import bm3d

    result = bm3d.bm3d_rgb(noisy / 255.0, sigma / 255.0)
    return np.asarray(np.rint(np.clip(result, 0, 1) * 255), np.uint8)


PEERS = (
    Peer(
        "cbm3d",
        Package("bm3d", "bm3d", "bm3d-noncommercial", "for non-commercial use only"),
        "bm3d.bm3d_rgb (Dabov et al., 2007; Mäkinen et al., 2020)",
        frame_filter(cbm3d),
        {},
    ),
)
