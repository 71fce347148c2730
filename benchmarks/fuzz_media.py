"""Damage pictures and videos at random and see whether reading them can do harm.

    python benchmarks/fuzz_media.py --mutants 20000 [--seed 0] [--keep FOLDER] [--jobs 2]

Pictures in each format that edgecae reads, and videos in six containers, are made small and then
damaged: bytes at random, and with knowledge of the format. Fields that hold a size, a count or an
offset get other numbers (chunks of PNG, segments of JPEG, entries of TIFF, boxes of MP4, elements
of Matroska, chunks of RIFF, packets of MPEG-TS), checksums of PNG are put right, chunks are
removed, repeated and exchanged.

Each mutant is read by a child process with bounded memory and time, as ``edgecae denoise`` reads
it; a picture is also written again, with all that belongs to it. It may be decoded, or refused with
an error of edgecae in one line. Everything else is a fault: another exception, an error of several
lines, a signal, too much memory, no end.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image

__all__ = ["KINDS", "Mutator", "Reader", "fuzz", "samples"]

MAX_SECONDS = 20.0
"""For a mutant."""

MAX_MEMORY = 3 * 2**30
"""Address space of a process that reads mutants; an idle one takes 0.6 GiB."""

MAX_PIXELS = 16_000_000
"""The limit of pixels that mutants are read with."""

MAX_GROWTH = 8 * MAX_PIXELS + 200_000_000
"""Bytes of resident memory that reading may take beside what an idle process has: two pictures of
four bytes a pixel, and what else the limit allows."""

IMAGES = "png", "jpg", "webp", "tif", "bmp", "ppm", "gif", "tga", "jp2", "avif", "heic"
VIDEOS = "mp4", "mkv", "avi", "ts", "mov", "webm"
KINDS = IMAGES + VIDEOS

NUMBERS = (0, 1, 2, 7, 8, 255, 256, 4095, 4096, 16000, 32767, 32768, 65535, 65536, 2**24 - 1, 2**28,
           2**31 - 1, 2**31, 2**32 - 1)  # fmt: skip


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


class Reader:
    """A process that reads mutants, and a new one when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, kind: str, content: bytes) -> str:
        """Read one: ``decoded``, ``refused`` or what the fault is."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(struct.pack("<4sI", kind.encode(), len(content)) + content)
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], MAX_SECONDS)
            answer = process.stdout.readline().decode().strip() if ready else "no end"
        except BrokenPipeError:
            answer = ""
        if answer in ("decoded", "refused"):
            return answer
        self.close()
        if answer:
            return answer
        code = process.returncode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            try:
                self._process.wait(0.5)  # one that died has a status to tell
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._process.communicate()
            self._process = None


def _resident() -> int:
    """Bytes of the largest resident memory since it was last reset, and reset it."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _work() -> None:
    """Read the mutants that come in on standard input, and say of each what became of it."""
    import av

    from edgecae.errors import EdgecaeError
    from edgecae.media import images
    from edgecae.media.sources.video_file import VideoFile

    av.logging.set_level(None)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        while head := sys.stdin.buffer.read(8):
            name, length = struct.unpack("<4sI", head)
            kind = name.rstrip(b"\0").decode()
            path = Path(folder, f"a.{kind}")
            path.write_bytes(sys.stdin.buffer.read(length))
            before = _resident()
            try:
                if kind in IMAGES:
                    picture = images.read(path, MAX_PIXELS)
                    written = kind if f".{kind}" in images.WRITTEN_SUFFIXES else "png"
                    images.write(Path(folder, f"b.{written}"), picture, durable=False)
                else:
                    with VideoFile(path, max_pixels=MAX_PIXELS) as source:
                        for frame in source:
                            source._buffers.give(frame.pixels)
                answer = "decoded"
            except EdgecaeError as error:
                answer = "several lines" if "\n" in str(error) else "refused"
            except Exception as error:
                answer = f"exception {type(error).__name__}"
            grown = _resident() - before
            if grown > MAX_GROWTH:
                answer = f"memory of {grown // 2**20} MiB"
            print(answer, flush=True)


def fuzz(
    mutants: int, seed: int, keep: Path | None = None, jobs: int = 1
) -> dict[str, dict[str, Any]]:
    """Make mutants of each kind in turn and count what becomes of them.

    Args:
        mutants: how many.
        seed: of everything random.
        keep: a folder for those that are faults.
        jobs: how many processes read at the same time.

    Returns:
        By kind: ``decoded``, ``refused``, ``faults`` (what kind, and how often), ``slowest_ms``.
    """
    rng = random.Random(seed)
    mutators = [Mutator(kind, rng) for kind in KINDS]
    results = {kind: Counter[str]() for kind in KINDS}
    slowest = dict.fromkeys(KINDS, 0.0)
    idle = [Reader() for _ in range(jobs)]

    def read(task: tuple[int, str, bytes]) -> None:
        number, kind, content = task
        reader = idle.pop()
        start = time.monotonic()
        try:
            answer = reader(kind, content)
        finally:
            idle.append(reader)
        results[kind][answer] += 1
        slowest[kind] = max(slowest[kind], time.monotonic() - start)
        if answer not in ("decoded", "refused") and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{seed}-{number}.{kind}").write_bytes(content)

    def tasks() -> Iterator[tuple[int, str, bytes]]:
        for number in range(mutants):
            mutator = mutators[number % len(mutators)]
            yield number, mutator.kind, mutator()

    try:
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(read, tasks()):
                pass
    finally:
        for reader in idle:
            reader.close()
    return {
        kind: {
            "decoded": results[kind].pop("decoded", 0),
            "refused": results[kind].pop("refused", 0),
            "faults": dict(results[kind]),
            "slowest_ms": round(1000 * slowest[kind]),
        }
        for kind in KINDS
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes that read")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that are faults")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        _work()
    else:
        found = fuzz(asked.mutants, asked.seed, asked.keep, asked.jobs)
        print(json.dumps(found, indent=1))
        sys.exit(any(each["faults"] for each in found.values()))
