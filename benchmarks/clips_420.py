"""Lossless 4:2:0 clips, as cameras give them, and the command that denoises them.

Clips are FFV1 in Matroska: yuv420p, BT.601, limited range. A result is compared by its luma, which
no conversion blurs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["LUMA", "Pixels", "denoise", "read_lumas", "write_clip"]

LUMA = np.array([0.299, 0.587, 0.114])
"""Of BT.601: ``rgb @ LUMA`` has the 0–255 scale."""

Pixels = NDArray[np.uint8]
"""A frame: uint8, H×W×3, RGB; H and W are even."""


def write_clip(path: Path, frames: Iterable[Pixels]) -> None:
    """Write frames of one size, 25 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        for number, pixels in enumerate(frames):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.color_range, stream.codec_context.colorspace = 1, 5
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_lumas(path: Path) -> Iterator[NDArray[np.float64]]:
    """Yield the luma of each frame, H×W on the 0–255 scale, of a clip in RGB or yuv420p."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.format.name == "yuv420p":
                plane = frame.to_ndarray()[: frame.height].astype(np.float64)
                yield (plane - 16) * (255 / 219)
            else:
                yield frame.to_ndarray(format="rgb24") @ LUMA


def denoise(source: Path, target: Path, model: str, *more: str) -> None:
    """Run ``edgecae denoise`` on a file or a folder.

    Raises:
        RuntimeError: it fails; the message is what it said.
    """
    command = [sys.executable, "-m", "edgecae", "denoise", str(source), "-o", str(target)]
    done = subprocess.run([*command, "--model", model, *more], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{model} on {source.name}: {done.stderr.strip()}")
