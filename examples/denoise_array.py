"""Denoise a numpy array.

python examples/denoise_array.py noisy.png clean.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgecae import Denoiser


def denoise(frame: NDArray[np.uint8], model: str = "small", threads: int = 1) -> NDArray[np.uint8]:
    """Denoise one frame.

    A program with many frames opens the denoiser once and calls ``process`` for each.

    Args:
        frame: uint8; H×W×3, RGB, or H×W, gray; any H, W ≥ 1.
        model: name of a shipped model, or path of a model file.
        threads: of the interpreter.

    Returns:
        A new array of the same shape.
    """
    with Denoiser(model, threads=threads) as denoiser:
        return denoiser.process(frame)


def main() -> None:
    """Read a picture, denoise it, write it."""
    parser = argparse.ArgumentParser(description="Denoise a numpy array.")
    parser.add_argument("noisy", type=Path, help="Picture to read.")
    parser.add_argument("clean", type=Path, help="Picture to write.")
    parser.add_argument("--model", default="small", help="Shipped model or model file.")
    parser.add_argument("--threads", type=int, default=1, help="Threads of the interpreter.")
    arguments = parser.parse_args()
    with Image.open(arguments.noisy) as image:
        frame = np.array(image.convert("RGB"))
    clean = denoise(frame, arguments.model, arguments.threads)
    Image.fromarray(clean).save(arguments.clean)
    change = np.abs(clean.astype(np.int16) - frame).mean()
    print(f"{frame.shape[1]}x{frame.shape[0]}: changed by {change:.2f} of 255 levels on average")


if __name__ == "__main__":
    main()
