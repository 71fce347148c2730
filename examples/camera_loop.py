"""Denoise a camera in a loop of your own.

python examples/camera_loop.py                        # a built-in scene, no camera
python examples/camera_loop.py --source /dev/video0   # a camera; needs edgecae[video]

The loop takes every frame in turn. ``edgecae stream`` also drops late frames, reconnects and
records; see docs/streaming.md.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

from PIL import Image

from edgecae import Denoiser
from edgecae.media.sources import open_source

SCENE = "test:320x240@30?live=yes&noise=gaussian:25"


def main() -> None:
    """Read frames, denoise each in place, print its time and noise."""
    parser = argparse.ArgumentParser(description="Denoise a camera in a loop of your own.")
    parser.add_argument("--source", default=SCENE, help="As edgecae stream --source takes it.")
    parser.add_argument("--frames", type=int, default=30, help="Stop after so many.")
    parser.add_argument("--model", default="nano", help="Shipped model or model file.")
    parser.add_argument("--threads", type=int, default=2, help="Threads of the interpreter.")
    parser.add_argument("--save", type=Path, help="Write the last frame here.")
    arguments = parser.parse_args()
    with (
        open_source(arguments.source) as source,
        Denoiser(arguments.model, threads=arguments.threads) as denoiser,
    ):
        denoiser.measure_noise = True
        for index, frame in enumerate(itertools.islice(source, arguments.frames), start=1):
            started = time.perf_counter()
            denoiser.process(frame.pixels, out=frame.pixels)
            milliseconds = 1000 * (time.perf_counter() - started)
            print(f"frame {index}: {milliseconds:.1f} ms, noise {denoiser.noise:.1f}", flush=True)
            # Show frame.pixels here: uint8, H×W×3, RGB. OpenCV wants BGR: frame.pixels[..., ::-1].
    if arguments.save:
        Image.fromarray(frame.pixels).save(arguments.save)


if __name__ == "__main__":
    main()
