"""FFmpeg's filters on 4:2:0 clips, as somebody would run them, and the search for their settings.

Filters and grids are those of ``edgecae bench`` (:data:`edgecae.bench.peers.ffmpeg.FILTERS`), here
in 4:2:0 itself. They are told σ. With ``camera:`` nobody knows it: a filter has the one setting
that is best over the cameras that it was tuned on, in multiples of σ 3. ``video_filters.json``
holds what ``python benchmarks/video.py --tune FOLDER`` found.
"""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clips_420 import LUMA, read_lumas, write_clip
from tune import Settings, best
from video_scenes import Clip, add_noise, read_clips

from edgecae import atomic
from edgecae.bench.peers.ffmpeg import FILTERS
from edgecae.quality import psnr

__all__ = ["NAMES", "TUNED", "filter_clip", "settings", "tune"]

NAMES = ("hqdn3d", "atadenoise", "nlmeans", "fftdnoiz", "bm3d")

TUNED = Path(__file__).parent / "video_filters.json"

CAMERA_SIGMA = 3.0
"""What settings for ``camera:`` are multiples of."""

CLIPS, SIZE = 3, (432, 320)
"""What is tuned on: clips, and the middle of their frames."""

FRAMES, STILL_FRAMES = 10, 3
"""Of each clip, for filters that look at several frames and for the others."""


def _sigma(noise: str) -> float:
    kind, _, level = noise.partition(":")
    return float(level) if kind == "gaussian" else CAMERA_SIGMA


def filter_clip(source: Path, target: Path, name: str, noise: str, chosen: Settings) -> None:
    """Filter a clip with the program ``ffmpeg``, and write it in yuv420p without loss.

    Args:
        source: a clip.
        target: a ``.mkv`` file.
        name: of :data:`NAMES`.
        noise: its description.
        chosen: settings of the filter's grid.

    Raises:
        RuntimeError: the program fails; the message is what it said.
    """
    graph = f"{name}={FILTERS[name].arguments(_sigma(noise), **chosen)}"
    if name == "bm3d":
        # Versions differ in the unit of its block: the usual one is 16×16 in all. Steps of 8 pixels
        # in place of 4 take a quarter of the time, which is still the longest by far.
        graph = graph.replace(":block=8:bstep=4", ":bstep=8")
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(source), "-vf", graph]
    command += ["-pix_fmt", "yuv420p", "-c:v", "ffv1", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ffmpeg -vf {graph}: {done.stderr.strip()}")


def _read() -> dict[str, Any]:
    content: dict[str, Any] = {"command": "", "clips": [], "settings": {}}
    return json.loads(TUNED.read_text(encoding="utf-8")) if TUNED.exists() else content


def settings(name: str, noise: str) -> Settings:
    """The tuned settings of a filter.

    Raises:
        ValueError: nobody tuned it for that noise.
    """
    found: Settings | None = _read()["settings"].get(name, {}).get(noise)
    if found is None:
        raise ValueError(f"{name} was not tuned for {noise}: python benchmarks/video.py --tune")
    return found


def tune(
    folder: Path, names: Iterable[str], noises: Sequence[str], tell: Callable[[str], None]
) -> None:
    """Search the grids for the best mean luma PSNR, and write the table anew after each find.

    Args:
        folder: of videos on which nothing is measured.
        names: of :data:`NAMES`.
        noises: descriptions.
        tell: is called with a line about each find.
    """
    clips = read_clips(folder, FRAMES, SIZE, CLIPS)
    content = _read()
    content["command"] = f"python benchmarks/video.py --tune {'/'.join(folder.parts[-2:])}/"
    content["clips"] = [clip.name for clip in clips]
    for noise in noises:
        with tempfile.TemporaryDirectory() as work:
            paths: tuple[list[Path], list[Path]] = ([], [])
            for clip, frames in zip(clips, add_noise(clips, noise), strict=True):
                for these, count in zip(paths, (STILL_FRAMES, FRAMES), strict=True):
                    these.append(Path(work) / f"{clip.name}-{count}.mkv")
                    write_clip(these[-1], frames[:count])
            for name in names:
                quality = _quality(name, noise, clips, paths[FILTERS[name].temporal])
                chosen = best(FILTERS[name].grid, quality)
                content["settings"].setdefault(name, {})[noise] = chosen
                atomic.write_text(TUNED, json.dumps(content, indent=1) + "\n")
                tell(f"{name}, {noise}: {chosen}, {quality(chosen):.2f} dB")


def _quality(
    name: str, noise: str, clips: Sequence[Clip], paths: Sequence[Path]
) -> Callable[[Settings], float]:
    """A filter's mean luma PSNR on noisy clips, dB, by its settings."""
    lumas = [[frame @ LUMA for frame in clip.frames] for clip in clips]
    out = paths[0].with_name("out.mkv")

    @functools.cache
    def quality(chosen: tuple[tuple[str, float], ...]) -> float:
        found: list[float] = []
        for path, clean in zip(paths, lumas, strict=True):
            filter_clip(path, out, name, noise, dict(chosen))
            # The noisy clip has fewer frames where the filter looks at one alone.
            found += [psnr(a, b) for a, b in zip(clean, read_lumas(out), strict=False)]
        return float(np.mean(found))

    return lambda chosen: quality(tuple(chosen.items()))
