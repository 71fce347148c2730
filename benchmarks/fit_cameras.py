"""What a fit to a camera gains where the truth is known: a table of docs/fit.md.

Cameras whose parameters are drawn from seeds (``camera:seed=N``) take 30 frames of a still scene.
``edgecae_convert.fit`` fits a model to these frames, and knows no more of the camera. A second
training, equal but for its noise, learns from the camera itself. Both models and the shipped one
are tested on other photos, with noise of that camera.

``nano`` and ``base`` learned camera noise up to level 20 (``small`` up to 35), and above that white
noise alone, plain or through 4:2:0. So a camera lies *outside* where its level is above 20 and
neighbouring pixels share their noise, and *inside* where its level is 4 to 15. The seed of a camera
is the first one, from 1 on (101 of 4:2:0, 201 of H.264), that fulfils this and stores pictures in
that way: no result chooses it.

    python benchmarks/fit_cameras.py photos/ kodak24/ --work cameras/

A run that was interrupted goes on with the same command.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from camera_grid import FRAMES, plain_luma, shot
from numpy.typing import NDArray

from edgecae import atomic, models, noise
from edgecae.media import images
from edgecae.media.images import Picture
from edgecae.noise.camera import CameraNoise
from edgecae_convert import convert
from edgecae_convert.fit import judging
from edgecae_convert.fit.fitting import MAX_DROP, fit
from edgecae_convert.fit.plan import Fit, start_of
from edgecae_train import loop, recipe

KINDS = {
    "raw": "jpeg=0,video=0,chroma=0",
    "4:2:0": "jpeg=0,video=0,chroma=1",
    "H.264": "jpeg=0,video=1,chroma=0",
}
LEVELS = {"outside": "20-40", "inside": "4-15"}
MIN_GRAIN = 0.3
"""Correlation of luma noise with the neighbouring pixels, of a camera that lies outside."""

SIZE = (480, 640)
"""Height and width of the scene, at most."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """A camera whose parameters the fit is not told.

    Attributes:
        name: kind, and where it lies.
        noise: what it does to pictures.
        sigma: of its luma noise on a plain field of medium brightness, 0–255 scale.
        grain: correlation of that noise with the pixels to the right and below.
        shift: of the field's mean, 0–255 scale, which all frames have.
    """

    name: str
    noise: CameraNoise
    sigma: float
    grain: float
    shift: float


def _camera(kind: str, where: str, seed: int) -> Camera:
    made = noise.parse(f"camera:level={LEVELS[where]},{KINDS[kind]},seed={seed}")
    assert isinstance(made, CameraNoise)
    luma = plain_luma(made)
    shift = float(luma.mean())
    luma -= shift
    shared = [np.mean(luma[:, 1:] * luma[:, :-1]), np.mean(luma[1:] * luma[:-1])]
    grain = float(np.mean(shared) / luma.var())
    return Camera(f"{kind}, {where}", made, float(luma.std()), grain, shift)


def draw_camera(kind: str, where: str) -> Camera:
    """Find the first seed of a kind that lies where it should, see the top of this file."""
    for seed in itertools.count(1 + 100 * list(KINDS).index(kind)):
        camera = _camera(kind, where, seed)
        encoder = camera.noise.storage(np.random.default_rng(0)).encoder
        if kind == "H.264" and encoder != "libx264":
            continue
        if where == "inside" or camera.grain >= MIN_GRAIN:
            return camera
    raise AssertionError  # seeds don't end


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in images.SUFFIXES)


def take_frames(camera: Camera, photos: Path, folder: Path) -> None:
    """Write what the camera shows of a still scene, the middle of a photo, as PNG files."""
    paths = _files(photos)
    kind = list(KINDS).index(camera.name.split(",")[0])
    pixels = images.read(paths[(kind + 1) * len(paths) // 4]).pixels
    top, left = (max(0, (a - b) // 2) for a, b in zip(pixels.shape, SIZE, strict=False))
    scene = np.ascontiguousarray(pixels[top : top + SIZE[0], left : left + SIZE[1]])
    for index, frame in enumerate(shot(camera.noise, scene, 0, FRAMES)):
        images.write(folder / f"{index:02}.png", Picture(frame))


def fit_to_truth(camera: Camera, run: Path, truth: Path) -> Path:
    """Train as ``run`` was trained, but with the camera's own noise; return the model file.

    Args:
        camera: whose noise it is.
        run: run directory of the fit to measured noise.
        truth: folder for the other run and its file.
    """
    file, own = truth / "fitted.tflite", truth / "run"
    if not file.exists():
        settings = recipe.with_changes(
            recipe.read(run / "recipe.toml"), {"noise": camera.noise.spec}
        )
        if not (own / "float.weights.h5").exists():
            loop.train(
                settings,
                own,
                resume=(own / "recipe.toml").exists(),
                start=start_of(settings.model),
            )
        convert(own, file, ptq=True, max_drop=MAX_DROP, max_low_drop=np.inf)
    return file


def measure(camera: Camera, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Fit twice and test; return the row of a camera.

    Args:
        camera: the camera.
        options: of the command.
        work: its folder. What is there already is not made again.
    """
    found = work / "result.json"
    if found.exists():
        row: dict[str, Any] = json.loads(found.read_text())
        return row
    frames, own, output = work / "frames", work / "fit", work / "mine.tflite"
    if not frames.exists():
        take_frames(camera, options.photos, work / "unfinished")
        (work / "unfinished").rename(frames)
    asked = Fit(str(frames), data=str(options.photos), model=options.model, steps=options.steps)
    result = fit(asked, output, own, overwrite=True, announce=print)
    truth = fit_to_truth(camera, own / "run", work / "truth")
    rng = np.random.default_rng(0)
    tested = [camera.noise.pair(images.read(path).pixels, rng) for path in _files(options.test)]
    shipped = models.find_model(options.model)
    psnr: dict[str, float] = {}
    for name, file in (("fitted", own / "fitted.tflite"), ("truth", truth), ("written", output)):
        (gain,) = judging.judge(shipped, file, {"test": tested}, threads=1)
        psnr |= {"noisy": gain.noisy, "shipped": gain.shipped, name: gain.fitted}
    row = {
        "camera": camera.name,
        "noise": camera.noise.spec,
        "sigma": camera.sigma,
        "grain": camera.grain,
        "pictures": len(tested),
        "psnr": psnr,
        **result.to_dict(),
    }
    atomic.write_text(found, json.dumps(row, indent=2) + "\n")
    return row


def main(arguments: list[str] | None = None) -> None:
    """Fit, test and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photos to train on")
    parser.add_argument("test", type=Path, help="folder of other photos to test on")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    names = [f"{where}/{kind}" for where in LEVELS for kind in KINDS]
    parser.add_argument("--cameras", nargs="*", choices=names, default=names)
    options = parser.parse_args(arguments)
    print(f"{options.model}, {options.steps} steps, int8, PSNR in dB")
    print("| camera | σ | grain | mean | noisy | shipped | fitted | with the truth | written |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.cameras:
        where, kind = name.split("/")
        camera = draw_camera(kind, where)
        row = measure(camera, options, options.work / name)
        cells = [row["psnr"][each] for each in ("noisy", "shipped", "fitted", "truth")]
        print(
            f"| {camera.name} | {camera.sigma:.1f} | {camera.grain:.2f} | {camera.shift:+.1f} | "
            f"{' | '.join(f'{each:.2f}' for each in cells)} | {row['kept']} |",
            flush=True,
        )
        times = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in row["seconds"].items())
        for line in (*(f"warning: {each}" for each in row["warnings"]), f"fit: {times}"):
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
