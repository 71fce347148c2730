"""Image files as people have them: which are read, what becomes of those that are not."""

from __future__ import annotations

import importlib.util
import io
import logging
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from memory import PEAK
from PIL import Image, JpegImagePlugin

from edgecae import Denoiser, noise
from edgecae.denoise.still import denoise_still
from edgecae.errors import SettingError, SinkError, SourceError
from edgecae.media import images, sources
from edgecae.stream import batch

HEIF = importlib.util.find_spec("pillow_heif") is not None


@pytest.fixture(autouse=True)
def _logs() -> None:
    logging.getLogger("edgecae").propagate = True


def run(source: Path, target: Path, denoiser: Denoiser, **options) -> batch.Outcome:
    return batch.run_batch(batch.plan_batch([source], target), denoiser, **options)


@pytest.mark.parametrize(
    ("suffix", "kind", "options"),
    [
        (".jfif", "JPEG", {"quality": 95, "subsampling": 0}),
        (".jpe", "JPEG", {"quality": 95, "subsampling": 0}),
        (".mpo", "JPEG", {"quality": 95, "subsampling": 0}),
        (".gif", "GIF", {}),
        (".tga", "TGA", {"compression": "tga_rle"}),
        (".jp2", "JPEG2000", {}),
        (".j2k", "JPEG2000", {}),
        (".avif", "AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        (".pnm", "PPM", {}),
    ],
)
def test_what_pillow_reads_is_read(
    suffix: str, kind: str, options: dict, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"in{suffix}"
    Image.fromarray(photo[:64, :96]).save(path, kind, **options)
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    picture = images.read(path)
    assert picture.left_out == ()
    np.testing.assert_array_equal(picture.pixels, expected)
    run(path, tmp_path / "out.png", denoiser)
    np.testing.assert_array_equal(
        images.read(tmp_path / "out.png").pixels, denoiser.process(expected)
    )


@pytest.mark.parametrize("suffix", [".gif", ".tga", ".jp2", ".avif"])
def test_transparency_is_read(suffix: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (16, 16), (200, 100, 50, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 8, 16))
    picture.save(tmp_path / f"in{suffix}")
    alpha = images.read(tmp_path / f"in{suffix}").alpha
    assert alpha is not None
    assert (alpha[:, :7] < 8).all()
    assert (alpha[:, 9:] > 247).all()


def test_a_name_says_nothing_but_of_tga(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 16), (200, 100, 50))
    for kind in ("PNG", "JPEG", "GIF", "AVIF", "JPEG2000", "WEBP"):
        picture.save(tmp_path / "in.tga", kind)
        assert images.read(tmp_path / "in.tga").kind == kind


def test_of_an_animated_gif_the_first_picture(
    denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, *rest = (Image.new("L", (16, 16), level) for level in (50, 100, 150))
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest)
    run(tmp_path / "in.gif", tmp_path / "out.png", denoiser)
    assert "out.png: left out: all pictures but the first" in caplog.text


@pytest.mark.skipif(not HEIF, reason="pillow-heif is not installed")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_heic_is_read(mode: str, photo: np.ndarray, denoiser: Denoiser, tmp_path: Path) -> None:
    import pillow_heif

    exif = Image.Exif()
    exif[272], exif[274] = "a phone", 6
    image = Image.fromarray(photo[:64, :96]).convert(mode)
    file = pillow_heif.from_pillow(image)
    file.save(tmp_path / "in.heic", quality=-1, chroma=444, exif=exif.tobytes())
    picture = images.read(tmp_path / "in.heic")
    assert picture.kind == "HEIF"
    expected = np.array(pillow_heif.open_heif(tmp_path / "in.heic").to_pillow())
    got = picture.rows(0, 999)
    np.testing.assert_array_equal(got.squeeze(), expected)
    result = tmp_path / ("out.png" if mode == "RGBA" else "out.jpg")
    run(tmp_path / "in.heic", result, denoiser)
    with Image.open(result) as opened:
        assert opened.getexif()[272] == "a phone"
        assert opened.getexif().get(274, 1) == 1
        assert opened.size == picture.pixels.shape[1::-1]


@pytest.mark.skipif(not HEIF, reason="pillow-heif is not installed")
def test_heic_of_10_bits_keeps_them(tmp_path: Path) -> None:
    import pillow_heif

    values = np.linspace(0, 65535, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint16)
    file = pillow_heif.from_bytes("RGB;16", (96, 64), values.tobytes())
    file.save(tmp_path / "in.heic", quality=-1, chroma=444)
    picture = images.read(tmp_path / "in.heic")
    assert picture.fine is not None
    got = picture.rows(0, 64).astype(int)
    assert np.abs(got - values).max() < 2 * 65535 / 1023  # and a colour transform
    assert got.max() > 65000


def test_heic_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    with pytest.raises(SourceError, match=r"pip install 'edgecae\[heif\]'"):
        images.read(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jxl", b"\xff\x0a" + bytes(40), "a JPEG XL picture: convert it first"),
        ("a.jpg", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "a JPEG XL picture: convert it first"),
        ("a.CR2", b"II*\0\x10\0\0\0CR\x02\0", "a camera's raw picture: convert it first"),
        ("a.nef", b"II*\0\x10\0\0\0" + bytes(40), "with a raw converter"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera's raw picture"),
        ("a.svg", b'<?xml version="1.0"?><svg/>', "an SVG drawing: convert it first"),
        ("a.psd", b"8BPS\0\1", "a Photoshop file: convert it first"),
        ("a.jpg", b"\x76\x2f\x31\x01\2\0\0\0", "an OpenEXR picture: convert it first"),
    ],
)
def test_others_are_to_be_converted_first(
    name: str, content: bytes, message: str, denoiser: Denoiser, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"{name} is .*{message}"):
        run(path, tmp_path / "out.png", denoiser)
    with pytest.raises(SourceError, match=message):
        list(sources.open_source(str(path)))


def test_the_preview_of_a_dng_is_not_taken_for_it(tmp_path: Path) -> None:
    for name in ("a.dng", "a.tif"):
        Image.new("RGB", (16, 16)).save(tmp_path / name, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
        with pytest.raises(SourceError, match="a camera's raw picture"):
            images.read(tmp_path / name)


@pytest.mark.parametrize("name", ["x.tga", "x.jp2", "x.heic", "x.jxl", "x.dng"])
def test_a_format_that_is_not_written_is_refused_before_the_work(
    name: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(SinkError, match=r"x\.\w+: images are written as \.avif, \.bmp"):
        batch.plan_batch([photos / "face.png"], tmp_path / name)


def test_what_is_not_written_becomes_png_in_a_folder(
    denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    picture = Image.fromarray(photo[:32, :32])
    for name in ("a.tga", "b.jp2", "b.png", "c.jfif", "d.avif"):
        picture.save(tmp_path / "in" / name)
    assert run(tmp_path / "in", tmp_path / "out", denoiser).done == 5
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a.png", "b.jp2.png", "b.png", "c.jfif", "d.avif"}


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".ppm", "PPM")])
def test_transparency_where_there_is_none(
    suffix: str, kind: str, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    """It is refused, unless the picture is opaque all over."""
    picture = Image.fromarray(photo[:32, :32]).convert("RGBA")
    picture.save(tmp_path / "opaque.png")
    run(tmp_path / "opaque.png", tmp_path / f"out{suffix}", denoiser)
    with Image.open(tmp_path / f"out{suffix}") as result:
        assert result.mode == "RGB"
    picture.putpixel((3, 4), (1, 2, 3, 254))
    picture.save(tmp_path / "in.png")
    with pytest.raises(SinkError, match=f"{kind} has no transparency; write PNG"):
        run(tmp_path / "in.png", tmp_path / f"x{suffix}", denoiser)


def test_depth_that_pillow_does_not_decode_is_said(tmp_path: Path) -> None:
    """AVIF of 10 bits and JPEG 2000 of 16, by what their headers say."""
    Image.new("RGB", (16, 16)).save(tmp_path / "a.avif", subsampling="4:2:2")
    content = bytearray((tmp_path / "a.avif").read_bytes())
    assert images.read(tmp_path / "a.avif").coding == {"subsampling": "4:2:2"}
    content[content.index(b"av1C") + 6] |= 0x40
    (tmp_path / "a.avif").write_bytes(content)
    from edgecae.media.images import boxes

    assert boxes.avif_coding(io.BytesIO(content))[0] == 10
    Image.new("RGB", (16, 16)).save(tmp_path / "a.j2k", "JPEG2000")
    assert boxes.jpeg2000_depth(io.BytesIO((tmp_path / "a.j2k").read_bytes())) == 8


def test_avif_is_written_as_far_as_its_encoder_has_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecae.media.images import writing

    monkeypatch.setattr(writing, "MAX_AVIF_PIXELS", 1000)
    picture = images.Picture(np.zeros((25, 40, 3), np.uint8))
    images.write(tmp_path / "a.avif", picture)
    with pytest.raises(SinkError, match="41×25 is more than 1,000 pixels"):
        images.write(tmp_path / "b.avif", images.Picture(np.zeros((25, 41), np.uint8)))
    assert not (tmp_path / "b.avif").exists()


# Files that need nothing, and how the others are encoded


@pytest.fixture
def clean(photo: np.ndarray) -> Image.Image:
    """A picture without any noise."""
    ramp = np.linspace(40, 200, 96, dtype=np.uint8)
    return Image.fromarray(np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 60, "progressive": True}),
        ("a.jfif", {"quality": 90}),
        ("a.png", {}),
        ("a.webp", {"quality": 50}),
        ("a.avif", {}),
        ("a.tif", {}),
    ],
)
def test_a_clean_file_comes_back_byte_for_byte(
    name: str, options: dict, clean: Image.Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also several pictures in one file: nothing is left out."""
    clean.save(tmp_path / name, {"a.jfif": "JPEG"}.get(name), **options)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).chmod(0o640)
    with Denoiser("nano", strength=None) as denoiser:
        run(tmp_path / name, tmp_path / "out" / name, denoiser)
    assert (tmp_path / "out" / name).read_bytes() == content
    assert (tmp_path / "out" / name).stat().st_mode & 0o777 == 0o640
    assert "left out" not in caplog.text


def test_a_clean_file_with_several_pictures_keeps_them(
    clean: Image.Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[clean])
    with Denoiser("nano", strength=None) as denoiser:
        run(tmp_path / "a.jpg", tmp_path / "b.jpg", denoiser)
        assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()
        assert "left out" not in caplog.text
        # Another format, or a quality that was asked for: it is encoded.
        run(tmp_path / "a.jpg", tmp_path / "b.png", denoiser)
        assert "left out: 1 further picture\n" in caplog.text
        run(tmp_path / "a.jpg", tmp_path / "c.jpg", denoiser, coding=images.Coding(quality=30))
    assert (tmp_path / "c.jpg").stat().st_size < (tmp_path / "b.jpg").stat().st_size / 2


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_subsampling_stays_unless_told(
    subsampling: int, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "in.jpg", subsampling=subsampling)
    run(tmp_path / "in.jpg", tmp_path / "out.jpg", denoiser)
    told = images.Coding(subsampling="4:2:0")
    run(tmp_path / "in.jpg", tmp_path / "told.jpg", denoiser, coding=told)
    for name, expected in (("out.jpg", subsampling), ("told.jpg", 2)):
        with Image.open(tmp_path / name) as image:
            assert JpegImagePlugin.get_sampling(image) == expected


def test_quality_is_that_of_the_encoder(
    denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "in.png")
    for suffix in (".jpg", ".webp", ".avif"):
        target = tmp_path / f"out{suffix}"
        run(tmp_path / "in.png", target, denoiser, coding=images.Coding(quality=70))
        small = target.stat().st_size
        run(tmp_path / "in.png", target, denoiser, overwrite=True)
        assert small < target.stat().st_size / 1.5
    run(tmp_path / "in.png", tmp_path / "q.jpg", denoiser, coding=images.Coding(quality=70))
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=70)
    with Image.open(tmp_path / "q.jpg") as image, Image.open(file) as expected:
        assert image.quantization == expected.quantization
    for wrong in ({"quality": 0}, {"quality": 101}, {"subsampling": "4:1:1"}):
        with pytest.raises(SettingError):
            images.Coding(**wrong)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_without_loss_stays_so(
    lossless: bool, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(photo).save(tmp_path / "in.webp", lossless=lossless, exif=b"Exif\0\0II*\0")
    run(tmp_path / "in.webp", tmp_path / "out.webp", denoiser)
    pixels = images.read(tmp_path / "in.webp").pixels
    exact = (images.read(tmp_path / "out.webp").pixels == denoiser.process(pixels)).all()
    assert exact == lossless


# Transparent edges


@pytest.mark.parametrize("gray", [False, True])
def test_colours_under_transparency_count_for_nothing(
    gray: bool, denoiser: Denoiser, photo: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    pixels = noise.gaussian(10).add(photo[:96, :128], rng)
    pixels = pixels[..., 0].copy() if gray else pixels
    rows, columns = np.mgrid[:96, :128]
    alpha = np.where(np.hypot(rows - 40, columns - 60) < 30, 255, 0).astype(np.uint8)
    alpha[5, 100], alpha[90, 3] = 1, 255
    results = []
    for colour in (0, 255, 90):
        hidden = pixels.copy()
        hidden[alpha == 0] = colour
        result = denoise_still(images.Picture(hidden, alpha.copy()), denoiser).pixels
        assert (result[alpha == 0] == colour).all()
        results.append(result[alpha > 0])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    # As good as where there is no edge at all.
    whole = denoiser.process(pixels)[alpha > 0].astype(int)
    clean = (photo[:96, :128, 0] if gray else photo[:96, :128])[alpha > 0].astype(int)
    errors = [np.mean((each.astype(int) - clean) ** 2) for each in (results[0], whole)]
    assert errors[0] < 1.1 * errors[1]


def test_transparency_hides_no_noise(photo: np.ndarray) -> None:
    """``auto`` estimates that of what is seen: flat colours beside it would be none."""
    pixels = noise.gaussian(10).add(photo, np.random.default_rng(0))
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    alpha[40:90, 30:120] = 255
    pixels[alpha == 0] = 0
    with Denoiser("nano", strength=None) as denoiser:
        denoise_still(images.Picture(pixels, alpha), denoiser)
        assert denoiser.noise is not None
        assert 7 < denoiser.noise < 13


def test_a_picture_that_nobody_sees_stays(denoiser: Denoiser) -> None:
    pixels = np.full((32, 32, 3), 77, np.uint8)
    picture = images.Picture(pixels.copy(), np.zeros((32, 32), np.uint8))
    assert (denoise_still(picture, denoiser).pixels == 77).all()


# Large pictures


@pytest.mark.slow
@pytest.mark.parametrize("megapixels", [108, 200])
def test_pictures_of_phones_are_denoised(megapixels: int, tmp_path: Path) -> None:
    """Without a warning, in two decoded pictures and 300 MB, also where an EXIF orientation and a
    change of format turn them."""
    width, height = {108: (12000, 9000), 200: (16320, 12240)}[megapixels]
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (width, height), (90, 120, 60)).save(tmp_path / "in.jpg", exif=exif)
    code = PEAK + (
        "import sys\n"
        "from edgecae.commands.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "print(peak())"
    )
    arguments = ["denoise", tmp_path / "in.jpg", "-o", tmp_path / "out.bmp", "--model", "nano"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments), "--strength", "0"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < (2 * 4 * width * height + 300e6) / 1000, "kB"
    with (tmp_path / "out.bmp").open("rb") as file:
        assert struct.unpack("<ii", file.read(26)[18:]) == (height, width)


# Streams


def test_a_stream_of_pictures_says_what_it_leaves_out(
    photo: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Image.fromarray(photo[:32, :32])
    (tmp_path / "in").mkdir()
    first.save(tmp_path / "in" / "a.gif", save_all=True, append_images=[first.rotate(90)])
    picture = first.convert("RGBA")
    picture.paste((255, 0, 0, 0), (0, 0, 16, 32))
    picture.save(tmp_path / "in" / "b.png")
    with sources.open_source(str(tmp_path / "in")) as source:
        _, frame = source
    assert "a.gif: left out: all pictures but the first" in caplog.text
    assert not (frame.pixels[:, :16] == (255, 0, 0)).all(axis=2).any()  # nobody sees it
    np.testing.assert_array_equal(frame.pixels[:, 16:], photo[:32, 16:32])
