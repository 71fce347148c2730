"""What storing and sending does to a picture: fewer chroma samples, JPEG, H.264 and H.265.

Pictures are uint8, H×W×3, RGB.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import NoiseError
from edgecae.noise.camera.drawn import Generator

__all__ = [
    "Subsampling",
    "clip",
    "colour_matrices",
    "draw_subsampling",
    "jpeg",
    "subsampled",
    "video",
]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LUMA_WEIGHTS = {601: (0.299, 0.114), 709: (0.2126, 0.0722)}
"""Of red and blue, in ITU-R BT.601 and BT.709; green has the rest."""


@functools.cache
def colour_matrices(standard: int) -> tuple[Floats, Floats]:
    """From RGB to luma and two chroma channels of the same scale, and back, 3×3 each.

    Args:
        standard: 601 or 709, of ITU-R BT.
    """
    red, blue = _LUMA_WEIGHTS[standard]
    luma = np.array([red, 1 - red - blue, blue])
    unit = np.eye(3)
    forward = np.stack(
        [luma, (unit[2] - luma) / (2 * (1 - blue)), (unit[0] - luma) / (2 * (1 - red))]
    )
    return forward.astype(np.float32), np.linalg.inv(forward).astype(np.float32)


@dataclass(frozen=True)
class Subsampling:
    """How a picture goes through video with fewer chroma samples, and comes back.

    Attributes:
        decimation: how chroma rows are halved, as FFmpeg's scaler does it: the mean of two
            (``box``), of four with weights 1 3 3 1 (``triangle``, its default), or every other
            one (``nearest``). Noise of chroma is as strong as this leaves it. Columns are halved
            by the mean of two.
        rows: chroma rows are halved too (4:2:0); else columns alone (4:2:2).
        smooth: chroma comes back bilinear (as JPEG and GPUs do it); else by repetition.
        standard: 601 or 709, the BT. of the matrix.
        limited: luma in 16–235 and chroma in 16–240; else all 256 levels.
    """

    decimation: Literal["box", "triangle", "nearest"] = "box"
    rows: bool = True
    smooth: bool = False
    standard: int = 601
    limited: bool = True


def draw_subsampling(rng: Generator) -> Subsampling:
    """Draw a way: 4:2:0 more often than 4:2:2, limited range more often than full."""
    draws = rng.random(5)
    return Subsampling(
        "box" if draws[4] < 0.5 else "triangle" if draws[4] < 0.85 else "nearest",
        bool(draws[0] < 0.8),
        bool(draws[1] < 0.4),
        601 if draws[2] < 0.6 else 709,
        bool(draws[3] < 0.7),
    )


def _halved(rows: Floats, decimation: str = "box") -> Floats:
    """Half as many rows; where their count is odd, the last is there twice."""
    if len(rows) % 2:
        rows = np.concatenate([rows, rows[-1:]])
    if decimation == "nearest":
        return rows[::2]
    halved: Floats = 0.5 * (rows[::2] + rows[1::2])
    if decimation == "triangle":
        around = np.concatenate([rows[:1], rows, rows[-1:]])
        halved = 0.75 * halved + 0.125 * (around[:-2:2] + around[3::2])
    return halved


def _doubled(rows: Floats, count: int, smooth: bool) -> Floats:
    """Twice as many rows, cut to ``count``; samples lie between each two of them."""
    if not smooth:
        return np.repeat(rows, 2, axis=0)[:count]
    # A row takes three quarters of its own sample and one of the nearer neighbour.
    quarters = 0.25 * np.concatenate([rows[:1], rows, rows[-1:]])
    doubled = np.empty((2 * len(rows), *rows.shape[1:]), rows.dtype)
    doubled[::2] = 3 * quarters[1:-1] + quarters[:-2]
    doubled[1::2] = 3 * quarters[1:-1] + quarters[2:]
    return doubled[:count]


def subsampled(picture: Pixels, way: Subsampling) -> Pixels:
    """A picture after 4:2:0 or 4:2:2 and back, uint8, H×W×3."""
    height, width = picture.shape[:2]
    forward, back = colour_matrices(way.standard)
    steps = np.array([219, 224, 224] if way.limited else [255] * 3, np.float32) / 255
    planes: Floats = picture.astype(np.float32) @ (forward.T * steps).astype(np.float32)
    chroma: Floats = planes[..., 1:]
    if way.rows:
        chroma = _halved(chroma, way.decimation)
    chroma = np.rint(_halved(chroma.swapaxes(0, 1)))
    chroma = _doubled(chroma, width, way.smooth).swapaxes(0, 1)
    if way.rows:
        chroma = _doubled(chroma, height, way.smooth)
    np.rint(planes[..., 0], out=planes[..., 0])
    planes[..., 1:] = chroma
    result = planes @ (back.T / steps[:, None])
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def jpeg(picture: Pixels, quality: int, subsampling: str) -> Pixels:
    """A picture after JPEG of a quality (1–100) and ``4:4:4``, ``4:2:2`` or ``4:2:0``."""
    from PIL import Image  # a stream that makes no such noise starts without it

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(data, formats=["JPEG"]).convert("RGB"))


_FRAMES = 4
_DECODERS = {"libx264": "h264", "libx265": "hevc"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libx265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "log-level=none:pools=none:frame-threads=1",
    },
}


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise NoiseError(
            "camera noise with blocks of video needs PyAV: pip install 'edgecae[video]', or leave "
            "them out with camera:video=0"
        ) from None
    return av


def clip(pictures: Iterable[Pixels], encoder: str, crf: int) -> Iterator[Pixels]:
    """Encode pictures as one clip in 4:2:0 and decode it again.

    Args:
        pictures: all of one size, uint8, H×W×3.
        encoder: ``libx264`` or ``libx265``.
        crf: constant rate factor of the encoder; higher is coarser.

    Raises:
        NoiseError: PyAV is not installed, or its FFmpeg lacks the encoder.
    """
    av = _av()
    height = width = 0
    coder = None
    # One converter for all frames: to make one takes longer than to convert.
    converter = av.video.reformatter.VideoReformatter()
    try:
        decoder = av.CodecContext.create(_DECODERS[encoder], "r")
        decoder.thread_count = 1

        def decoded(packets: Iterable[Any]) -> Iterator[Pixels]:
            for packet in packets:
                for frame in decoder.decode(packet):
                    whole = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    yield np.ascontiguousarray(whole[:height, :width])

        for index, each in enumerate(pictures):
            if coder is None:
                height, width = each.shape[:2]
                coder = av.CodecContext.create(encoder, "w")
                coder.width, coder.height = width + width % 2, height + height % 2
                coder.pix_fmt, coder.time_base, coder.thread_count = "yuv420p", Fraction(1, 25), 1
                coder.options = {**_OPTIONS[encoder], "crf": str(crf)}
            even = np.pad(each, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            picture = av.VideoFrame.from_ndarray(even, "rgb24")
            picture = converter.reformat(picture, format="yuv420p", threads=1)
            picture.pts = index
            yield from decoded(coder.encode(picture))
        if coder is not None:
            yield from decoded(coder.encode(None))
            yield from decoded([None])
    except (av.error.FFmpegError, ValueError) as error:
        raise NoiseError(f"camera noise: {encoder} failed: {error}") from error


def video(noisy: Pixels, clean: Pixels, encoder: str, crf: int, rng: np.random.Generator) -> Pixels:
    """The last frame of a short moving clip, encoded and decoded in 4:2:0.

    Args:
        noisy: that frame as the encoder gets it.
        clean: the same without noise. The frames before it show it shifted, under the same noise
            shifted elsewhere.
        encoder: ``libx264`` or ``libx265``.
        crf: constant rate factor of the encoder; higher is coarser.
        rng: where movements are drawn from.

    Raises:
        NoiseError: PyAV is not installed, or its FFmpeg lacks the encoder.
    """
    height, width = noisy.shape[:2]
    noise = noisy.astype(np.int16) - clean
    motion = rng.integers(-2, 3, 2)
    frames = []
    for back in reversed(range(1, _FRAMES)):
        elsewhere = np.roll(noise, tuple(rng.integers(0, (height, width))), (0, 1))
        moved = np.roll(clean, tuple(back * motion), (0, 1))
        frames.append(np.clip(moved + elsewhere, 0, 255).astype(np.uint8))
    return list(clip([*frames, noisy], encoder, crf))[-1]
