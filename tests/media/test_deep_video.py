"""Videos of more than 8 bits, with alpha, or gray: what they hold is kept, or named."""

from __future__ import annotations

import logging
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import copy_clip
from PIL import Image

from edgecae import Denoiser
from edgecae.media.buffers import Buffers
from edgecae.media.video.deep_pixels import add_change, layout_of, planar_format
from edgecae.media.video.stored import to_rgb
from edgecae.quality import psnr
from edgecae.stream import batch

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("edgecae").propagate = True
    return caplog


def picture(form: str, seed: int = 0) -> av.VideoFrame:
    """A smooth picture of a pixel format, with random lowest bits in every sample."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60, 190, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1)
    rgb = np.repeat(ramp, 3, axis=2).astype(np.uint8)
    made = av.VideoFrame.from_ndarray(rgb).reformat(format=planar_format(form))
    bits = layout_of(planar_format(form))[2]
    for plane in made.planes:
        samples = np.frombuffer(plane, "<u2" if bits > 8 else "u1")
        samples += rng.integers(0, 4, samples.shape).astype(samples.dtype)
    return made.reformat(format=form)


def write(path: Path, form: str, codec: str, frames: int = 4, **context) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        if codec == "libx265":
            stream.options = {"x265-params": "lossless=1:log-level=error", **context.pop("o", {})}
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for index in range(frames):
            frame = picture(form, index)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def planes_of(path: Path) -> tuple[str, list[bytes]]:
    """The pixel format, and bytes of every frame in the planar form of it."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        form = planar_format(frames[0].format.name)
        return frames[0].format.name, [
            b"".join(
                np.frombuffer(p, np.uint8)
                .reshape(-1, p.line_size)[:, : p.width * (2 if "le" in form else 1)]
                .tobytes()
                for p in f.reformat(format=form).planes
            )
            for f in frames
        ]


@pytest.mark.parametrize(
    "form",
    ["yuv420p10le", "yuv422p10le", "yuv444p12le", "gray10le", "gray16le", "gbrp10le", "gbrp16le",
     "yuva420p", "yuva444p10le", "bgra", "rgba64le", "yuv420p16le"],
)  # fmt: skip
def test_what_nothing_changes_is_stored_as_it_was(
    form: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    clip = write(tmp_path / "in.mkv", form, "ffv1")
    copy_clip(clip, tmp_path / "out.mkv", codec="ffv1")
    assert planes_of(tmp_path / "out.mkv")[1] == planes_of(clip)[1]
    assert "left out" not in said.text


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("form", ["yuv420p10le", "p010le", "yuv422p12le", "gray12le", "rgb48le"])
def test_a_change_is_added_at_the_depth_of_the_picture(
    form: str, matrix: int, full_range: bool
) -> None:
    """What the network sees of the result is its result."""
    gray = layout_of(form)[0] == "gray"
    noisy = picture(form)
    noisy.colorspace, noisy.color_range = matrix, 2 if full_range else 1
    before = to_rgb(noisy, Buffers())
    change = np.full(3, 5) if gray else np.array([6, 3, -4])
    after = (before + change).astype(np.uint8)
    result = add_change(noisy, before, after, matrix, full_range)
    result.colorspace, result.color_range = noisy.colorspace, noisy.color_range
    seen = to_rgb(result, Buffers()).astype(int)
    np.testing.assert_allclose((seen - before).mean((0, 1)), change, atol=0.4)


@pytest.mark.parametrize(
    ("form", "suffix", "codec", "kept"),
    [
        ("yuv420p10le", "mp4", "hevc", "yuv420p10le"),
        ("yuv422p10le", "mov", "hevc", "yuv422p10le"),
        ("yuv420p10le", "mkv", "hevc", "yuv420p10le"),
        ("yuv420p10le", "webm", "av1", "yuv420p10le"),
        ("yuva444p10le", "mov", "prores", "yuva444p10le"),
        ("yuva420p", "webm", "vp9", "yuva420p"),
        ("bgra", "mkv", "ffv1", "gbrap"),
        ("gray16le", "mkv", "ffv1", "gray16le"),
        ("yuv420p16le", "mkv", "ffv1", "yuv420p16le"),
    ],
)
def test_depth_chroma_and_alpha_are_kept_without_being_asked(
    form: str, suffix: str, codec: str, kept: str, tmp_path: Path,
    said: pytest.LogCaptureFixture, denoiser: Denoiser,
) -> None:  # fmt: skip
    clip, target = write(tmp_path / "in.mkv", form, "ffv1"), tmp_path / f"out.{suffix}"
    batch.run_batch(batch.plan_batch([clip], target), denoiser)
    with av.open(str(target)) as file:
        context = file.streams.video[0].codec_context
        assert context.codec.canonical_name == codec
        assert context.pix_fmt in (kept, kept.replace("gbrap", "bgra"), "yuva444p12le", "yuv420p")
        if kept == "yuva420p":
            assert file.streams.video[0].metadata.get("alpha_mode") == "1"
        else:
            assert context.pix_fmt != "yuv420p"
    assert "left out" not in said.text


@pytest.mark.parametrize(
    ("form", "suffix", "asked", "line"),
    [
        ("yuva420p", "mp4", "auto", "left out: transparency"),
        ("gray16le", "mp4", "auto", "left out: 16 bits (now 12)"),
        ("yuv420p10le", "avi", "auto", "left out: 10 bits"),
        ("yuv444p10le", "mp4", "mpeg4", "10 bits (now 8), 4:4:4 colour (now 4:2:0); mpeg4 can't"),
    ],
)
def test_what_is_lost_is_named(
    form: str, suffix: str, asked: str, line: str, tmp_path: Path,
    said: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    clip = write(tmp_path / "in.mkv", form, "ffv1")
    if suffix == "avi":
        asked = "mpeg4"
    copy_clip(clip, tmp_path / f"out.{suffix}", codec=asked)
    assert line in said.text


def test_a_gif_becomes_an_ordinary_video(
    photo: np.ndarray, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    pictures = [Image.fromarray(np.roll(photo, 9 * i, axis=1)) for i in range(5)]
    path = tmp_path / "in.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    assert copy_clip(path, tmp_path / "out.mp4") == 5
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        frames = list(file.decode(video=0))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(5) / 10, atol=1e-3)
    assert "left out: transparency" in said.text
    assert psnr(frames[0].to_ndarray(format="rgb24"), photo) > 24  # 256 colours


def test_8_bits_of_finer_chroma_say_how_it_is_kept(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    clip = write(tmp_path / "in.mkv", "yuv422p", "ffv1")
    copy_clip(clip, tmp_path / "out.mp4")
    assert "4:2:2 colour (now 4:2:0); --pixel-format yuv422p keeps it" in said.text


def mastering_of(path: Path) -> list[str]:
    """What ffprobe says of the first frame's metadata of HDR10."""
    entries = "frame=color_transfer,color_primaries,color_space:side_data"
    command = ["ffprobe", "-v", "error", "-read_intervals", "%+#1", "-show_entries", entries]
    done = subprocess.run(
        [*command, "-of", "default=nw=1", str(path)], capture_output=True, text=True, check=True
    )
    words = ("color_", "red_", "green_", "blue_", "white_", "min_l", "max_l", "max_c", "max_a")
    return [line for line in done.stdout.splitlines() if line.startswith(words)]


HDR10 = {
    "o": {
        "x265-params": "log-level=error:hdr10=1:master-display=G(13250,34500)B(7500,3000)"
        "R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    },
    "colorspace": 9, "color_primaries": 9, "color_trc": 16,
}  # fmt: skip


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v ffprobe"], capture_output=True).returncode != 0,
    reason="there is no program ffmpeg",
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_hdr10_stays_hdr10(suffix: str, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    clip = write(tmp_path / "in.mkv", "yuv420p10le", "libx265", **{**HDR10})
    wanted = mastering_of(clip)
    assert any(line.startswith("max_luminance") for line in wanted)
    copy_clip(clip, tmp_path / f"out.{suffix}")
    assert mastering_of(tmp_path / f"out.{suffix}") == wanted
    assert "left out" not in said.text


def test_metadata_of_hdr_that_an_encoder_does_not_take_are_named(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    clip = write(tmp_path / "in.mkv", "yuv420p10le", "libx265", **{**HDR10})
    copy_clip(clip, tmp_path / "out.mkv", codec="ffv1")
    assert "left out: metadata of HDR (mastering display, content light level)" in said.text


def test_noise_of_10_bits_becomes_less(tmp_path: Path, denoiser: Denoiser) -> None:
    """The result has more than 8 bits: levels between those that the network knows."""
    rng = np.random.default_rng(0)
    clean = np.linspace(300, 700, WIDTH)
    path, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        for index in range(2):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
            luma = np.frombuffer(frame.planes[0], "<u2").reshape(HEIGHT, -1)
            luma[:, :WIDTH] = np.rint(clean + 60 * rng.standard_normal((HEIGHT, WIDTH)))
            for plane in frame.planes[1:]:
                np.frombuffer(plane, "<u2")[...] = 512
            frame.pts, frame.time_base = index, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    batch.run_batch(batch.plan_batch([path], target), denoiser, codec="ffv1")
    with av.open(str(target)) as file:
        frame = next(file.decode(video=0))
    assert frame.format.name == "yuv420p10le"
    luma = np.frombuffer(frame.planes[0], "<u2").reshape(HEIGHT, -1)[:, :WIDTH]
    error = luma - clean
    assert error.std() < 30
    assert abs(error.mean()) < 4
    assert len(np.unique(luma % 4)) == 4


@pytest.mark.slow
def test_hlg_of_a_phone(shared: Path, tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    copy_clip(shared / "real" / "clips" / "siti_fall-hlg.mov", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p10le"
        assert (context.colorspace, context.color_primaries, context.color_trc) == (9, 9, 18)
    assert "left out: metadata of HDR (Dolby Vision)" in said.text
