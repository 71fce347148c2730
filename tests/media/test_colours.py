"""Video keeps its brightness: 4:2:0 to RGB is exact but for rounding, and the way back unbiased."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae.media import sinks, sources
from edgecae.media.buffers import Buffers
from edgecae.media.sinks.base import SinkSettings
from edgecae.media.sinks.pipe import PipeSink
from edgecae.media.video.stored import colour_matrix, from_rgb, to_rgb

SIDE = 64


def luma_of(path: Path) -> NDArray[np.uint8]:
    """The stored luma of every frame."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)])


@pytest.mark.parametrize(("standard", "kr", "kb"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114)])
def test_a_video_is_neither_darker_nor_brighter_after_it_was_read_and_written(
    tmp_path: Path, standard: int, kr: float, kb: float
) -> None:
    rng = np.random.default_rng(0)
    planes = np.empty((4, SIDE * 3 // 2, SIDE), np.uint8)
    planes[:, :SIDE] = rng.integers(70, 190, (4, SIDE, SIDE))
    # Neutral enough that no colour leaves the range of RGB.
    planes[:, SIDE:] = rng.integers(120, 137, (4, SIDE // 2, SIDE))
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = standard
        stream.codec_context.color_range = 1
        for index, each in enumerate(planes):
            picture = av.VideoFrame.from_ndarray(each, format="yuv420p")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))

    target = tmp_path / "out.mkv"
    with (
        sources.open_source(str(path)) as source,
        sinks.open_sink(str(target), SinkSettings(source, codec="libx264")) as sink,
    ):
        read = []
        for frame in source:
            read.append(frame.pixels.copy())
            sink.write(frame)
    luma = planes[:, :SIDE].astype(float)
    chroma = planes[:, SIDE:].reshape(4, 2, SIDE // 2, SIDE // 2).astype(float)
    cb, cr = (np.repeat(np.repeat(c, 2, 1), 2, 2) - 128 for c in chroma.swapaxes(0, 1))
    gray = (luma - 16) * 255 / 219
    red = gray + 2 * (1 - kr) * cr * 255 / 224
    blue = gray + 2 * (1 - kb) * cb * 255 / 224
    green = (gray - kr * red - kb * blue) / (1 - kr - kb)
    wanted = np.stack([red, green, blue], axis=-1)
    error = np.stack(read) - wanted
    assert np.abs(error).max() < 1.2
    assert abs(error.mean()) < 0.05
    stored = luma_of(target).astype(float) - luma
    assert abs(stored.mean()) < 0.2


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p"])
def test_pictures_that_nothing_changed_are_stored_as_they_came(
    form: str, matrix: int, interlaced: bool
) -> None:
    """To RGB and back: no level of luma or chroma moves."""
    rng = np.random.default_rng(0)
    picture = av.VideoFrame(SIDE, SIDE, form)
    for index, plane in enumerate(picture.planes):
        low, high = (70, 190) if index == 0 else (120, 137)
        content = rng.integers(low, high, (plane.height, plane.line_size), np.uint8)
        plane.update(content.tobytes())
    picture.colorspace = matrix
    pixels = to_rgb(picture, Buffers(), interlaced)
    back = from_rgb(pixels, form, colour_matrix(matrix), interlaced=interlaced)
    np.testing.assert_array_equal(back.to_ndarray(), picture.to_ndarray())


def test_y4m_that_nothing_changed_is_what_came(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    planes = rng.integers(110, 140, (3, SIDE * 3 // 2, SIDE), np.uint8)
    path = tmp_path / "in.y4m"
    head = f"YUV4MPEG2 W{SIDE} H{SIDE} F25:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode()
    path.write_bytes(head + b"".join(b"FRAME\n" + each.tobytes() for each in planes))
    written = io.BytesIO()
    with sources.open_source(str(path)) as source, PipeSink(written, source) as sink:
        for frame in source:
            sink.write(frame)
    assert written.getvalue() == path.read_bytes()
