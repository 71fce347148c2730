"""The program ``ffmpeg``, for filters that PyAV's build leaves out: raw frames through two pipes.

The boundary where its failures become a :class:`SettingError`. Several of its threads work on
successive frames, so that the time between two results is what a frame costs in a stream, and not
how long one takes to come out.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from edgecae.bench.peers.base import Pixels
from edgecae.errors import SettingError

__all__ = ["stream", "version"]

PROGRAM = "ffmpeg"


def version(name: str) -> str | None:
    """Name and version of the program, if it is there and has a filter of that name."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None

    def ask(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603 - the user's own ffmpeg
            [program, "-hide_banner", *arguments], capture_output=True, text=True, check=False
        ).stdout

    if f"Filter {name}" not in ask("-h", f"filter={name}"):
        return None
    found = re.search(r"version (\S+)", ask("-version"))
    return f"{PROGRAM} {found[1] if found else 'of no version'}"


def stream(frames: Iterable[Pixels], graph: str, threads: int) -> Iterator[Pixels]:
    """Filter frames of one size.

    Args:
        frames: uint8, H×W×3; what more than they give is read ahead of the results.
        graph: FFmpeg's description of the filters, from and to ``rgb24``.
        threads: of each filter.

    Raises:
        SettingError: the program can't be run, or it fails.
    """
    several = iter(frames)
    first = next(several, None)
    if first is None:
        return
    height, width = first.shape[:2]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24")
    command = [PROGRAM, "-v", "error", "-nostdin", "-filter_threads", str(threads)]
    command += [*raw, "-s", f"{width}x{height}", "-i", "-", "-vf", graph, *raw, "-"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own ffmpeg
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise SettingError(f"{PROGRAM} can't be run: {error.strerror}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        pipe = process.stdin

        def feed() -> None:
            # It closes its end where it fails, and when nobody wants more results.
            with contextlib.suppress(BrokenPipeError, ValueError), pipe:
                for frame in chain([first], several):
                    pipe.write(np.ascontiguousarray(frame).data)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        try:
            while data := process.stdout.read(first.nbytes):
                yield np.frombuffer(data, np.uint8).reshape(first.shape)
            if process.wait():
                errors.seek(0)
                why = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                raise SettingError(f"{PROGRAM} -vf {graph}: {' '.join(why)}")
        finally:
            process.kill()
            feeder.join()
            process.stdout.close()
            process.wait()
