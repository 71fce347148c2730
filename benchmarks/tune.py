"""Tune the settings of the peers, for each σ, on photos and clips that nothing is measured on.

    python benchmarks/tune.py photos/ --clips clips/

writes ``runtime/edgecae/bench/peers/tuned.json``: the settings with the best mean PSNR in the 8-bit
protocol. Photos are taken evenly over the sorted folder, the middle of each; clips, for peers that
look at several frames, alike. A grid is searched one setting after the other, and its first one,
the strength, once more. ``--only`` leaves the settings of the other peers as they are.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import click
import numpy as np

from edgecae import atomic
from edgecae.bench.peers import PEERS, TUNED, read_tuned
from edgecae.bench.peers.base import Grid, Peer, Pixels
from edgecae.errors import SettingError
from edgecae.media import sources
from edgecae.noise import gaussian
from edgecae.quality import psnr

SIGMAS = (5, 15, 25, 50)
PHOTOS, SIDE = 16, 256
CLIPS, FRAMES = 3, 12

Settings = dict[str, float]


def middle(frame: Pixels) -> Pixels:
    """The square in the middle of a frame."""
    top, left = ((side - SIDE) // 2 for side in frame.shape[:2])
    return np.ascontiguousarray(frame[top : top + SIDE, left : left + SIDE])


def evenly(paths: Sequence[Path], count: int) -> list[Path]:
    """So many of a sequence, evenly spread."""
    return [paths[(2 * i + 1) * len(paths) // (2 * count)] for i in range(count)]


def read_middles(path: Path, frames: int) -> list[Pixels]:
    """The middle of the first frames of a photo or a clip."""
    with sources.open_source(str(path)) as source:
        return [middle(frame.pixels) for frame in islice(source, frames)]


def best(grid: Grid, quality: Callable[[Settings], float]) -> Settings:
    """Search a grid one setting after the other, and the first once more."""
    point = {name: values[len(values) // 2] for name, values in grid.items()}
    for name in (*grid, next(iter(grid))):
        point = max(({**point, name: value} for value in grid[name]), key=quality)
    return point


def tune(peer: Peer, clips: Sequence[list[Pixels]], sigma: int) -> tuple[Settings, float]:
    """Best settings and their mean PSNR in dB; ``clips``: clean ones, or photos of one frame."""
    rng = np.random.default_rng(0)
    noisy = [[gaussian(sigma).add(frame, rng) for frame in clip] for clip in clips]

    @functools.cache
    def quality(settings: tuple[tuple[str, float], ...]) -> float:
        found: list[float] = []
        for clean, frames in zip(clips, noisy, strict=True):
            with peer.open(sigma, 1, **dict(settings)) as stream:
                found += [psnr(a, b) for a, b in zip(clean, stream(frames), strict=True)]
        return float(np.mean(found))

    chosen = best(peer.grid, lambda point: quality(tuple(point.items())))
    return chosen, quality(tuple(chosen.items()))


@click.command()
@click.argument("photos", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only", multiple=True, type=click.Choice(list(PEERS)), help="Of the peers.")
def main(photos: Path, clips: Path | None, only: tuple[str, ...]) -> None:
    """Tune and write the table."""
    chosen = evenly(sorted(photos.glob("*.jpg")), PHOTOS)
    still = [read_middles(path, 1) for path in chosen]
    moving = evenly(sorted(p for p in clips.iterdir() if p.is_file()), CLIPS) if clips else []
    clip = [read_middles(path, FRAMES) for path in moving]
    found: dict[str, dict[str, Settings]] = read_tuned()["settings"] if TUNED.exists() else {}
    for name in only or PEERS:
        peer = PEERS[name]
        try:
            peer.require()
        except SettingError as error:
            click.echo(f"left out: {error}", err=True)
            continue
        if not peer.grid or (peer.temporal and not clip):
            continue
        for sigma in SIGMAS:
            settings, quality = tune(peer, clip if peer.temporal else still, sigma)
            found.setdefault(name, {})[str(sigma)] = settings
            click.echo(f"{name} {sigma}: {settings}, {quality:.2f} dB")
    content = {
        "command": f"python benchmarks/tune.py {photos.name}/"
        + (f" --clips {'/'.join(clips.parts[-2:])}/" if clips else ""),
        "photos": [path.name for path in chosen],
        "clips": [path.name for path in moving],
        "settings": {name: found[name] for name in PEERS if name in found},
    }
    atomic.write_text(TUNED, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
