"""Denoisers of other projects, for comparison.

All are told σ, which edgecae's models are not. Their settings were tuned for each σ by
``benchmarks/tune.py`` on photos that nothing is measured on: ``tuned.json``, which names the
command. To add one, write it into a module of this folder and enter it in ``PEERS``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecae.bench.peers import cbm3d, ffmpeg, opencv, scikit_image
from edgecae.bench.peers.base import Peer
from edgecae.errors import SettingError

__all__ = ["PEERS", "TUNED", "read_tuned", "tuned_settings"]

PEERS: dict[str, Peer] = {
    peer.name: peer for module in (opencv, scikit_image, cbm3d, ffmpeg) for peer in module.PEERS
}
"""By name, in the order of tables."""

TUNED = Path(__file__).parent / "tuned.json"


def read_tuned() -> dict[str, Any]:
    """Read the table of tuned settings.

    Returns:
        ``command``; ``photos`` and ``clips``, what was tuned on; ``settings`` by peer and σ.
    """
    content: dict[str, Any] = json.loads(TUNED.read_text(encoding="utf-8"))
    return content


def tuned_settings(name: str, sigma: float) -> dict[str, float]:
    """Return the best settings of a peer: those of the tuned σ that is nearest, by ratio.

    Args:
        name: of a peer.
        sigma: σ of the noise, 0–255 scale.

    Raises:
        SettingError: σ is 0, where a peer that is told so has nothing to do, or nobody tuned it.
    """
    if sigma <= 0:
        raise SettingError(f"{name} is told σ, and has nothing to do at {sigma:g}")
    if not PEERS[name].grid:
        return {}
    found: dict[str, dict[str, float]] = read_tuned()["settings"].get(name, {})
    if not found:
        raise SettingError(f"{name} was not tuned: python benchmarks/tune.py PHOTOS")
    nearest = min(found, key=lambda at: max(float(at) / sigma, sigma / float(at)))
    return found[nearest]
