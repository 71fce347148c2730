"""Interlaced video: two fields of two moments, which are denoised apart and stay apart."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import copy_clip
from recurrent import video_model

from edgecae import Denoiser, stream
from edgecae.errors import SinkError
from edgecae.media import images, sinks, sources
from edgecae.media.video.filters import filter_graph
from edgecae.media.video.stored import fields_of, woven
from edgecae.stream import batch

HEIGHT, WIDTH = 96, 128
NOISE = 12.0


def field(moment: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """A bright bar that moves by 12 pixels a field, with colour; YCbCr 4:2:0 of a frame's size."""
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = 60
    left = (12 * moment) % (WIDTH - 32)
    planes[:HEIGHT, left : left + 32] = 180
    chroma = planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    chroma[0, :, left // 2 : left // 2 + 16] = 90
    if rng is not None:
        luma = planes[:HEIGHT] + NOISE * rng.standard_normal((HEIGHT, WIDTH))
        planes[:HEIGHT] = np.clip(np.rint(luma), 16, 235)
    return planes


def frame(index: int, order: str, rng: np.random.Generator | None = None) -> av.VideoFrame:
    first, second = (
        av.VideoFrame.from_ndarray(field(2 * index + i, rng), format="yuv420p") for i in (0, 1)
    )
    upper, lower = (first, second) if order == "tff" else (second, first)
    halves = [fields_of(upper)[0], fields_of(lower)[1]]
    return woven(halves, av.VideoFrame(WIDTH, HEIGHT, "yuv420p"))


def clip(path: Path, order: str = "tff", codec: str = "libx264", noisy: bool = False) -> Path:
    rng = np.random.default_rng(0) if noisy else None
    with av.open(str(path), "w") as file:
        video = file.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = video.codec_context
        context.flags |= av.codec.context.Flags.interlaced_dct
        context.flags |= av.codec.context.Flags.interlaced_me
        if codec == "libx264":
            video.options = {"crf": "1"}
        graph = None
        for index in range(6):
            picture = frame(index, order, rng)
            picture.pts, picture.time_base = index, Fraction(1, 25)
            graph = graph or filter_graph(picture, [("setfield", f"mode={order}")])
            graph.push(picture)
            file.mux(video.encode(graph.pull()))
        file.mux(video.encode(None))
    return path


def luma_of(path: Path) -> tuple[np.ndarray, int, bool]:
    """Luma of all frames, the field order as FFmpeg has it, whether frames are interlaced."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        luma = np.stack([f.to_ndarray()[:HEIGHT] for f in frames]).astype(float)
        return luma, file.streams.video[0].codec_context.field_order, frames[1].interlaced_frame


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_order_of_fields_is_kept(order: str, suffix: str, tmp_path: Path) -> None:
    source, target = clip(tmp_path / "in.mkv", order), tmp_path / f"out.{suffix}"
    copy_clip(source, target)
    old, new = luma_of(source), luma_of(target)
    assert new[1] == old[1] != 1
    assert new[2]
    assert np.abs(new[0] - old[0]).mean() < 2


def test_fields_are_denoised_apart(tmp_path: Path, denoiser: Denoiser) -> None:
    """As one picture, edges of what moves are combs, which a network takes for noise or detail."""
    source = clip(tmp_path / "in.mkv", noisy=True)
    batch.run_batch(batch.plan_batch([source], tmp_path / "out.mkv"), denoiser)
    clean = np.stack([frame(i, "tff").to_ndarray()[:HEIGHT] for i in range(6)]).astype(float)
    error = luma_of(tmp_path / "out.mkv")[0] - clean
    noise = luma_of(source)[0] - clean
    assert (error**2).mean() < (noise**2).mean() / 4
    expected = []
    with sources.open_source(str(source)) as opened:
        for each in opened:
            parts = np.empty_like(each.pixels)
            for first in (0, 1):
                half = np.ascontiguousarray(each.pixels[first::2])
                parts[first::2] = denoiser.process(half)
            expected.append(parts)
    with (
        sources.open_source(str(source)) as opened,
        sinks.open_sink(str(tmp_path / "pictures"), sinks.SinkSettings(opened)) as sink,
    ):
        stream.run(opened, denoiser, [sink])
    got = [images.read(path).pixels for path in sorted((tmp_path / "pictures").iterdir())]
    np.testing.assert_array_equal(got, expected)


def test_fields_are_sequences_of_their_own(tmp_path: Path) -> None:
    """Of a recurrent model: two clips of one moment in two."""
    model = tmp_path / "video.tflite"
    model.write_bytes(video_model(watchful=True))
    source = clip(tmp_path / "in.mkv", noisy=True)
    with sources.open_source(str(source)) as opened:
        noisy = [each.pixels.copy() for each in opened]
    expected = np.empty_like(noisy)
    for first in (0, 1):
        with Denoiser(model) as denoiser:
            for number, each in enumerate(noisy):
                half = np.ascontiguousarray(each[first::2])
                expected[number, first::2] = denoiser.process(half)
    with (
        Denoiser(model) as denoiser,
        sources.open_source(str(source)) as opened,
        sinks.open_sink(str(tmp_path / "pictures"), sinks.SinkSettings(opened)) as sink,
    ):
        stream.run(opened, denoiser, [sink])
    got = [images.read(path).pixels for path in sorted((tmp_path / "pictures").iterdir())]
    np.testing.assert_array_equal(got, expected)


def test_colour_of_a_field_stays_in_it(tmp_path: Path) -> None:
    """Of 4:2:0, each field has rows of chroma of its own."""
    source = clip(tmp_path / "in.mkv")
    copy_clip(source, tmp_path / "out.mkv")
    with av.open(str(source)) as old, av.open(str(tmp_path / "out.mkv")) as new:
        for before, after in zip(old.decode(video=0), new.decode(video=0), strict=True):
            chroma = before.to_ndarray()[HEIGHT:].astype(int) - after.to_ndarray()[HEIGHT:]
            assert np.abs(chroma).mean() < 1.5


def test_deinterlaced_frames_are_whole(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv")
    assert copy_clip(source, tmp_path / "out.mkv", deinterlace=True) == 6
    luma, order, interlaced = luma_of(tmp_path / "out.mkv")
    assert not interlaced
    assert order == 1
    middle = luma[2:5, 20:-20]
    comb = np.abs(middle[:, 1:-1] - (middle[:, :-2] + middle[:, 2:]) / 2).mean()
    old = luma_of(source)[0][2:5, 20:-20]
    assert comb < np.abs(old[:, 1:-1] - (old[:, :-2] + old[:, 2:]) / 2).mean() / 4


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1"])
def test_an_encoder_without_fields_refuses_them(codec: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv")
    with pytest.raises(SinkError, match="can't hold interlaced frames; --deinterlace makes them"):
        copy_clip(source, tmp_path / "out.mkv", codec=codec)
    assert copy_clip(source, tmp_path / "whole.mkv", codec=codec, deinterlace=True) == 6


def test_progressive_video_is_not_marked(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as file:
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        file.mux(video.encode(av.VideoFrame.from_ndarray(field(0), format="yuv420p")))
        file.mux(video.encode(None))
    copy_clip(tmp_path / "in.mkv", tmp_path / "out.mkv", deinterlace=True)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert not next(file.decode(video=0)).interlaced_frame


@pytest.mark.slow
def test_1080i_of_a_camera(shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("edgecae").propagate = True
    source = shared / "real" / "clips" / "mei_sony-a7m3.mts"
    assert copy_clip(source, tmp_path / "out.mp4") == 13
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].codec_context.field_order == 2
        assert next(file.decode(video=0)).interlaced_frame
    assert "left out: subtitle (pgssub)" in caplog.text
    copy_clip(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [s.type for s in file.streams] == ["video", "audio", "subtitle"]
