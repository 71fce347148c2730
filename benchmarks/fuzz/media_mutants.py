"""Damage to pictures and videos: to bytes, to numbers, and to the parts that a file is made of."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Literal

from media_samples import samples

__all__ = ["PARTS", "Mutator"]

NUMBERS = (0, 1, 2, 7, 8, 255, 256, 4095, 4096, 16000, 32767, 32768, 65535, 65536, 2**24 - 1, 2**28,
           2**31 - 1, 2**31, 2**32 - 1)  # fmt: skip


def _png(content: bytes) -> list[tuple[int, int]]:
    return _chunks(content, 8, ">I", 0, 12)


def _chunks(
    content: bytes, start: int, form: str, length_at: int, extra: int, even: bool = False
) -> list[tuple[int, int]]:
    """Where chunks begin and end that hold their length as a number of four bytes."""
    found, place = [], start
    while place + extra <= len(content):
        (length,) = struct.unpack_from(form, content, place + length_at)
        end = place + extra + length + (length % 2 if even else 0)
        if end > len(content):
            break
        found.append((place, end))
        place = end
    return found


def _riff(content: bytes) -> list[tuple[int, int]]:
    return _chunks(content, 12, "<I", 4, 8, even=True)


_BOX_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"meta", b"iprp", b"ipco",
                b"jp2h"}  # fmt: skip


def _boxes(content: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Boxes of MP4, AVIF, HEIC and JPEG 2000, those inside of others as well."""
    end, place, found = len(content) if end is None else end, start, []
    while place + 8 <= end:
        (length,) = struct.unpack_from(">I", content, place)
        if not 8 <= length <= end - place:
            break
        found.append((place, place + length))
        name = content[place + 4 : place + 8]
        if name in _BOX_PARENTS:
            found += _boxes(content, place + 8 + 4 * (name == b"meta"), place + length)
        place += length
    return found


_EBML_PARENTS = (0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0x114D9B74, 0x4DBB)


def _ebml(content: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Elements of Matroska, those inside of others as well."""
    end, place, found = len(content) if end is None else end, start, []

    def number(at: int, marked: bool) -> tuple[int, int]:
        size = 9 - content[at].bit_length() if content[at] else 9
        value = int.from_bytes(content[at : at + size], "big")
        return (value if marked else value & ((1 << 7 * size) - 1)), at + size

    while place + 2 <= end:
        kind, after = number(place, True)
        if after >= end:
            break
        length, body = number(after, False)
        stop = min(body + length, end)
        found.append((place, stop))
        if kind in _EBML_PARENTS:
            found += _ebml(content, body, stop)
        place = max(stop, body)
    return found


def _segments(content: bytes) -> list[tuple[int, int]]:
    """Segments of JPEG up to the first scan."""
    found, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        (length,) = struct.unpack_from(">H", content, place + 2)
        found.append((place, place + 2 + length))
        if content[place + 1] == 0xDA:
            break
        place += 2 + length
    return found


def _entries(content: bytes) -> list[tuple[int, int]]:
    """Entries of the first directory of TIFF."""
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    return [(place + 2 + 12 * i, place + 14 + 12 * i) for i in range(count)]


def _packets(content: bytes) -> list[tuple[int, int]]:
    return [(place, place + 188) for place in range(0, len(content) - 187, 188)]


def _head(content: bytes) -> list[tuple[int, int]]:
    return [(0, min(54, len(content)))]


PARTS: dict[str, Callable[[bytes], list[tuple[int, int]]]] = {
    "png": _png, "jpg": _segments, "webp": _riff, "tif": _entries, "bmp": _head, "ppm": _head,
    "gif": _head, "tga": _head, "jp2": _boxes, "avif": _boxes, "heic": _boxes,
    "mp4": _boxes, "mov": _boxes, "mkv": _ebml, "webm": _ebml, "avi": _riff, "ts": _packets,
}  # fmt: skip
"""By kind, where the parts of a file begin and end."""


class Mutator:
    """Makes damaged files of one kind.

    Args:
        kind: one of :data:`KINDS`.
        rng: that decides.
    """

    def __init__(self, kind: str, rng: random.Random) -> None:
        self.kind, self.rng = kind, rng
        self.good = [(content, PARTS[kind](content)) for content in samples(kind)]

    def __call__(self) -> bytes:
        """One more damaged file."""
        content, parts = self.rng.choice(self.good)
        data = bytearray(content)
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            change = self.rng.choices(
                (self._bytes, self._number, self._structure), (2, 4, 2 if parts else 0)
            )[0]
            change(data, parts)
        if self.kind == "png" and self.rng.random() < 0.9:
            _mend_png(data)
        return bytes(data)

    def _bytes(self, data: bytearray, _: list[tuple[int, int]]) -> None:
        rng = self.rng
        if not data:
            return
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
            return
        for _turn in range(rng.choice((1, 4, 16))):
            data[rng.randrange(len(data))] = rng.randrange(256)

    def _number(self, data: bytearray, parts: list[tuple[int, int]]) -> None:
        """Replace a number near the beginning of a part: there sizes and counts stand."""
        rng = self.rng
        start, end = rng.choice(parts) if parts else (0, len(data))
        width = rng.choice((1, 2, 2, 4, 4, 8))
        last = min(end, start + 96, len(data)) - width
        if last < start:
            return
        place = rng.randint(start, last)
        order: Literal["big", "little"] = "big" if rng.random() < 0.5 else "little"
        old = int.from_bytes(data[place : place + width], order)
        new = rng.choice(
            (rng.choice(NUMBERS), old + rng.choice((-1, 1)), old * 2, rng.randrange(64))
        )
        data[place : place + width] = (new % 256**width).to_bytes(width, order)
        if self.kind == "ppm" and rng.random() < 0.5:  # numbers are text there
            data[3:5] = str(rng.choice(NUMBERS)).encode()

    def _structure(self, data: bytearray, parts: list[tuple[int, int]]) -> None:
        rng = self.rng
        (one, end), (two, stop) = rng.choice(parts), rng.choice(parts)
        other = bytes(data[two:stop])
        kind = rng.randrange(3)
        if kind == 0:
            del data[one:end]
        elif kind == 1:
            data[end:end] = other * rng.choice((1, 1, 50))
        else:
            data[one:end] = other


def _mend_png(data: bytearray) -> None:
    """Put the checksums of PNG right, so that a damaged chunk is read."""
    for start, end in _png(bytes(data)):
        data[end - 4 : end] = struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))
