"""Pictures of 16 bits a channel: in, through the network, and out."""

from __future__ import annotations

import dataclasses
import io
import logging
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from edgecae import Denoiser
from edgecae.denoise.still import denoise_still
from edgecae.errors import SourceError
from edgecae.media import images, sinks, sources
from edgecae.stream import batch

FFMPEG_FORMS = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}


def deep(channels: int, shape: tuple[int, int] = (37, 53)) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return rng.integers(0, 65536, (*shape, channels)).astype(np.uint16)


def png(values: np.ndarray, transparent: bytes = b"") -> bytes:
    """A PNG file of 16 bits a channel without any filter."""
    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [(b"IHDR", head), *([(b"tRNS", transparent)] if transparent else []),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def tiff(
    values: np.ndarray, order: str, planar: bool = False, packed: bool = False,
    differences: bool = False, inverted: bool = False, orientation: int = 1, rows: int = 7,
) -> bytes:  # fmt: skip
    """A TIFF file of 16 bits a channel."""
    height, width, channels = values.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    tags[256], tags[257], tags[277], tags[258] = width, height, channels, (16,) * channels
    tags[259], tags[284], tags[278] = 8 if packed else 1, 1 + planar, rows
    tags[317], tags[274] = 1 + differences, orientation
    tags[262] = 0 if inverted else 1 if channels < 3 else 2
    if channels == 4:
        tags[338] = 2
    strips = []
    for plane in [values[..., c : c + 1] for c in range(channels)] if planar else [values]:
        for top in range(0, height, rows):
            strip = plane[top : top + rows].copy()
            if differences:
                strip[:, 1:] -= plane[top : top + rows, :-1]
            content = strip.astype(f"{order}u2").tobytes()
            strips.append(zlib.compress(content) if packed else content)
    tags[279] = tuple(map(len, strips))
    tags[273] = tuple(sum(map(len, strips[:index])) for index in range(len(strips)))
    file = io.BytesIO()
    tags.save(file)
    return file.getvalue() + b"".join(strips)


def values_of(path: Path) -> np.ndarray:
    picture = images.read(path)
    assert picture.fine is not None
    assert picture.left_out == ()
    nearest = (picture.rows(0, 10**6).astype(int) + 128) // 257
    colours = 1 if nearest.shape[2] < 3 else 3
    np.testing.assert_array_equal(picture.pixels.ravel(), nearest[..., :colours].ravel())
    return picture.rows(0, 10**6)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_is_read(channels: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(deep(channels)))
    np.testing.assert_array_equal(values_of(tmp_path / "a.png"), deep(channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits(channels: int, tmp_path: Path) -> None:
    """Two colours that differ in their low bytes alone are two."""
    values = deep(channels)
    values[:, ::2] = 0x1234
    values[0, 1] = 0x1235
    (tmp_path / "a.png").write_bytes(png(values, b"\x12\x34" * channels))
    got = values_of(tmp_path / "a.png")
    np.testing.assert_array_equal(got[..., :-1], values)
    np.testing.assert_array_equal(got[..., -1] == 0, (values == 0x1234).all(axis=2))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("packed", "differences"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_is_read(
    order: str, planar: bool, packed: bool, differences: bool, channels: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(deep(channels), order, planar, packed, differences))
    np.testing.assert_array_equal(values_of(path), deep(channels))


@pytest.mark.parametrize("planar", [False, True])
def test_a_turned_tiff_is_turned_once(planar: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(deep(3), "<", planar, orientation=6))
    np.testing.assert_array_equal(values_of(path), np.rot90(deep(3), -1))


def test_a_gray_tiff_whose_black_is_the_largest_value(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(deep(1), "<", inverted=True))
    np.testing.assert_array_equal(values_of(path), 65535 - deep(1))


def test_planes_that_lie_beyond_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    whole = tiff(deep(3, (300, 300)), "<", planar=True)
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(SourceError, match="truncated"):
        images.read(path)


@pytest.mark.parametrize("limit", [65535, 1023])
@pytest.mark.parametrize("channels", [1, 3])
def test_ppm_is_read(limit: int, channels: int, tmp_path: Path) -> None:
    values = (deep(channels).astype(int) % (limit + 1)).astype(np.uint16)
    head = b"P%d\n%d %d\n%d\n" % (5 if channels == 1 else 6, 53, 37, limit)
    (tmp_path / "a.ppm").write_bytes(head + values.astype(">u2").tobytes())
    expected = np.round(values / limit * 65535)
    np.testing.assert_array_equal(values_of(tmp_path / "a.ppm"), expected)


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [(".png", 1), (".png", 3), (".png", 4), (".tif", 1), (".tif", 3), (".tif", 4), (".ppm", 1),
     (".ppm", 3)],
)  # fmt: skip
def test_what_is_written_is_what_was_there(suffix: str, channels: int, tmp_path: Path) -> None:
    """As another reader of such files sees it, FFmpeg."""
    values = deep(channels, (41, 67))
    (tmp_path / "in.png").write_bytes(png(values))
    images.write(tmp_path / f"out{suffix}", images.read(tmp_path / "in.png"))
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        frame = next(file.decode(video=0))
    got = frame.to_ndarray(format=FFMPEG_FORMS[channels]).reshape(values.shape)
    np.testing.assert_array_equal(got, values)
    np.testing.assert_array_equal(values_of(tmp_path / f"out{suffix}"), values)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_go_through_the_network(
    channels: int, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    """The result is the file plus what the network changed of its 8 bits."""
    rng = np.random.default_rng(0)
    clean = photo[:64, :96].astype(np.uint16) * 257
    alpha = rng.integers(256, 65536, (64, 96, 1)).astype(np.uint16)
    clean = {1: clean[..., :1], 3: clean, 4: np.concatenate([clean, alpha], axis=2)}[channels]
    noise = rng.normal(0, 5 * 257, clean.shape)
    noise[..., 3:] = 0
    values = np.clip(clean + noise, 0, 65535).round().astype(np.uint16)
    (tmp_path / "in.png").write_bytes(png(values))
    batch.run_batch(batch.plan_batch([tmp_path / "in.png"], tmp_path / "out.tif"), denoiser)
    colours = slice(0, 1 if channels == 1 else 3)
    seen = ((values[..., colours].astype(int) + 128) // 257).astype(np.uint8)
    result = denoiser.process(seen[..., 0] if channels == 1 else seen).reshape(seen.shape)
    expected = values.astype(int)
    expected[..., colours] += 257 * (result.astype(int) - seen)
    np.testing.assert_array_equal(values_of(tmp_path / "out.tif"), expected.clip(0, 65535))


def test_no_strength_leaves_16_bits_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(png(deep(3)))
    with Denoiser("nano", strength=0.0) as denoiser:
        batch.run_batch(batch.plan_batch([tmp_path / "in.png"], tmp_path / "out.tif"), denoiser)
    np.testing.assert_array_equal(values_of(tmp_path / "out.tif"), deep(3))


def test_8_bits_are_said_where_a_format_has_no_more(
    denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("edgecae").propagate = True
    (tmp_path / "in.png").write_bytes(png(deep(3)))
    batch.run_batch(batch.plan_batch([tmp_path / "in.png"], tmp_path / "out.jpg"), denoiser)
    assert "out.jpg: left out: 16 bits a channel (8 are kept)" in caplog.text


def test_pixels_that_are_replaced_keep_the_rest(tmp_path: Path) -> None:
    """A program replaces ``pixels`` alone."""
    (tmp_path / "in.png").write_bytes(png(deep(3)))
    picture = images.read(tmp_path / "in.png")
    darker = dataclasses.replace(picture, pixels=picture.pixels // 2)
    images.write(tmp_path / "out.png", darker)
    change = 257 * (picture.pixels.astype(int) - picture.pixels // 2)
    expected = np.clip(deep(3) - change, 0, 65535)
    np.testing.assert_array_equal(values_of(tmp_path / "out.png"), expected)


def test_a_stream_to_a_folder_keeps_16_bits(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(png(deep(3)))
    with sources.open_source(str(tmp_path / "in.png")) as source:
        settings = sinks.SinkSettings(source)
        with sinks.open_sink(str(tmp_path / "out"), settings) as sink:
            for frame in source:
                sink.write(frame)
    np.testing.assert_array_equal(values_of(tmp_path / "out" / "in.png"), deep(3))


def test_denoise_still_is_the_library_call(denoiser: Denoiser, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(png(deep(1)))
    picture = denoise_still(images.read(tmp_path / "in.png"), denoiser)
    assert picture.rows(0, 37).dtype == np.uint16


def test_a_float_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(SourceError, match="8 or 16 bits"):
        images.read(tmp_path / "a.tif")
