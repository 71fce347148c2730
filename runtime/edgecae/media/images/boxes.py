"""What the boxes of AVIF and JPEG 2000 files say of their coding, which Pillow does not tell."""

from __future__ import annotations

import struct
from typing import IO, Any

__all__ = ["avif_coding", "colour_chunks", "jpeg2000_depth", "webp_is_lossless"]

_LOOKED_AT = 2**16
"""Bytes at the start of a file, where its properties are."""


def _start(file: IO[bytes]) -> bytes:
    place = file.tell()
    file.seek(0)
    content = file.read(_LOOKED_AT)
    file.seek(place)
    return content


def avif_coding(file: IO[bytes]) -> tuple[int, dict[str, Any]]:
    """Bits of a channel of an AVIF file, and ``Picture.coding``, by the first box ``av1C``."""
    content = _start(file)
    place = content.find(b"av1C")
    if place < 0 or place + 7 > len(content):
        return 8, {}
    flags = content[place + 6]
    depth = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    across, down = bool(flags & 0x08), bool(flags & 0x04)
    return depth, {"subsampling": "4:2:0" if down else "4:2:2" if across else "4:4:4"}


_USUAL_COLOUR = {(1, 13), (1, 1), (1, 2), (1, 6), (2, 2), (2, 13), (5, 6), (6, 6)}
"""Primaries and transfer of sRGB, of video, and "unknown" (ITU-T H.273): viewers take them for
the same."""


def colour_chunks(file: IO[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """The colour space of an AVIF or HEIC file by its first box ``colr``, as chunks of PNG.

    Returns:
        A chunk cICP where the file has another colour space than usual, such as that of HDR.
    """
    content = _start(file)
    place = content.find(b"colrnclx") + 8
    if place < 8 or place + 4 > len(content):
        return ()
    primaries, transfer = struct.unpack_from(">HH", content, place)
    if (primaries, transfer) in _USUAL_COLOUR or max(primaries, transfer) > 255:
        return ()
    return ((b"cICP", bytes((primaries, transfer, 0, 1))),)  # RGB, of full range


def jpeg2000_depth(file: IO[bytes]) -> int:
    """Bits of the first channel of a JPEG 2000 file, by its marker SIZ."""
    content = _start(file)
    place = content.find(b"\xff\x4f\xff\x51")
    if place < 0 or place + 42 >= len(content):
        return 8
    return (content[place + 42] & 0x7F) + 1


def webp_is_lossless(file: IO[bytes]) -> bool:
    """Whether the picture of a WebP file is coded without loss: its chunk is ``VP8L``."""
    place = file.tell()
    file.seek(12)
    try:
        for _ in range(64):
            head = file.read(8)
            if len(head) < 8 or head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
        return False
    finally:
        file.seek(place)
