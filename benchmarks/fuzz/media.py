"""Damage pictures and videos at random and see whether reading them can do harm.

    python benchmarks/fuzz/media.py --mutants 20000 [--seed 0] [--keep FOLDER] [--jobs 2]

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
import json
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from child import Child
from media_mutants import Mutator
from media_samples import IMAGES, KINDS

__all__ = ["MAX_SECONDS", "fuzz", "message"]

MAX_SECONDS = 20.0
"""For a mutant."""

MAX_MEMORY = 3 * 2**30
"""Address space of a process that reads mutants; an idle one takes 0.6 GiB."""

MAX_PIXELS = 16_000_000
"""The limit of pixels that mutants are read with."""

MAX_GROWTH = 8 * MAX_PIXELS + 200_000_000
"""Bytes of resident memory that reading may take beside what an idle process has: two pictures of
four bytes a pixel, and what else the limit allows."""


def message(kind: str, content: bytes) -> bytes:
    """What a child gets to read; it answers ``decoded``, ``refused`` or what the fault is."""
    return struct.pack("<4sI", kind.encode(), len(content)) + content


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
    idle = [Child(__file__, MAX_SECONDS) for _ in range(jobs)]

    def read(task: tuple[int, str, bytes]) -> None:
        number, kind, content = task
        reader = idle.pop()
        start = time.monotonic()
        try:
            answer = reader.ask(message(kind, content))
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
