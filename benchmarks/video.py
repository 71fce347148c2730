"""Measure models and filters through the product on video: PSNR over time, and flicker.

    python benchmarks/video.py --results video.jsonl --clips eval/ --photos kodak24/ \\
        nano nano-video small small-video base hqdn3d atadenoise nlmeans fftdnoiz bm3d
    python benchmarks/video.py --tune train/

*Clips* are lossless yuv420p (FFV1, BT.601, limited range): the first frames of the videos of
``--clips``, and scenes made of photos of ``--photos`` (``video_scenes.py``). The noise is new in
each frame. White noise is that of the 8-bit protocol, with numbers of
``numpy.random.default_rng(0)``, made anew for each scene and noise; then comes 4:2:0. ``camera:``
is one camera for each clip.

*A model* is a name or a file. It runs as ``edgecae denoise CLIPS -o OUT --codec ffv1``. *A filter*
is FFmpeg's, run by ``ffmpeg``, with the settings that ``--tune`` found on other clips for that
noise (``video_filters.py``). PSNR is that of luma, frame by frame, against the clean clip's;
flicker is :func:`edgecae.quality.flicker` of luma. A scene has the mean over its clips.

A part is a scene with a noise. What ``--results`` holds already is not measured again. So a run
can be stopped, and ``--scene`` and ``--noise`` choose parts.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import video_filters
from clips_420 import LUMA, denoise, read_lumas, write_clip
from video_scenes import CLIPS, MOTIONS, Clip, add_noise, from_photos, read_clips

from edgecae import atomic, models
from edgecae.bench import plots
from edgecae.quality import flicker, psnr

NOISES = ("gaussian:10", "gaussian:25", "gaussian:50", "camera:")
SCENES = (CLIPS, *MOTIONS)
SHOWN = (0, 5, 10, 30)
"""Frames that tables show, counted from 0."""

PHOTOS = 4
"""Of a folder, evenly spread."""

NOISY = "noisy"

KEY = ("scene", "noise", "set", "method", "key")
"""What a row of the results is known by."""

Row = dict[str, Any]


def digest(method: str, noise: str) -> str:
    """What changes when a method may give another result."""
    if method == NOISY:
        return ""
    if method in video_filters.NAMES:
        content = json.dumps(video_filters.settings(method, noise)).encode()
    else:
        content = models.find_model(method).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def may_run(method: str, noise: str) -> bool:
    """Whether a method can be measured with a noise; a line says why not."""
    try:
        digest(method, noise)
    except ValueError as error:
        click.echo(f"left out: {error}", err=True)
        return False
    return True


def run(method: str, noise: str, source: Path, target: Path) -> None:
    """Denoise a folder of clips."""
    if method == NOISY:
        shutil.copytree(source, target)
    elif method in video_filters.NAMES:
        target.mkdir()
        chosen = video_filters.settings(method, noise)
        for path in sorted(source.iterdir()):
            video_filters.filter_clip(path, target / path.name, method, noise, chosen)
    else:
        denoise(source, target, method, "--codec", "ffv1")


def read_results(path: Path) -> dict[tuple[str, ...], list[Row]]:
    """What was measured, a row for each clip, by scene, noise, set of clips, method and key."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        row = json.loads(line)
        found.setdefault(tuple(row[name] for name in KEY), []).append(row)
    return found


def judge(clip: Clip, result: Path) -> Row:
    """PSNR of each frame and flicker of a result, of luma."""
    clean = [frame @ LUMA for frame in clip.frames]
    lumas = list(read_lumas(result))
    return {
        "clip": clip.name,
        "psnr": [round(psnr(a, b), 4) for a, b in zip(clean, lumas, strict=True)],
        "flicker": round(flicker(clean, lumas), 4),
    }


def measure(
    clips: Sequence[Clip], part: tuple[str, str, str], methods: Iterable[str], results: Path
) -> None:
    """Measure methods on a part (scene, noise, set), and append a line for each clip."""
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "in"
        source.mkdir()
        for clip, frames in zip(clips, add_noise(clips, part[1]), strict=True):
            write_clip(source / f"{clip.name}.mkv", frames)
        for method in methods:
            target, start = Path(work) / "out", time.perf_counter()
            run(method, part[1], source, target)
            taken = round(time.perf_counter() - start, 2)
            about: Row = dict(zip(KEY, (*part, method, digest(method, part[1])), strict=True))
            about["seconds"] = taken
            rows = [about | judge(clip, target / f"{clip.name}.mkv") for clip in clips]
            with results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            shutil.rmtree(target)


def summaries(rows: Iterable[Row]) -> list[Row]:
    """Means over the clips of each scene, noise and method; the curve up to the shortest clip's."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scene"], row["noise"], row["method"]), []).append(row)
    found = []
    for (scene, noise, method), of in groups.items():
        frames = min(len(row["psnr"]) for row in of)
        curve = np.mean([row["psnr"][:frames] for row in of], axis=0)
        found.append(
            {
                "scene": scene,
                "noise": noise,
                "method": Path(method).stem,
                "clips": len(of),
                "psnr": round(float(np.mean([np.mean(row["psnr"]) for row in of])), 3),
                "curve": [round(float(value), 3) for value in curve],
                "flicker": round(float(np.mean([row["flicker"] for row in of])), 3),
                "seconds": of[0]["seconds"],
            }
        )
    return found


def tables(found: Sequence[Row]) -> str:
    """A Markdown table for each part."""
    lines = []
    for (scene, noise), rows in itertools.groupby(found, lambda r: (r["scene"], r["noise"])):
        part = list(rows)
        shown = [n for n in SHOWN if n < len(part[0]["curve"])]
        heads = " | ".join(f"frame {n}" for n in shown)
        lines += [f"\n{scene}, {noise}, {part[0]['clips']} clips: luma PSNR in dB\n"]
        lines += [f"| | mean | {heads} | flicker |", "|---|" + "---|" * (len(shown) + 2)]
        for row in part:
            cells = " | ".join(f"{row['curve'][n]:.2f}" for n in shown)
            lines += [f"| {row['method']} | {row['psnr']:.2f} | {cells} | {row['flicker']:.2f} |"]
    return "\n".join(lines)


def draw(found: Sequence[Row], path: Path) -> None:
    """Draw the curves, a row for each scene and a column for each noise."""
    from matplotlib.figure import Figure

    scenes = list(dict.fromkeys(row["scene"] for row in found))
    noises = list(dict.fromkeys(row["noise"] for row in found))
    size = (5.2 * len(noises), 3.4 * len(scenes))
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    every = figure.subplots(len(scenes), len(noises), squeeze=False)
    for axes, (scene, noise) in zip(every.flat, itertools.product(scenes, noises), strict=True):
        part = [row for row in found if (row["scene"], row["noise"]) == (scene, noise)]
        if part:
            plots.draw_curves(axes, {row["method"]: row["curve"] for row in part})
        axes.set_title(f"{scene}, {noise}", fontsize=10)
    figure.savefig(path)


def clean_clips(scene: str, folder: Path, size: tuple[int, int], frames: int) -> list[Clip]:
    """The clips of a scene, without noise."""
    if scene == CLIPS:
        return read_clips(folder, frames)
    return from_photos(folder, scene, size, frames, PHOTOS)


FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("methods", nargs=-1)
@click.option("--clips", type=FOLDER, help="Of clean videos.")
@click.option("--photos", type=FOLDER, help="Of clean photos that scenes are made of.")
@click.option("--scene", "scenes", multiple=True, type=click.Choice(SCENES), help="[default: all]")
@click.option("--noise", "noises", multiple=True, help=f"[default: {', '.join(NOISES)}]")
@click.option("--frames", default=31, show_default=True, help="Of each clip, at most.")
@click.option("--size", nargs=2, default=(432, 320), show_default=True, help="Of made scenes.")
@click.option("--results", type=click.Path(path_type=Path), help="JSON lines, read and extended.")
@click.option("--json", "summary", type=click.Path(path_type=Path), help="Write the means there.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw PSNR over time as PNG there.")
@click.option("--tune", type=FOLDER, help="Find settings of the filters on these videos, no more.")
def main(
    methods: tuple[str, ...],
    clips: Path | None,
    photos: Path | None,
    scenes: tuple[str, ...],
    noises: tuple[str, ...],
    frames: int,
    size: tuple[int, int],
    results: Path | None,
    summary: Path | None,
    plot: Path | None,
    tune: Path | None,
) -> None:
    """Measure METHODS: names or files of models, and filters of FFmpeg."""
    if tune is not None:
        names = methods or video_filters.NAMES
        video_filters.tune(tune, names, noises or NOISES, lambda text: click.echo(text, err=True))
        return
    if results is None:
        raise click.UsageError("give --results or --tune")
    wanted: list[Row] = []
    for scene, noise in itertools.product(scenes or SCENES, noises or NOISES):
        folder = clips if scene == CLIPS else photos
        if folder is None:
            continue
        part = (scene, noise, f"{folder.name}, {frames} frames" + f", {size}" * (scene != CLIPS))
        start, known = time.perf_counter(), read_results(results)
        able = [method for method in (NOISY, *methods) if may_run(method, noise)]
        keys = [(*part, method, digest(method, noise)) for method in able]
        missing = [key[-2] for key in keys if key not in known]
        if missing:
            measure(clean_clips(scene, folder, size, frames), part, missing, results)
            taken = time.perf_counter() - start
            click.echo(f"{scene}, {noise}: {taken:.0f} s for {', '.join(missing)}", err=True)
            known = read_results(results)
        wanted += [row for key in keys for row in known[key]]
    found = summaries(wanted)
    click.echo(tables(found))
    if summary is not None:
        atomic.write_text(summary, json.dumps(found, indent=1) + "\n")
    if plot is not None and found:
        draw(found, plot)


if __name__ == "__main__":
    main()
