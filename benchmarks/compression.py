"""The halves of an autoencoder beside JPEG at equal bytes, of clean photos and of noisy ones.

    python benchmarks/compression.py FOLDER --encoder encoder.tflite --decoder decoder.tflite

For each σ, means over the pictures of FOLDER: bits per pixel and PSNR against the clean picture of
the autoencoder; of JPEG (Pillow, optimized tables, 4:2:0) at the quality that comes nearest in
bytes; and of the JPEG that is nearest to the clean picture among every third quality with no more
bytes, which one who knows the clean picture could choose.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecae.bench import quality
from edgecae.codec.autoencoder import Decoder, Encoder
from edgecae.codec.compressed_file import compress, decompress
from edgecae.quality import psnr

__all__ = ["jpeg", "main"]

QUALITIES = range(1, 96)
Pixels = NDArray[np.uint8]
Row = tuple[float, float]
"""Bits per pixel, and PSNR in dB."""


def jpeg(picture: Pixels, at: int) -> bytes:
    """A picture as JPEG."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=at, optimize=True, subsampling="4:2:0")
    return content.getvalue()


def _row(clean: Pixels, result: Pixels, size: int) -> Row:
    return 8 * size / (clean.shape[0] * clean.shape[1]), psnr(clean, result)


def _jpegs(clean: Pixels, given: Pixels, size: int) -> tuple[Row, Row]:
    """JPEG nearest in bytes, and the best of those with no more."""
    files = [jpeg(given, at) for at in QUALITIES]
    nearest = min(files, key=lambda content: abs(len(content) - size))
    smaller = [content for content in files[::3] if len(content) <= size] or files[:1]
    rows = [
        _row(clean, np.array(Image.open(io.BytesIO(content))), len(content))
        for content in (nearest, *smaller)
    ]
    return rows[0], max(rows[1:], key=lambda row: row[1])


def _rows(
    clean: quality.ImageSet, sigma: float, encoder: Encoder, decoder: Decoder
) -> Iterator[Row]:
    """Means of the autoencoder, of JPEG at its bytes, of the best JPEG."""
    found = []
    for group, noisy in zip(clean.groups, quality.noisy_groups(clean, sigma), strict=True):
        for reference, given in zip(group, noisy, strict=True):
            made = compress(given, encoder)
            size = len(made.to_bytes())
            ours = _row(reference, decompress(made, decoder), size)
            found.append((ours, *_jpegs(reference, given, size)))
    for bits, decibels in np.mean(found, axis=0):
        yield float(bits), float(decibels)


def main(folder: Path, encoder: Encoder, decoder: Decoder, sigmas: list[float]) -> None:
    """Print the table."""
    clean = quality.read_set(folder)
    print(f"{clean.name}, {clean.images} pictures; bits per pixel and PSNR in dB")
    print(f"{'':<8}{encoder.metadata.name:>18}{'JPEG, equal bytes':>20}{'best JPEG, no more':>20}")
    for sigma in sigmas:
        cells = [f"{bits:>12.3f}{decibels:>8.2f}" for bits, decibels in
                 _rows(clean, sigma, encoder, decoder)]  # fmt: skip
        print(f"{f'σ {sigma:g}':<6}" + "".join(cells), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--decoder", type=Path, required=True)
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.0, 25.0])
    asked = parser.parse_args()
    main(asked.folder, Encoder(asked.encoder), Decoder(asked.decoder), asked.sigma)
