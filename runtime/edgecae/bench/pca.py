"""An autoencoder beside principal component analysis, at equal size of the latent.

PCA is the best linear autoencoder there is (Baldi and Hornik, "Neural networks and principal
component analysis", 1989): of each block of a picture, that many numbers are kept which lose the
least squared error on the pictures that it was fitted on. Two of them: on blocks as large as the
encoder's stride with as many components as its latent has channels, and on blocks twice as large
with four times as many, which are as many numbers per pixel. PCA's numbers stay floats, the
latent's are int8.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from edgecae.bench import quality
from edgecae.bench.peers.base import Package, Pixels
from edgecae.codec.autoencoder import Decoder, Encoder
from edgecae.denoise import tiling
from edgecae.errors import ModelFileError
from edgecae.quality import mse, psnr

__all__ = ["SIGMAS", "Reconstruction", "compare_with_pca", "fit_pca", "format_table"]

SIGMAS = (0.0, 25.0)
"""Of the noise that blocks have when they are encoded, unless others are asked for."""

MAX_BLOCKS = 100_000
"""Blocks that PCA is fitted on, at most, drawn from all photos."""

_SKLEARN = Package("sklearn", "scikit-learn")


@dataclass(frozen=True)
class Reconstruction:
    """What is left of a set's pictures after a latent.

    Attributes:
        method: ``PCA 4×4``, ``PCA 8×8`` or the autoencoder's name.
        set: name of the set.
        sigma: of the noise on what was encoded, 0–255 scale; the error is that to the clean one.
        per_pixel: numbers of the latent for a pixel.
        mse: mean over the images, 0–255 scale squared.
        psnr: dB, mean over the images.
    """

    method: str
    set: str
    sigma: float
    per_pixel: float
    mse: float
    psnr: float

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, for JSON."""
        return dataclasses.asdict(self)


def _blocks(picture: Pixels, side: int) -> NDArray[np.float32]:
    """Blocks of a picture whose sides are multiples of ``side``, one a row."""
    height, width = picture.shape[:2]
    split = picture.reshape(height // side, side, width // side, side, 3)
    return split.swapaxes(1, 2).reshape(-1, side * side * 3).astype(np.float32)


def _picture(blocks: NDArray[np.float32], height: int, width: int, side: int) -> Pixels:
    """Put blocks together to a picture."""
    split = blocks.reshape(height // side, width // side, side, side, 3).swapaxes(1, 2)
    return np.clip(np.rint(split), 0, 255).astype(np.uint8).reshape(height, width, 3)


def fit_pca(pictures: Sequence[Pixels], side: int, components: int) -> Callable[[Pixels], Pixels]:
    """Fit PCA on blocks of pictures.

    Args:
        pictures: uint8, H×W×3; what does not fill a block is left out.
        side: of the blocks, pixels.
        components: numbers that are kept of a block.

    Returns:
        What encodes and decodes a picture, uint8, H×W×3, padded as the encoder pads it.

    Raises:
        SettingError: scikit-learn is not installed.
    """
    _SKLEARN.require("pca")
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    share = -(-MAX_BLOCKS // len(pictures))
    drawn = []
    for picture in pictures:
        height, width = (length // side * side for length in picture.shape[:2])
        blocks = _blocks(picture[:height, :width], side)
        drawn.append(blocks[rng.permutation(len(blocks))[:share]])
    pca = PCA(components, random_state=0).fit(np.concatenate(drawn))

    def process(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        padded = np.empty((*tiling.padded_size(height, width, side), 3), np.uint8)
        padded[:height, :width] = picture
        tiling.pad_edges(padded, height, width)
        kept = pca.inverse_transform(pca.transform(_blocks(padded, side)))
        return _picture(kept, *padded.shape[:2], side)[:height, :width]

    return process


def compare_with_pca(
    autoencoder: tuple[Path, Path],
    photos: Path,
    sets: Sequence[Path],
    sigmas: Sequence[float] = SIGMAS,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Reconstruction]:
    """Measure an autoencoder and PCA: what is left of pictures after each.

    Args:
        autoencoder: paths of the encoder's and the decoder's model file.
        photos: folder that PCA is fitted on; nothing of ``sets`` should be in it.
        sets: folders of clean pictures to measure on.
        sigmas: of the noise on what is encoded, 0–255 scale.
        tell: is told what is done now.

    Raises:
        ModelFileError: encoder and decoder were not split from one model.
        SettingError: scikit-learn is not installed.
        SourceError: a folder can't be read.
    """
    encoder, decoder = Encoder(autoencoder[0]), Decoder(autoencoder[1])
    if encoder.metadata.whole != decoder.metadata.whole:
        raise ModelFileError(f"{autoencoder[0]} and {autoencoder[1]} were not split from one model")
    side, channels = encoder.metadata.stride, encoder.latent.channels
    tell(f"fitting PCA on {photos}")
    known = [picture for group in quality.read_set(photos).groups for picture in group]

    def encode_and_decode(picture: Pixels) -> Pixels:
        return decoder.decode(encoder.encode(picture), *picture.shape[:2])

    methods = {
        f"PCA {side}×{side}": fit_pca(known, side, channels),
        f"PCA {2 * side}×{2 * side}": fit_pca(known, 2 * side, 4 * channels),
        encoder.metadata.name: encode_and_decode,
    }
    found = []
    for clean in map(quality.read_set, sets):
        reference = [picture for group in clean.groups for picture in group]
        for sigma in sigmas:
            given = [picture for group in quality.noisy_groups(clean, sigma) for picture in group]
            for name, process in methods.items():
                tell(f"{name} on {clean.name}, σ {sigma:g}")
                results = [process(picture) for picture in given]
                pairs = list(zip(reference, results, strict=True))
                found.append(
                    Reconstruction(
                        name,
                        clean.name,
                        sigma,
                        channels / side**2,
                        round(float(np.mean([mse(*pair) for pair in pairs])), 2),
                        round(float(np.mean([psnr(*pair) for pair in pairs])), 2),
                    )
                )
    return found


def format_table(rows: Sequence[Reconstruction]) -> str:
    """Format the rows as a table for a terminal."""
    wide = max(len(row.method) for row in rows) + 2
    lines = []
    for name in dict.fromkeys(row.set for row in rows):
        lines.append(click.style(f"Reconstruction on {name}: MSE, PSNR in dB", bold=True))
        for row in rows:
            if row.set == name:
                lines.append(
                    f"  σ {row.sigma:<6g}{row.method:<{wide}}{row.per_pixel:>6.3g} numbers a pixel"
                    f"{row.mse:>10.2f}{row.psnr:>8.2f}"
                )
    return "\n".join(lines)
