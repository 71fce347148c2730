"""Good pictures and videos, small ones, of each format that edgecae reads."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import ExifTags, Image

__all__ = ["IMAGES", "KINDS", "VIDEOS", "samples"]

IMAGES = "png", "jpg", "webp", "tif", "bmp", "ppm", "gif", "tga", "jp2", "avif", "heic"
VIDEOS = "mp4", "mkv", "avi", "ts", "mov", "webm"
KINDS = IMAGES + VIDEOS


def samples(kind: str) -> list[bytes]:
    """Good files of a kind: each of its forms that has code of its own in a decoder."""
    return _pictures(kind) if kind in IMAGES else _videos(kind)


def _pictures(kind: str) -> list[bytes]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 31, 4), np.uint8)
    colour = Image.fromarray(pixels, "RGBA")
    exif = Image.Exif()
    exif[274], exif[305] = 6, "edgecae"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    more: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": bytes(300)}
    xmp = b'<a hdrgm:Version="1"><Container:Directory></Container:Directory></a>'
    blocks = b"8BIM\x04\x04\0\0\0\0\0\x06\x1c\x02\x05\0\x01a"
    segment = b"\xff\xed" + struct.pack(">H", len(blocks) + 16) + b"Photoshop 3.0\0" + blocks
    forms: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "png": [("RGB", more), ("RGBA", {}), ("P", {"transparency": 3}), ("L", {}), ("1", {}),
                ("LA", {"dpi": (72, 72)}), ("I;16", {})],
        "jpg": [("RGB", {**more, "dpi": (72, 72)}), ("RGB", {"progressive": True}), ("L", {}),
                ("RGB", {"subsampling": 2, "restart_marker_rows": 1}),
                ("RGB", {"xmp": xmp, "extra": segment, "comment": "a"})],
        "webp": [("RGB", more), ("RGBA", {"lossless": True}), ("RGBA", {})],
        "tif": [("RGB", {"compression": each}) for each in
                (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
               + [("L", more), ("1", {"compression": "group4"}), ("RGBA", {}), ("I;16", {}),
                  ("RGB", {"tiffinfo": {700: xmp, 34377: blocks}})],
        "bmp": [("RGB", {}), ("P", {}), ("L", {}), ("1", {})],
        "ppm": [("RGB", {}), ("L", {}), ("1", {}), ("I;16", {})],
        "gif": [("P", {}), ("RGBA", {}), ("L", {"save_all": True, "append_images": [colour]})],
        "tga": [("RGB", {}), ("RGBA", {"compression": "tga_rle"}), ("L", {}), ("P", {})],
        "jp2": [("RGB", {}), ("RGBA", {}), ("L", {})],
        "avif": [("RGB", more), ("RGBA", {"xmp": xmp}), ("L", {})],
        "heic": [("RGB", {"exif": more["exif"]}), ("RGBA", {}), ("L", {})],
    }  # fmt: skip
    found = []
    for mode, options in forms[kind]:
        file = io.BytesIO()
        image = (
            colour.convert("L").convert("I").convert(mode) if "I" in mode else colour.convert(mode)
        )
        if kind == "heic":
            import pillow_heif

            pillow_heif.from_pillow(image).save(file, **options)
        else:
            names = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}
            image.save(file, names.get(kind, kind.upper()), **options)
        found.append(file.getvalue())
    return found + _deep(kind)


def _deep(kind: str) -> list[bytes]:
    """Good files of 16 bits a channel, which Pillow does not write."""
    from edgecae.media import images

    if kind not in ("png", "tif", "ppm"):
        return []
    rng = np.random.default_rng(0)
    fine = rng.integers(-128, 129, (20, 31, 3)).astype(np.int16)
    pixels = rng.integers(0, 256, (20, 31, 3), np.uint8)
    file = io.BytesIO()
    name = {"tif": "TIFF"}.get(kind, kind.upper())
    images.write_stream(file, f"a.{kind}", name, images.Picture(pixels, fine=fine))
    return [file.getvalue()]


def _videos(kind: str) -> list[bytes]:
    import av

    codecs = {"webm": ["libvpx-vp9"], "avi": ["mjpeg", "mpeg4"], "ts": ["libx264", "mpeg2video"]}
    found = []
    for codec in codecs.get(kind, ["libx264", "mjpeg"]):
        file = io.BytesIO()
        name = {"mkv": "matroska", "ts": "mpegts"}.get(kind, kind)
        with av.open(file, "w", format=name) as container:
            stream: Any = container.add_stream(codec, rate=30)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for index in range(6):
                pixels = np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        found.append(file.getvalue())
    return found
