"""Select and measure what learned white and camera noise, on sources that training does not see.

    python benchmarks/search/legs.py crops open/ held-out/
    python benchmarks/search/legs.py measure held-out/ legs/small-camera.weights.h5 RUN nano

``crops`` writes the most detailed 320×320 pixels of each photo of the sources that are held out
(``edgecae models --photos`` lists them). ``measure`` prints PSNR in dB of float networks: white
noise in RGB, luma of white noise through 4:2:0, and what is gained over noise of a camera, also on
crops that are enlarged, as soft as pictures of cameras are at their full size.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgecae import models, noise
from edgecae.media import images
from edgecae.media.images import Picture
from edgecae.noise.camera import coding
from edgecae.quality import psnr
from edgecae_train import evaluate
from edgecae_train.data.batches import LUMA
from edgecae_train.data.photo_window import enlarged, patch_detail

HELD_OUT = ("osbooks-writing-guide", "osbooks-entrepreneurship", "data-stunning")
"""Sources; what is trained on is of others."""

SIDE, STEP = 320, 32
SIGMAS = (10, 25, 50)
CAMERA_DRAWS = 2
"""Of each picture: the noise of cameras differs."""

WAYS = {2: coding.Subsampling(), 4: coding.Subsampling("triangle")}
"""4:2:0 by how many rows a chroma sample is taken from; FFmpeg's scaler takes four."""

Pixels = NDArray[np.uint8]


def most_detailed(pixels: Pixels) -> Pixels:
    """The SIDE×SIDE pixels of a photo, or what it has of them, whose neighbours differ most."""
    height, width = pixels.shape[:2]
    crops = [
        pixels[top : top + SIDE, left : left + SIDE]
        for top in range(0, max(1, height - SIDE + 1), STEP)
        for left in range(0, max(1, width - SIDE + 1), STEP)
    ]
    return np.ascontiguousarray(max(crops, key=patch_detail))


def luma_psnr(
    denoise: evaluate.Denoise, pairs: Sequence[tuple[Pixels, Pixels]], way: coding.Subsampling
) -> float:
    """Mean PSNR of luma in dB, of pairs of clean and noisy that go through 4:2:0 first."""
    results = [(clean, denoise(coding.subsampled(noisy, way))) for clean, noisy in pairs]
    return float(np.mean([psnr(clean @ LUMA, result @ LUMA) for clean, result in results]))


@click.group()
def main() -> None:
    """See the module."""


@main.command()
@click.argument("photos", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def crops(photos: Path, out: Path) -> None:
    """Write the crops to validate on."""
    listed = models.photo_credits().splitlines()
    for row in csv.DictReader(listed, delimiter="\t"):
        if any(source in row["source"] for source in HELD_OUT):
            pixels = images.read(photos / row["file"]).pixels
            name = f"{Path(row['file']).stem}.png"
            images.write(out / name, Picture(most_detailed(pixels)))


@main.command()
@click.argument("held_out", type=click.Path(exists=True, path_type=Path))
@click.argument("networks", nargs=-1, required=True)
def measure(held_out: Path, networks: tuple[str, ...]) -> None:
    """Print a line for each network: a shipped name, a run, or a file of weights."""
    pictures = [images.read(path).pixels for path in sorted(held_out.glob("*.png"))]
    white = {}
    for sigma in SIGMAS:
        rng = np.random.default_rng(0)
        white[sigma] = [(clean, noise.gaussian(sigma).add(clean, rng)) for clean in pictures]
    rng = np.random.default_rng(1)
    soft = [enlarged(rng, each) for each in pictures]
    sharp_and_soft = [
        [noise.parse("camera:").pair(each, rng) for each in of * CAMERA_DRAWS]
        for of in (pictures, soft)
    ]
    for name in networks:
        network, stride = evaluate.float_network(name)
        denoise = evaluate.keras_denoiser(network, stride)
        rgb = [np.mean([psnr(c, denoise(n)) for c, n in white[s]]) for s in SIGMAS]
        luma = {
            rows: [luma_psnr(denoise, white[s], way) for s in SIGMAS] for rows, way in WAYS.items()
        }
        gains = [
            float(np.mean([psnr(t, denoise(n)) - psnr(t, n) for n, t in camera]))
            for camera in sharp_and_soft
        ]
        print(
            name,
            "white " + " / ".join(f"{x:.2f}" for x in rgb),
            *(
                f"4:2:0 of {rows} rows " + " / ".join(f"{x:.2f}" for x in found)
                for rows, found in luma.items()
            ),
            "camera {:+.2f}, of soft pictures {:+.2f}".format(*gains),
            sep="  ",
        )


if __name__ == "__main__":
    main()
