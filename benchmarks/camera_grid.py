"""How well ``edgecae noise`` measures cameras that are known: the error grid of docs/noise.md.

The cameras are drawn from seeds (``camera:seed=N``): as the sensor gives it, with fewer chroma
samples, JPEG, and H.264 or H.265 of grainy pictures (of weak noise, video leaves none). Each takes
pictures of a photo and of a plain chart. What is true is the variance of each pixel over 300 other
frames of the same camera and scene, and their spectrum. σ is compared at each brightness that has
500 pixels or more, in the range that was measured; one below 0.5, which rounding hides, with 0.5.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from clips_420 import LUMA
from numpy.typing import NDArray

from edgecae import noise
from edgecae.errors import NoiseError
from edgecae.media import images
from edgecae.media.images import Picture
from edgecae.noise.camera import CameraNoise
from edgecae.noise.measure import Measurement, measure_noise
from edgecae.noise.spectrum import SpectralSum, Spectrum
from edgecae.noise.tiles import SIDE

KINDS = {
    "raw": "jpeg=0,video=0,chroma=0",
    "4:2:0": "jpeg=0,video=0,chroma=1",
    "JPEG": "jpeg=1,video=0,chroma=0",
    "video": "level=10-30,jpeg=0,video=1,chroma=0",
}
HEIGHT, WIDTH = 192, 256
FRAMES, TRUE_FRAMES = 30, 300
SETTLE = 10
"""Frames that are passed over at first, as ``edgecae noise`` does it with a live source."""
MIN_PIXELS = 500

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]


class Truth(NamedTuple):
    """Noise of a camera in a scene: level and σ of each bin with enough pixels; spectrum."""

    level: Sequence[Floats]
    sigma: Sequence[Floats]
    spectrum: Spectrum


def chart() -> Pixels:
    """A plain scene: soft light across fields of other brightness and colour."""
    rng = np.random.default_rng(0)
    fields = rng.permutation(np.linspace(25, 225, 32)).reshape(4, 8, 1)
    fields = fields + rng.uniform(-15, 15, (4, 8, 3))
    picture = fields.repeat(HEIGHT // 4, 0).repeat(WIDTH // 8, 1)
    light = np.linspace(-6, 6, WIDTH)[None, :, None] + np.linspace(-4, 4, HEIGHT)[:, None, None]
    return np.clip(np.rint(picture + light), 0, 255).astype(np.uint8)


def photo(path: Path) -> Pixels:
    """The middle of a photo."""
    pixels = images.read(path).pixels
    top, left = (pixels.shape[0] - HEIGHT) // 2, (pixels.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(pixels[top : top + HEIGHT, left : left + WIDTH])


def shot(camera: CameraNoise, scene: Pixels, seed: int, count: int) -> list[Pixels]:
    """Frames of a still scene."""
    frames = camera.still_frames(scene, np.random.default_rng(seed), SETTLE + count)
    return list(itertools.islice(frames, SETTLE, None))


def truth(frames: list[Pixels]) -> Truth:
    """What frames show by plain statistics of each pixel."""
    stack = np.stack(frames)
    mean = stack.mean(0)
    variance = stack.var(0, ddof=1)
    levels, sigmas = [], []
    deviation = np.empty_like(mean)
    for channel in range(3):
        bins = (mean[..., channel] / 8).astype(int)
        number = np.bincount(bins.ravel(), minlength=32)
        of_level, of_variance = (
            np.bincount(bins.ravel(), each[..., channel].ravel(), 32) / np.maximum(number, 1)
            for each in (mean, variance)
        )
        deviation[..., channel] = np.sqrt(np.maximum(of_variance[bins], 1e-3))
        enough = number >= MIN_PIXELS
        levels.append(of_level[enough])
        sigmas.append(np.sqrt(of_variance[enough]))
    sums = SpectralSum()
    clipped = (mean < 2 * deviation) | (mean > 255 - 2 * deviation)
    rows, columns = HEIGHT // SIDE, WIDTH // SIDE

    def tiles(of: Floats) -> Floats:
        return of.reshape(rows, SIDE, columns, SIDE, -1).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)

    good = tiles(clipped).mean((1, 2, 3)) < 0.2
    for frame in stack[::3]:
        noisy = tiles(((frame - mean) / deviation).astype(np.float32))[good]
        sums.add(noisy, np.arange(len(noisy)) % 2)
    return Truth(levels, sigmas, sums.spectrum())


def plain_luma(camera: CameraNoise) -> Floats:
    """Luma noise on a plain field of medium brightness, 0–255 scale."""
    # Gray alone would be a monochrome camera's.
    plain = np.broadcast_to(np.array([136, 128, 120], np.uint8), (256, 256, 3))
    noisy = camera.add(plain, np.random.default_rng(0))
    return np.asarray((noisy - plain.astype(float)) @ LUMA)


def write_still(folder: Path) -> None:
    """Write thirty frames that the first JPEG camera takes of the chart, as PNG files."""
    camera = noise.parse(f"camera:{KINDS['JPEG']},seed=200")
    assert isinstance(camera, CameraNoise)
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(shot(camera, chart(), 0, FRAMES)):
        images.write(folder / f"{index:02}.png", Picture(frame))


def print_cost() -> None:
    """Print how long noise for a batch of training takes: CPU time, median of 20."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    measured = measure_noise([noise.gaussian(5).add(chart(), rng) for _ in range(3)]).noise()
    for model in (noise.parse("poisson-gaussian:0.5,4"), measured, noise.parse("camera:")):
        times = []
        for _ in range(21):
            start = time.process_time()
            model.pair(clean, rng, noise.fast_normals)
            times.append(1000 * (time.process_time() - start))
        print(f"{model.name.split('(')[0]:<24} {np.median(times[1:]):6.1f} ms")


def errors(found: Measurement, true: Truth) -> str:
    """Cells of the table: errors of σ, spectrum and correlation, and the number of warnings."""
    off = []
    lines = zip(found.curves, found.gain, found.read, true.level, true.sigma, strict=True)
    for curve, gain, read, level, sigma in lines:
        # A picture says in which range it was measured; still frames have all of the scene.
        told = (level >= found.levels[0] - 8) & (level <= found.levels[1] + 8)
        off.append(np.abs(curve.at(level, gain, read) - sigma)[told] / np.maximum(sigma, 0.5)[told])
    every = 100 * np.concatenate(off) if any(map(len, off)) else np.array([np.nan])
    power, real = found.spectrum.power, true.spectrum.power
    # A density that is 2 % of the highest one, or less, is compared with that.
    spectral = (power - real) / np.maximum(real, 0.02 * real.max((1, 2), keepdims=True))
    spectral_error = 100 * np.sqrt(np.mean(spectral**2, (1, 2)))
    together = np.abs(found.spectrum.channels() - true.spectrum.channels()).max()
    return (
        f"{np.median(every):.1f} / {every.max():.1f} | {spectral_error[0]:.0f}, "
        f"{spectral_error[1:].max():.0f} | {together:.2f} | {len(found.warnings) or '–'}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?", help="Folder of clean photos.")
    parser.add_argument("--still", type=Path, help="Write frames of one camera there; no table.")
    parser.add_argument("--cost", action="store_true", help="Time the noise; no table.")
    parser.add_argument("--seeds", type=int, default=2, help="Cameras of each kind.")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--verbose", action="store_true", help="Print warnings.")
    asked = parser.parse_args()
    if asked.still is not None:
        write_still(asked.still)
        return
    if asked.cost:
        print_cost()
        return
    if asked.photos is None:
        parser.error("a folder of photos is missing")
    paths = sorted(asked.photos.glob("*.jpg"))
    head = "σ, % (median / most) | spectrum, % (luma, chroma) | channels | warnings"
    print(f"| camera | scene | σ of | 30 frames: {head} | one picture: {head} |")
    print("|---|---|---|" + "---|" * 8)
    for index, (kind, seed) in enumerate(itertools.product(KINDS, range(asked.seeds))):
        if kind not in asked.kinds:
            continue
        camera = noise.parse(f"camera:{KINDS[kind]},seed={100 * list(KINDS).index(kind) + seed}")
        assert isinstance(camera, CameraNoise)
        path = paths[(37 * index + 11) % len(paths)]
        for name, scene in (("photo", photo(path)), ("chart", chart())):
            true = truth(shot(camera, scene, 1, TRUE_FRAMES))
            frames = shot(camera, scene, 2, FRAMES)
            cells = []
            for given in (frames, frames[-1:]):
                try:
                    found = measure_noise(given)
                    cells.append(errors(found, true))
                    if asked.verbose:
                        print(found.method, found.warnings)
                except NoiseError as error:
                    cells.append("refused | | | –")
                    if asked.verbose:
                        print(error)
            sigma = np.concatenate(true.sigma)
            shown = f"{sigma.min():.1f}–{sigma.max():.1f}"
            print(f"| {kind} {seed} | {name} | {shown} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
