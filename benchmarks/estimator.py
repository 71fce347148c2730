"""Train and measure the estimate of a frame's noise, ``edgecae.noise.estimate``.

    python benchmarks/estimator.py draw --photos photos/ --out drawn/
    python benchmarks/estimator.py draw --photos others/ --out held-out/ --samples 4000 --seed 1
    python benchmarks/estimator.py train --samples drawn/ --out estimator.npz
    python benchmarks/estimator.py measure --samples held-out/ estimator.npz
    python benchmarks/estimator.py pairs polyu/ renoir/

Photos to measure on are those of sources that are not trained on.

``draw`` makes noisy parts of photos and keeps their statistics; it takes 40 ms a sample on each
core, and goes on where it was stopped. ``train`` takes a minute. ``measure`` says, for each kind
of noise, how many estimates are within 20 % of the truth, and what clean photos are taken for;
``pairs`` says it for noisy and clean pictures of real cameras.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecae import noise
from edgecae.media import images
from edgecae.noise import estimation
from edgecae.noise.camera import coding
from edgecae.noise.frame_statistics import COUNT, MIN_SIDE, frame_statistics
from edgecae_train.data.names import find_pairs
from edgecae_train.data.photo_window import enlarged

KINDS = ("clean", "white", "4:2:0", "camera")
USUAL = {
    "white": "gaussian:0-30",
    "4:2:0": "camera:level=1-40,rest=0,chroma=1",
    "camera": "camera:level=0.7-30",
}
STRONG = {
    "white": "gaussian:25-70",
    "4:2:0": "camera:level=25-70,rest=0,chroma=1",
    "camera": "camera:level=20-60",
}
OF_FLAT = {
    "white": "gaussian:0-50",
    "4:2:0": "camera:level=1-50,rest=0,chroma=1",
    "camera": "camera:level=0.7-40",
}
SHARES = (0.24, 0.175, 0.175, 0.41)
"""Of the kinds."""
COMPRESSED = 0.5
"""Share of the clean photos that were stored as JPEG: what that has done to them is no noise."""
OTHERS = 0.075
"""Share of samples with strong noise, and as many of flat colours."""
SHRUNK = 0.4
"""Share of the photos that are made smaller: sharper than a camera's."""
ENLARGED = 0.35
"""Share of the parts that are enlarged: as soft as a camera's picture at its full size."""
GRAY = 0.06
A_PHOTO = 4
"""Parts of each photo that is read."""
CHUNK = 500
"""Samples in a file."""
SIDES = 96, 640
"""Of a part, pixels."""

Pixels = NDArray[np.uint8]


class Sample(NamedTuple):
    """What is known of one noisy part of a photo.

    Attributes:
        statistics: see :func:`edgecae.noise.frame_statistics.frame_statistics`.
        kind: number of its kind.
        sigma: standard deviation of its noise, 0–255 scale.
        pixels: height times width.
        common: whether it is no flat colour, and its noise is not one of the strong ones.
    """

    statistics: NDArray[np.float32]
    kind: int
    sigma: float
    pixels: int
    common: bool


def _photo(path: Path, rng: np.random.Generator) -> Pixels:
    """Read a photo, some of them made smaller."""
    pixels = images.read(path).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if rng.random() < SHRUNK:
        factor = rng.uniform(0.35, 0.95)
        height, width = (max(64, int(side * factor)) for side in pixels.shape[:2])
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        pixels = np.asarray(small)
    return pixels


def _part(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut a part of any size from a photo."""
    height, width = (
        int(min(side, np.exp(rng.uniform(*np.log(SIDES))))) for side in photo.shape[:2]
    )
    top, left = (
        int(rng.integers(side - length + 1))
        for side, length in zip(photo.shape[:2], (height, width), strict=True)
    )
    return np.ascontiguousarray(photo[top : top + height, left : left + width])


def _compressed(part: Pixels, rng: np.random.Generator) -> Pixels:
    """Store a part as JPEG; some are made smaller after that, or cut out off the grid."""
    subsampling = str(rng.choice(["4:4:4", "4:2:0"]))
    stored = coding.jpeg(part, int(rng.integers(50, 98)), subsampling)
    change = rng.choice(3)
    if change == 0:
        return stored
    if change == 1:
        factor = rng.uniform(0.5, 1)
        height, width = (max(MIN_SIDE, int(side * factor)) for side in stored.shape[:2])
        small = Image.fromarray(stored).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(small)
    top, left = rng.integers(1, 8, 2)
    return np.ascontiguousarray(stored[top:, left:])


def _flat(part: Pixels, rng: np.random.Generator) -> Pixels:
    """Put a few flat colours in the place of a part."""
    cells = rng.integers(0, 256, (*rng.integers(1, 4, 2), 3), dtype=np.uint8)
    height, width = part.shape[:2]
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST))


def _sample(photo: Pixels, rng: np.random.Generator) -> Sample:
    clean = _part(photo, rng)
    other = rng.random()
    specs, shares = USUAL, SHARES
    if other < OTHERS:
        specs, shares = STRONG, (0.0, 0.34, 0.33, 0.33)
    elif other < 2 * OTHERS:
        clean = _flat(clean, rng)
        specs, shares = OF_FLAT, (0.3, 0.25, 0.2, 0.25)
    if other >= 2 * OTHERS and rng.random() < ENLARGED:
        clean = enlarged(rng, clean)
    gray = rng.random() < GRAY
    if gray:
        luma = np.rint(clean @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        clean = np.repeat(luma[..., None], 3, axis=2)
    kind = int(rng.choice(len(KINDS), p=shares))
    if not kind and other >= 2 * OTHERS and rng.random() < COMPRESSED:
        clean = _compressed(clean, rng)
    noisy = noise.parse(specs[KINDS[kind]]).add(clean, rng) if kind else clean
    if gray:
        noisy = np.repeat(noisy[..., 1:2], 3, axis=2)
    sigma = float((noisy.astype(np.float32) - clean).std())
    statistics = frame_statistics(noisy)
    return Sample(statistics, kind, sigma, clean[..., 0].size, other >= 2 * OTHERS)


def _chunk(paths: list[Path], out: Path, seed: int, number: int) -> None:
    """Draw the samples of one file."""
    target = out / f"{number:05}.npz"
    if target.exists():
        return
    rng = np.random.default_rng([seed, number])
    samples: list[Sample] = []
    while len(samples) < CHUNK:
        photo = _photo(paths[int(rng.integers(len(paths)))], rng)
        if min(photo.shape[:2]) >= MIN_SIDE:
            samples += [_sample(photo, rng) for _ in range(A_PHOTO)]
    arrays: dict[str, Any] = {
        name: np.array([getattr(sample, name) for sample in samples]) for name in Sample._fields
    }
    partial = target.with_suffix(".tmp")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
    partial.rename(target)


def _read(folder: Path) -> dict[str, NDArray[Any]]:
    """All samples of a folder, one array for each field."""
    files = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return {name: np.concatenate([each[name] for each in files]) for name in Sample._fields}


@click.group()
def main() -> None:
    """Draw samples, train, measure."""


@main.command()
@click.option("--photos", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--samples", default=53_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def draw(photos: Path, out: Path, samples: int, seed: int) -> None:
    """Make noisy parts of photos, and keep their statistics."""
    paths = sorted(p for p in photos.iterdir() if p.suffix.lower() in images.SUFFIXES)
    out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        chunks = [(paths, out, seed, number) for number in range(-(-samples // CHUNK))]
        pool.starmap(_chunk, chunks, chunksize=1)


@main.command()
@click.option("--samples", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", default=60, show_default=True)
@click.option("--decay", default=0.3, show_default=True, help="Weight decay.")
def train(samples: Path, out: Path, epochs: int, decay: float) -> None:
    """Train the network, and write it."""
    from edgecae_train._tf import keras, seeded

    found = _read(samples)
    seeded(0)
    statistics = found["statistics"]
    mean, scale = statistics.mean(0), statistics.std(0) + 1e-3
    inputs = np.clip((statistics - mean) / scale, -estimation.MAX_AWAY, estimation.MAX_AWAY)
    sigma = np.sqrt(found["sigma"] ** 2 + estimation.NOTHING**2)
    target = np.log(sigma) - statistics[:, -1]
    layers = [keras.layers.Dense(size, "relu") for size in (96, 48)] + [keras.layers.Dense(1)]
    network = keras.Sequential([keras.layers.Input((COUNT,)), *layers])
    batch = 256
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * (len(inputs) // batch))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    network.compile(optimizer, keras.losses.Huber(0.15))
    network.fit(inputs, target, batch, epochs, verbose=2)
    arrays: dict[str, Any] = {"mean": mean, "scale": scale}
    for number, layer in enumerate(layers):
        kernel, bias = layer.get_weights()
        arrays |= {f"kernel_{number}": kernel.astype(np.float16), f"bias_{number}": bias}
    np.savez_compressed(out, **arrays)


@main.command()
@click.option("--samples", type=click.Path(exists=True, path_type=Path), required=True)
@click.argument("file", type=click.Path(exists=True, path_type=Path), required=False)
def measure(samples: Path, file: Path | None) -> None:
    """Measure a network, or that of edgecae."""
    network = estimation.read_network(file)
    found = _read(samples)
    white = found["statistics"][:, -1]
    estimates = np.array(
        [estimation.from_statistics(each, network) for each in found["statistics"]]
    )
    sigma, common = found["sigma"], found["common"]
    print("| noise | σ 1 and above | 5 and above | … of 100 000 pixels and more | as white noise |")
    print("|---|---|---|---|---|")
    for number, kind in enumerate(KINDS[1:], 1):
        own = common & (found["kind"] == number)
        groups = [own & (sigma >= least) for least in (1, 5)]
        groups.append(groups[1] & (found["pixels"] >= 100_000))
        near = np.abs(estimates / np.maximum(sigma, 1e-3) - 1) < 0.2
        white_near = np.abs((np.exp(white) - 0.1) / np.maximum(sigma, 1e-3) - 1) < 0.2
        shares = [near[group].mean() for group in groups] + [white_near[groups[1]].mean()]
        print(f"| {kind} | " + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")
    clean = estimates[common & (found["kind"] == 0)]
    shown = " / ".join(f"{value:.2f}" for value in np.percentile(clean, (50, 80, 90)))
    print(f"clean parts are taken for σ {shown} (half, four in five, nine in ten)")


@main.command()
@click.argument("folders", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
def pairs(folders: tuple[Path, ...]) -> None:
    """Measure the estimate of edgecae on noisy and clean pictures."""
    for folder in folders:
        shares = []
        for pair in find_pairs(folder):
            noisy, clean = (images.read(path).pixels for path in (pair.noisy, pair.clean))
            away = noisy.astype(np.float32) - clean
            shares.append(noise.estimate(noisy) / (away - away.mean((0, 1))).std())
        near = 100 * np.mean(np.abs(np.array(shares) - 1) < 0.2)
        print(
            f"{folder.name}: {near:.0f} % within 20 %, median {np.median(shares):.2f} of the truth"
        )


if __name__ == "__main__":
    main()
