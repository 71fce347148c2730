"""Compressed pictures: what comes back, and what nobody vouches for."""

from __future__ import annotations

import lzma
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from autoencoder import edgecae
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgecae import Denoiser
from edgecae.codec.autoencoder import Decoder, Encoder
from edgecae.codec.compressed_file import FILTERS, Compressed, Header, compress, decompress
from edgecae.errors import BackendError, SourceError


@pytest.fixture(scope="module")
def encoder(codec: Path) -> Encoder:
    return Encoder(codec / "encoder.tflite")


@pytest.fixture(scope="module")
def decoder(codec: Path) -> Decoder:
    return Decoder(codec / "decoder.tflite")


@pytest.fixture(scope="module")
def good(encoder: Encoder) -> bytes:
    picture = np.array(Image.open(DATA / "face.png").convert("RGB"))[:50, :39]
    return compress(picture, encoder).to_bytes()


def test_a_picture_is_turned_upright(codec: Path, tmp_path: Path) -> None:
    image = Image.open(DATA / "hat.png").convert("RGB").crop((0, 0, 64, 40))
    image.save(tmp_path / "upright.png")
    lying = image.rotate(90, expand=True)
    exif = lying.getexif()
    exif[0x0112] = 6  # the top of the picture is at its right side
    lying.save(tmp_path / "lying.png", exif=exif)
    for name in ("upright", "lying"):
        packed = tmp_path / f"{name}.ecae"
        done = edgecae("compress", tmp_path / f"{name}.png", "-o", packed,
                       "--model", codec / "encoder.tflite")  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "lying.ecae").read_bytes() == (tmp_path / "upright.ecae").read_bytes()


def test_a_closed_encoder_says_so(codec: Path) -> None:
    with Encoder(codec / "encoder.tflite") as encoder:
        pass
    with pytest.raises(BackendError, match="the encoder is closed"):
        encoder.encode(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_comes_back_as_the_whole_model_makes_it_inside_its_edges(
    mode: str, suffix: str, codec: Path, tmp_path: Path
) -> None:
    photo, packed = tmp_path / "photo.png", tmp_path / "photo.ecae"
    Image.open(DATA / "hat.png").convert(mode).crop((0, 0, 101, 67)).save(photo)
    done = edgecae("compress", photo, "-o", packed, "--model", codec / "encoder.tflite")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"{packed.stat().st_size:,} bytes" in done.stderr
    back = tmp_path / f"back.{suffix}"
    done = edgecae("decompress", packed, "-o", back, "--model", codec / "decoder.tflite")
    assert done.returncode == 0, done.stderr
    with Denoiser(codec / "whole.tflite", threads=2) as whole:
        expected = whole.process(np.array(Image.open(photo)))
        halo = whole.metadata.halo
        assert min(expected.shape[:2]) > 4 * halo
    with Image.open(back) as result:
        assert result.mode == mode
        # The decoder mirrors the latent beyond the edges, where the whole model sees the picture.
        inside = np.s_[halo:-halo, halo:-halo]
        np.testing.assert_array_equal(np.array(result)[inside], expected[inside])


def test_what_fails_says_so_in_one_line(codec: Path, good: bytes, tmp_path: Path) -> None:
    encoder, decoder = codec / "encoder.tflite", codec / "decoder.tflite"
    cut, there = tmp_path / "cut.ecae", tmp_path / "there.png"
    cut.write_bytes(good[:-9])
    there.write_text("precious")
    face = DATA / "face.png"
    for arguments, status, why in [
        (["decompress", cut, "-o", tmp_path / "x.png", "--model", decoder], 1, "damaged or cut"),
        (["decompress", face, "-o", tmp_path / "x.png", "--model", decoder], 1, "no picture that"),
        (["decompress", tmp_path, "-o", tmp_path / "x.png", "--model", decoder], 1, "be read"),
        (["decompress", cut, "-o", there, "--model", decoder], 1, "--overwrite"),
        (["decompress", cut, "-o", tmp_path / "x.png", "--model", encoder], 1, "encoder half"),
        (["compress", face, "-o", tmp_path / "x", "--model", decoder], 1, "the decoder half"),
        (["compress", cut, "-o", tmp_path / "x", "--model", encoder], 1, "read as an image"),
        (["compress", face, "-o", tmp_path / "x"], 2, "--model"),
    ]:
        done = edgecae(*arguments)
        assert done.returncode == status, (arguments, done.stderr)
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert there.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.ecae", "there.png"]


def signed(content: bytes) -> bytes:
    """With a checksum that is right."""
    return content[:-4] + struct.pack("<I", zlib.crc32(content[:-4]))


def changed(content: bytes, at: int, kind: str, value: float) -> bytes:
    new = struct.pack(kind, value)
    return signed(content[:at] + new + content[at + len(new) :])


@pytest.mark.parametrize(
    ("at", "kind", "value", "why"),
    [
        (0, "<B", 0, "no picture that"),
        (8, "<H", 2, "version 2, this edgecae reads 1"),
        (10, "<B", 4, "can't have 4 channels"),
        (11, "<I", 0, "can't be of 0×50"),
        (11, "<I", 2**32 - 1, "can't be of 4294967295×50"),
        (15, "<I", 1, "not one that the decoder takes"),
        (19, "<I", 2**31, "latent can't be of"),
        (19, "<I", 11, "not one that the decoder takes"),
        (23, "<I", 0, "latent can't be of 0"),
        (27, "<H", 5, "not one that the decoder takes"),
        (29, "<f", float("nan"), "can't have scale nan"),
        (29, "<f", 0.5, "not one that the decoder takes"),
        (33, "<b", 0, "not one that the decoder takes"),
        (34, "<I", 0, "encoder of another model"),
        (66, "<I", 2**32 - 1, "another length"),
        (70, "<B", 0, "latent is damaged"),
        (70, "<B", 255, "latent is damaged"),
    ],
)
def test_every_field_is_checked(
    at: int, kind: str, value: float, why: str, good: bytes, decoder: Decoder
) -> None:
    with pytest.raises(SourceError, match=why) as caught:
        decompress(Compressed.from_bytes(changed(good, at, kind, value)), decoder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_is_only_signed_again_passes(good: bytes, decoder: Decoder) -> None:
    """The tests above fail for what they changed, not for being changed."""
    assert signed(good) == good
    assert decompress(Compressed.from_bytes(good), decoder).shape == (50, 39, 3)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_noticed(good: bytes, decoder: Decoder, data) -> None:
    if data.draw(st.booleans()):
        content = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        content = bytearray(good)
        content[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SourceError):
        decompress(Compressed.from_bytes(bytes(content)), decoder)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_with_a_right_checksum_is_read_or_refused(
    good: bytes, decoder: Decoder, data
) -> None:
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(good) - 5))] = data.draw(st.integers(0, 255))
    try:
        result = decompress(Compressed.from_bytes(signed(bytes(content))), decoder)
        assert result.dtype == np.uint8
    except SourceError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine


def test_a_bomb_is_not_unpacked(decoder: Decoder) -> None:
    """Fifty megabytes of zeros, which pack into a few kilobytes, for a small picture."""
    whole, zeros = decoder.metadata.whole, bytes(5 * 10**7)
    payload = lzma.compress(zeros, lzma.FORMAT_RAW, filters=FILTERS)
    assert len(payload) < 100_000
    header = Header(False, 8, 8, (2, 2, 4), decoder.latent.scale, decoder.latent.zero, whole)
    tracemalloc.start()
    with pytest.raises(SourceError, match="not that of 2×2×4"):
        decompress(Compressed(header, payload), decoder)
    assert tracemalloc.get_traced_memory()[1] < 2**25  # the dictionary takes 2**24
    tracemalloc.stop()
    short = lzma.compress(bytes(15), lzma.FORMAT_RAW, filters=FILTERS)
    for wrong in (short, b"", payload[:20], short + b"\0"):
        with pytest.raises(SourceError, match="latent is damaged"):
            decompress(Compressed(header, wrong), decoder)
    huge = Compressed(replace(header, height=2**16, width=2**16), payload)
    with pytest.raises(SourceError, match="can't be of 65536×65536"):
        Compressed.from_bytes(huge.to_bytes())
