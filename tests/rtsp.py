"""A real RTSP server as the other end of what is published, and pictures that say their number."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import GSTREAMER
from numpy.typing import NDArray

from edgecae.media.frame import Frame

__all__ = ["NEEDS_GSTREAMER", "SHAPE", "Relay", "free_port", "number_of", "numbered", "relaying"]

NEEDS_GSTREAMER = pytest.mark.skipif(
    not GSTREAMER, reason="GStreamer's RTSP server is not installed"
)

SHAPE = (96, 128, 3)
_BITS = 10


def numbered(number: int, time_: float | None = None, shape: tuple[int, ...] = SHAPE) -> Frame:
    """A gray frame whose uppermost sixteen rows say its number: dark and bright squares."""
    pixels = np.full(shape, 90, np.uint8)
    for bit in range(_BITS):
        value = 220 if number >> bit & 1 else 30
        pixels[:16, bit * 12 : bit * 12 + 12] = value
    return Frame(pixels, time.monotonic() if time_ is None else time_)


def number_of(pixels: NDArray[np.uint8]) -> int:
    """What :func:`numbered` wrote, also after it was encoded."""
    bits = [pixels[4:12, bit * 12 + 3 : bit * 12 + 9].mean() > 125 for bit in range(_BITS)]
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Relay:
    """GStreamer's server in a process of its own, see media/rtsp_relay.py."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.port = free_port()
        user = "camera:sesame%3Ax@" if {"basic", "digest"} & set(options) else ""
        self.target = f"rtsp://{user}127.0.0.1:{self.port}/in"
        self.result = f"rtsp://{user}127.0.0.1:{self.port}/out"
        self.published = threading.Semaphore(0)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        script = Path(__file__).parent / "media" / "rtsp_relay.py"
        command = ["/usr/bin/python3", str(script), str(self.port), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert int(self._process.stdout.readline()) == self.port
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with contextlib.suppress(ValueError):  # closed
            for line in process.stdout:
                if line == "publishing\n":
                    self.published.release()

    def die(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def hang(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGCONT)


@contextlib.contextmanager
def relaying(*options: str) -> Iterator[Relay]:
    relay = Relay(*options)
    relay.start()
    try:
        yield relay
    finally:
        relay.die()
