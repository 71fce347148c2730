"""What belongs to a picture: kept where the format of the result can hold it, else named."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, IptcImagePlugin, PngImagePlugin

from edgecae import Denoiser
from edgecae.media import images
from edgecae.stream import batch

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
IPTC = b"\x1c\x02\x05\x00\x05title\x1c\x02\x50\x00\x02me"
BLOCKS = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="kept"/></x:xmpmeta>'
MAKER_NOTE = bytes(range(64))


@pytest.fixture(autouse=True)
def _logs() -> None:
    logging.getLogger("edgecae").propagate = True


def camera_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "a camera"
    exif[ExifTags.Base.Artist] = "Jörg"
    exif[ExifTags.Base.Orientation] = orientation
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.ISOSpeedRatings] = 3200
    inner[ExifTags.Base.ExposureTime] = 0.01
    inner[ExifTags.Base.DateTimeOriginal] = "2024:01:02 03:04:05"
    inner[ExifTags.Base.MakerNote] = MAKER_NOTE
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef] = "N"
    gps[ExifTags.GPS.GPSLatitude] = (52.0, 30.0, 15.5)
    return exif


def assert_camera_exif(path: Path) -> None:
    with Image.open(path) as image:
        exif = image.getexif()
        assert exif[ExifTags.Base.Model] == "a camera"
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        assert inner[ExifTags.Base.ISOSpeedRatings] == 3200
        assert float(inner[ExifTags.Base.ExposureTime]) == 0.01
        assert inner[ExifTags.Base.DateTimeOriginal] == "2024:01:02 03:04:05"
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        assert gps[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert tuple(map(float, gps[ExifTags.GPS.GPSLatitude])) == (52.0, 30.0, 15.5)


def denoise(source: Path, target: Path, denoiser: Denoiser) -> None:
    jobs = batch.plan_batch([source], target)
    assert batch.run_batch(jobs, denoiser, overwrite=True).done == 1


@pytest.fixture
def wide(photo: np.ndarray) -> Image.Image:
    """A picture that shows how it lies: 48×32, white at its top, black at its left."""
    pixels = np.full((32, 48, 3), 128, np.uint8)
    pixels[:8], pixels[:, :8] = 255, 0
    return Image.fromarray(pixels)


EXIF_SUFFIXES = [".jpg", ".png", ".webp", ".tif", ".avif"]


@pytest.mark.parametrize("target", EXIF_SUFFIXES)
@pytest.mark.parametrize("source", EXIF_SUFFIXES)
def test_exif_and_gps_go_into_every_format_that_has_them(
    source: str, target: str, wide: Image.Image, denoiser: Denoiser, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    wide.save(tmp_path / f"in{source}", exif=camera_exif().tobytes(), icc_profile=PROFILE)
    denoise(tmp_path / f"in{source}", tmp_path / f"out{target}", denoiser)
    assert_camera_exif(tmp_path / f"out{target}")
    with Image.open(tmp_path / f"out{target}") as image:
        assert image.info["icc_profile"] == PROFILE
    assert "left out" not in caplog.text


def test_text_that_is_not_ascii_survives(
    wide: Image.Image, denoiser: Denoiser, tmp_path: Path
) -> None:
    wide.save(
        tmp_path / "in.jpg", exif=camera_exif().tobytes().replace(b"J?rg", "Jörg".encode("latin-1"))
    )
    for source, target in (("in.jpg", "a.tif"), ("a.tif", "b.tif"), ("b.tif", "c.jpg")):
        denoise(tmp_path / source, tmp_path / target, denoiser)
        with Image.open(tmp_path / target) as image:
            assert image.getexif()[ExifTags.Base.Artist] == "Jörg"


def test_a_makers_notes_stay_where_they_lie(
    wide: Image.Image, denoiser: Denoiser, tmp_path: Path
) -> None:
    """They refer to places in the EXIF data."""
    data = camera_exif(6).tobytes()
    wide.save(tmp_path / "in.jpg", exif=data)
    denoise(tmp_path / "in.jpg", tmp_path / "out.jpg", denoiser)
    denoise(tmp_path / "in.jpg", tmp_path / "out.png", denoiser)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.info["exif"] == data
    with Image.open(tmp_path / "out.png") as image:
        upright = image.info["exif"]
    assert upright.index(MAKER_NOTE) == data.index(MAKER_NOTE)
    assert len(upright) == len(data)


@pytest.mark.parametrize("target", [*EXIF_SUFFIXES, ".bmp", ".ppm"])
@pytest.mark.parametrize("source", EXIF_SUFFIXES)
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_picture_lies_the_same_way(
    source: str, target: str, orientation: int, wide: Image.Image, tmp_path: Path
) -> None:
    """To every viewer where the format changes: also to those that know no orientation."""
    path, result = tmp_path / f"in{source}", tmp_path / f"out{target}"
    wide.save(
        path,
        exif=camera_exif(orientation).tobytes(),
        **({"quality": 95} if source != ".tif" else {}),
    )
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    images.write(result, images.read(path))
    with Image.open(result) as image:
        if source != target:
            assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        got = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < 3


def test_xmp_says_upright_too(wide: Image.Image, tmp_path: Path) -> None:
    xmp = XMP.replace(b'b="kept"', b'tiff:Orientation="6"')
    wide.save(tmp_path / "in.jpg", exif=camera_exif(6), xmp=xmp)
    images.write(tmp_path / "out.png", images.read(tmp_path / "in.jpg"))
    with Image.open(tmp_path / "out.png") as image:
        assert b'tiff:Orientation="1"' in image.info["xmp"]


# IPTC, XMP, text, gamma


def save_with(path: Path, picture: Image.Image, **more: Any) -> None:
    """With IPTC and XMP where the format has them."""
    if path.suffix == ".jpg":
        head = b"Photoshop 3.0\0" + BLOCKS
        more["extra"] = b"\xff\xed" + struct.pack(">H", len(head) + 2) + head
        more["xmp"] = XMP
        more["comment"] = b"a comment"
    elif path.suffix == ".tif":
        more["tiffinfo"] = {700: XMP, 33723: IPTC, 34377: BLOCKS}
    elif path.suffix == ".png":
        more["pnginfo"] = PngImagePlugin.PngInfo()
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
        more["pnginfo"].add_text("Title", "a title")
        more["pnginfo"].add_itxt("Author", "Jörg", "de", "Urheber")
        more["pnginfo"].add(b"gAMA", struct.pack(">I", 100_000))
    else:
        more["xmp"] = XMP
    picture.save(path, **more)


@pytest.mark.parametrize(
    ("source", "target", "lost"),
    [
        (".jpg", ".jpg", ""),
        (".tif", ".tif", ""),
        (".png", ".png", ""),
        (".webp", ".webp", ""),
        (".avif", ".avif", ""),
        (".tif", ".jpg", ""),
        (".jpg", ".tif", "comment"),
        (".jpg", ".png", "IPTC and Photoshop data, comment"),
        (".tif", ".webp", "IPTC and Photoshop data"),
        (".png", ".jpg", "PNG text, gamma"),
        (".png", ".webp", "PNG text, gamma"),
        (".png", ".bmp", "XMP, PNG text, gamma"),
        (".jpg", ".ppm", "XMP, IPTC and Photoshop data, comment"),
    ],
)
def test_what_is_kept_and_what_is_named(
    source: str, target: str, lost: str, wide: Image.Image, denoiser: Denoiser, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    save_with(tmp_path / f"in{source}", wide)
    path = tmp_path / f"out{target}"
    denoise(tmp_path / f"in{source}", path, denoiser)
    assert caplog.text.count("left out") == bool(lost)
    assert not lost or f"{path}: left out: {lost}\n" in caplog.text
    with Image.open(path) as image:
        image.load()
        if "XMP" not in lost and target != ".bmp":
            assert image.info["xmp"] == XMP
        if target in (".jpg", ".tif") and source in (".jpg", ".tif"):
            records = IptcImagePlugin.getiptcinfo(image)
            assert records == {(2, 5): b"title", (2, 80): b"me"}
        if (source, target) == (".jpg", ".jpg"):
            assert image.info["comment"] == b"a comment"
        if (source, target) == (".png", ".png"):
            assert image.text["Title"] == "a title"
            assert (image.text["Author"], image.text["Author"].tkey) == ("Jörg", "Urheber")
            assert image.info["gamma"] == 1.0


def test_text_behind_the_pixels_is_kept(wide: Image.Image, tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "before")
    wide.save(tmp_path / "in.png", pnginfo=info)
    content = (tmp_path / "in.png").read_bytes()
    chunk = b"tEXtSoftware\0behind"
    late = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "in.png").write_bytes(content[:-12] + late + content[-12:])
    images.write(tmp_path / "out.png", images.read(tmp_path / "in.png"))
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert image.text == {"Comment": "before", "Software": "behind"}


def test_exif_that_jpeg_has_no_room_for_is_named(
    wide: Image.Image, denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = camera_exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(70_000)
    wide.save(tmp_path / "in.png", exif=exif)
    denoise(tmp_path / "in.png", tmp_path / "out.jpg", denoiser)
    assert "left out: EXIF (more than JPEG holds)" in caplog.text


# Several pictures in a file


def test_the_main_picture_of_several_is_denoised(
    denoiser: Denoiser, photo: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    main, other = (Image.fromarray(photo[top : top + 64, :96]) for top in (0, 40))
    main.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[other, other],
              exif=camera_exif(6), icc_profile=PROFILE)  # fmt: skip
    denoise(tmp_path / "in.jpg", tmp_path / "out.jpg", denoiser)
    assert f"{tmp_path / 'out.jpg'}: left out: 2 further pictures\n" in caplog.text
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.format == "JPEG"
        assert getattr(image, "n_frames", 1) == 1
        assert "mp" not in image.info
        assert image.getexif()[ExifTags.Base.Orientation] == 6
        got = np.array(image)
    with Image.open(tmp_path / "in.jpg") as image:
        expected = denoiser.process(np.array(image))
    assert np.abs(got.astype(int) - expected).mean() < 3
    assert_camera_exif(tmp_path / "out.jpg")


GAIN_MAP_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description hdrgm:Version="1.0" b="kept"'
    b" hdrgm:GainMapMax='2.3' GCamera:MotionPhoto=\"1\">"
    b'<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Semantic="GainMap"'
    b' Item:Length="99"/></rdf:li></rdf:Seq></Container:Directory>'
    b"<hdrgm:OffsetHDR>3</hdrgm:OffsetHDR></rdf:Description></x:xmpmeta>"
)


def test_metadata_that_speak_of_a_gain_map_go_with_it(
    photo: np.ndarray, denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A viewer would look for it, and light up what is not there."""
    main = Image.fromarray(photo[:64, :96])
    iso = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
    extra = b"\xff\xe2" + struct.pack(">H", len(iso) + 2) + iso
    main.save(tmp_path / "main.jpg", xmp=GAIN_MAP_XMP, extra=extra)
    gain = io.BytesIO()
    main.convert("L").save(gain, "JPEG")
    content = (tmp_path / "main.jpg").read_bytes() + gain.getvalue()
    (tmp_path / "in.jpg").write_bytes(content)
    denoise(tmp_path / "in.jpg", tmp_path / "out.jpg", denoiser)
    assert "left out: gain map, the video of a motion photo" in caplog.text
    written = (tmp_path / "out.jpg").read_bytes()
    assert b'b="kept"' in written
    for gone in (b"hdrgm:", b"GainMap", b"MotionPhoto", b"Container:", b"21496"):
        assert gone not in written


def test_smaller_copies_in_a_tiff_are_named_and_pages_are_refused(
    photo: np.ndarray, denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from edgecae.errors import SourceError

    main = Image.fromarray(photo[:64, :96])
    small = main.resize((24, 16))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    main.save(tmp_path / "in.tif", save_all=True, append_images=[small])
    denoise(tmp_path / "in.tif", tmp_path / "out.tif", denoiser)
    assert "left out: smaller copies of the picture" in caplog.text
    main.save(tmp_path / "pages.tif", save_all=True, append_images=[main])
    with pytest.raises(SourceError, match="several pictures"):
        images.read(tmp_path / "pages.tif")


@pytest.mark.parametrize(
    "part", [b"<hdrgm:a>", b' hdrgm:a="', b"<aCamera:MotionPhoto ", b" aCamera"]
)
def test_xmp_that_is_never_closed_takes_no_time(part: bytes, tmp_path: Path) -> None:
    import time

    xmp = (b'hdrgm:b="' + part * 8000)[:65_000]
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", xmp=xmp)
    start = time.process_time()
    assert images.read(tmp_path / "a.jpg").left_out == ("gain map",)
    assert time.process_time() - start < 2


def test_the_colour_space_of_hdr_is_kept_or_named(
    wide: Image.Image, denoiser: Denoiser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else PQ is shown as if it were sRGB."""
    wide.save(tmp_path / "in.avif")
    content = (tmp_path / "in.avif").read_bytes()
    place = content.index(b"colrnclx") + 8
    assert images.read(tmp_path / "in.avif").info == {}
    changed = content[:place] + struct.pack(">HH", 9, 16) + content[place + 4 :]
    (tmp_path / "in.avif").write_bytes(changed)
    denoise(tmp_path / "in.avif", tmp_path / "out.png", denoiser)
    assert "left out" not in caplog.text
    assert b"cICP\x09\x10\x00\x01" in (tmp_path / "out.png").read_bytes()
    denoise(tmp_path / "out.png", tmp_path / "again.png", denoiser)
    assert b"cICP\x09\x10\x00\x01" in (tmp_path / "again.png").read_bytes()
    denoise(tmp_path / "in.avif", tmp_path / "out.jpg", denoiser)
    assert "out.jpg: left out: colour space (cICP)\n" in caplog.text
