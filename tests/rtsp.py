"""A real RTSP server as the other end of what is published, and pictures that say their number."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import GSTREAMER
from numpy.typing import NDArray
from ports import free_port

from edgecae.media.frame import Frame

__all__ = [
    "NEEDS_GSTREAMER",
    "SHAPE",
    "Relay",
    "SlowServer",
    "number_of",
    "numbered",
    "relaying",
]

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


class SlowServer:
    """Takes what is published, as quickly as it shall; ends when the publisher does.

    Attributes:
        rate: bytes a second that it takes; None: all.
        packets: RTP packets so far, each with when it came.
        ended: whether the publisher said TEARDOWN.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self.packets: list[tuple[float, bytes]] = []
        self.ended = False
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.url = f"rtsp://127.0.0.1:{self._listening.getsockname()[1]}/x"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, content: bytes) -> None:
        """Send something, such as a report, that the publisher need not read."""
        self._connection.sendall(content)

    def join(self, seconds: float = 10) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with self._listening:
            self._connection, _ = self._listening.accept()
        with self._connection as connection, contextlib.suppress(ConnectionError):
            connection.settimeout(10)
            held = b""
            while not self.ended:
                if self.rate is not None and held[:1] == b"$":
                    time.sleep(1024 / self.rate)
                came = connection.recv(1024)
                if not came:
                    return
                held = self._take(connection, held + came)

    def _take(self, connection: socket.socket, held: bytes) -> bytes:
        """Take whole packets and requests; what is left of them."""
        while held:
            if held[:1] == b"$":
                size = 4 + int.from_bytes(held[2:4], "big")
                if len(held) < max(4, size):
                    return held
                if held[1] == 0:
                    self.packets.append((time.monotonic(), held[4:size]))
            else:
                head, separator, _ = held.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                size = len(head) + 4 + (int(length[1]) if length else 0)
                if not separator or len(held) < size:
                    return held
                self.ended |= head.startswith(b"TEARDOWN")
                connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 7\r\n\r\n")
            held = held[size:]
        return held

    def frames(self) -> list[tuple[float, Frame]]:
        """Whole frames that came, decoded, each with when its last packet did."""
        decoder = av.CodecContext.create("h264", "r")
        found, units, part = [], b"", b""
        for when, packet in list(self.packets):
            content = packet[12:]  # RFC 6184: one unit, several, or a part of one
            kind = content[0] & 31
            if kind == 28:
                first, last = content[1] & 128, content[1] & 64
                begin = bytes([content[0] & 0xE0 | content[1] & 31]) if first else part
                part = begin + content[2:]
                units += b"\0\0\0\1" + part if last else b""
            elif kind == 24:
                content = content[1:]
                while content:
                    size = 2 + int.from_bytes(content[:2], "big")
                    units += b"\0\0\0\1" + content[2:size]
                    content = content[size:]
            else:
                units += b"\0\0\0\1" + content
            if packet[1] & 128:  # the last packet of a frame
                for picture in decoder.decode(av.Packet(units)):
                    found.append((when, Frame(picture.to_ndarray(format="rgb24"), when)))
                units = b""
        return found
