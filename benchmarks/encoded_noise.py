"""What ``edgecae noise --encoded`` finds behind encoders that its own cameras do not have.

One camera takes a still scene. Its frames are encoded with other presets, with B-frames, an intra
frame every 50 frames, or a fixed rate, and decoded again. What is found is compared with the noise
before the encoder, luma on a plain gray.

    python benchmarks/encoded_noise.py photo.jpg
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from camera_grid import plain_luma
from numpy.typing import NDArray

from edgecae import noise
from edgecae.device.machine import available_cores
from edgecae.media import images
from edgecae.noise import encoded, likeness
from edgecae.noise.camera import CameraNoise

CAMERA = "camera:level=20-20,jpeg=0,video=0,chroma=0,seed=303"
HEIGHT, WIDTH = 320, 448
SETTLE = 10
ENCODERS: dict[str, dict[str, str]] = {
    "ultrafast, crf 28": {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"},
    "veryfast, crf 28": {"preset": "veryfast", "tune": "zerolatency", "crf": "28"},
    "medium with B-frames, crf 28": {"preset": "medium", "crf": "28"},
    "veryfast, 2 Mbit/s": {
        "preset": "veryfast", "tune": "zerolatency", "b": "2M", "maxrate": "2M", "bufsize": "1M",
    },
}  # fmt: skip

Pixels = NDArray[np.uint8]


def recoded(frames: list[Pixels], options: dict[str, str]) -> list[Pixels]:
    """Frames after H.264 with an intra frame every 50 frames, and back."""
    coder: Any = av.CodecContext.create("libx264", "w")
    coder.height, coder.width = frames[0].shape[:2]
    coder.pix_fmt, coder.time_base, coder.gop_size = "yuv420p", Fraction(1, 25), 50
    coder.framerate, coder.options = Fraction(25, 1), options
    decoder: Any = av.CodecContext.create("h264", "r")
    packets = []
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
        frame.pts = index
        packets += coder.encode(frame)
    packets += coder.encode(None)
    return [
        frame.reformat(format="rgb24").to_ndarray()
        for packet in (*packets, None)
        for frame in decoder.decode(packet)
    ]


def cells_of(camera: CameraNoise) -> str:
    """Cells of the table: σ and mean of a camera's luma noise."""
    luma = plain_luma(camera)
    return f"{luma.std():.1f} | {luma.mean():+.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--encoders", nargs="*", choices=ENCODERS, default=list(ENCODERS))
    asked = parser.parse_args()
    scene = np.ascontiguousarray(images.read(asked.photo).pixels[:HEIGHT, :WIDTH])
    camera = noise.parse(CAMERA)
    assert isinstance(camera, CameraNoise)
    count = SETTLE + encoded.Excerpt.MAX_FRAMES
    raw = list(camera.still_frames(scene, np.random.default_rng(1), count))
    print("| encoder | σ of still frames | distance | σ | mean | seconds |")
    print("|---|---|---|---|---|---|")
    print(f"| none | | | {cells_of(camera)} | |")
    for name in asked.encoders:
        excerpt = encoded.Excerpt(recoded(raw, dict(ENCODERS[name]))[SETTLE:])
        for _ in excerpt:
            pass
        seen = likeness.look(excerpt.kept)
        still = float(np.sqrt(np.average(seen.variance[0], weights=seen.pixels)))
        start = time.monotonic()
        found = encoded.find_cameras(excerpt.kept, threads=available_cores())
        seconds = time.monotonic() - start
        cells = " | | "
        if found:
            best = noise.parse(found[0].spec)
            assert isinstance(best, CameraNoise)
            cells = f"{found[0].distance:.2f} | {cells_of(best)}"
        print(f"| {name} | {still:.1f} | {cells} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
