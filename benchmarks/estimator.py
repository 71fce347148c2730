"""Fit the estimator of a frame's noise, and measure it.

    python benchmarks/estimator.py samples --seed 1 --count 12000 photos/ train.npz
    python benchmarks/estimator.py samples --seed 2 --count 1500 held-out/ test.npz
    python benchmarks/estimator.py fit train.npz --out runtime/edgecae/noise/estimator.npz
    python benchmarks/estimator.py measure test.npz

``samples`` adds noise of every kind to parts of photos, and notes what the estimator sees and what
the noise is. ``fit`` learns the one from the other. ``measure`` prints, by kind, how many estimates
are within 20 % of the truth; of clean photos, the median and what nine in ten do not exceed.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import noise
from edgecae.media import images
from edgecae.noise import estimation, fast_normals
from edgecae.noise.white import estimate_white
from edgecae_train._tf import keras
from edgecae_train.data import flat
from edgecae_train.data.batches import LUMA

KINDS = {
    "white": ("gaussian:0-55", 0.14),
    "weak white": ("gaussian:0-8", 0.1),
    "4:2:0": ("camera:level=1-60,rest=0,chroma=1", 0.14),
    "camera": ("camera:", 0.32),
    "weak camera": ("camera:level=0.7-20", 0.12),
    "shot": ("poisson-gaussian:0-0.6,0-12", 0.05),
    "clean": ("gaussian:0", 0.13),
}
"""Noise, and its share of the samples."""

SIDES = (160, 256, 320, 480)
GRAY, FLAT = 0.08, 0.05
HIDDEN, EPOCHS, BATCH, RATE = 48, 40, 64, 2e-3
CLEAN_WEIGHT = 2.0
"""A clean photo that is taken for a noisy one is worse than a wrong number."""

Pixels = NDArray[np.uint8]


def _noisy(photo: Pixels, spec: str, rng: np.random.Generator) -> tuple[Pixels, float]:
    """A part of a photo, or flat colours, with noise, and its σ."""
    side = int(rng.choice(SIDES))
    if rng.random() < FLAT:
        clean = flat.patch(rng, side)
    else:
        height, width = (min(side, length) for length in photo.shape[:2])
        top = int(rng.integers(photo.shape[0] - height + 1))
        left = int(rng.integers(photo.shape[1] - width + 1))
        clean = photo[top : top + height, left : left + width]
    gray = rng.random() < GRAY
    if gray:
        clean = np.repeat(np.rint(clean @ LUMA)[..., None], 3, axis=2).astype(np.uint8)
    noisy, target = noise.parse(spec).pair(np.ascontiguousarray(clean), rng, fast_normals)
    if gray:
        noisy = np.repeat(noisy[..., 1:2], 3, axis=2)
    return noisy, float(np.sqrt(np.mean((noisy.astype(np.float32) - target) ** 2)))


@click.group()
def main() -> None:
    """See the module."""


@main.command()
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--count", type=int, default=12_000, show_default=True)
@click.argument("photos", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def samples(seed: int, count: int, photos: Path, out: Path) -> None:
    """Write features and truths."""
    rng = np.random.default_rng(seed)
    pictures = [images.read(path).pixels for path in sorted(photos.iterdir())]
    shares = np.array([share for _, share in KINDS.values()])
    kinds = rng.choice(len(KINDS), count, p=shares / shares.sum())
    specs = [spec for spec, _ in KINDS.values()]
    described = np.empty((count, estimation.FEATURES), np.float32)
    sigma, found = np.empty(count, np.float32), np.empty(count, np.float32)
    for index, kind in enumerate(kinds):
        photo = pictures[int(rng.integers(len(pictures)))]
        noisy, sigma[index] = _noisy(photo, specs[kind], rng)
        white = found[index] = estimate_white(noisy)
        described[index] = estimation.features(noisy, white)
    np.savez(out, features=described, sigma=sigma, kinds=kinds, white=found)


@main.command()
@click.argument("train", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True)
def fit(train: tuple[Path, ...], out: Path) -> None:
    """Learn, and write the weights."""
    stored = [np.load(path) for path in train]
    described, sigma, kinds = (
        np.concatenate([each[key] for each in stored]) for key in ("features", "sigma", "kinds")
    )
    mean, spread = described.mean(axis=0), described.std(axis=0) + 1e-3
    keras.utils.set_random_seed(0)
    layer = {"activation": "relu", "kernel_regularizer": keras.regularizers.l2(1e-4)}
    network = keras.Sequential(
        [
            keras.layers.Input((estimation.FEATURES,)),
            keras.layers.GaussianNoise(0.05),
            keras.layers.Dense(HIDDEN, **layer),
            keras.layers.Dense(HIDDEN, **layer),
            keras.layers.Dense(1),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(RATE, len(sigma) // BATCH * EPOCHS)
    network.compile(keras.optimizers.Adam(rate), "mae")
    network.fit(
        (described - mean) / spread,
        estimation.target_of(sigma),
        sample_weight=np.where(kinds == list(KINDS).index("clean"), CLEAN_WEIGHT, 1),
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
    )
    weights = {
        f"{kind}_{index}": values.astype(np.float32)
        for index, dense in enumerate(each for each in network.layers if each.weights)
        for kind, values in zip(("kernel", "bias"), dense.get_weights(), strict=True)
    }
    np.savez(out, mean=mean, spread=spread, **weights)


@main.command()
@click.argument("test", type=click.Path(exists=True, path_type=Path))
def measure(test: Path) -> None:
    """Print how good the estimates are."""
    stored = np.load(test)
    sigma, kinds = stored["sigma"], stored["kinds"]
    pairs = zip(stored["features"], stored["white"], strict=True)
    estimates = np.array([estimation.from_features(*pair) for pair in pairs])
    print(
        "| noise | σ ≥ 1 | σ ≥ 5 | as if it were white, σ ≥ 1 | σ ≥ 5 |", "|---" * 5 + "|", sep="\n"
    )
    for index, kind in enumerate(KINDS):
        if kind == "clean":
            continue
        cells = []
        for values in (estimates, stored["white"]):
            for least in (1, 5):
                mine = (kinds == index) & (sigma >= least)
                close = np.abs(values[mine] / sigma[mine] - 1) < 0.2
                cells.append(f"{close.mean():.0%}" if mine.any() else "")
        print(f"| {kind} | {' | '.join(cells)} |")
    clean = kinds == list(KINDS).index("clean")
    for name, values in (("here", estimates[clean]), ("as if white", stored["white"][clean])):
        print(f"clean, {name}: median {np.median(values):.2f}, 90 % {np.quantile(values, 0.9):.2f}")


if __name__ == "__main__":
    main()
