"""Helpers for tests of the view: a stream to control, and clients that behave badly."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SettingError
from edgecae.media.frame import Frame
from edgecae.media.sinks.view import View, address
from edgecae.media.sinks.view.gallery import CameraView, Gallery


class Stream:
    """A control that remembers what it was told."""

    def __init__(self) -> None:
        self.strength: float | None = 1.0
        self.offline: float | None = None

    def snapshot(self) -> dict[str, Any]:
        return {
            "fps": 29.97,
            "dropped": 1234,
            "latency_p50_ms": 12.34,
            "noise": 24.6,
            "strength": 0.7 if self.strength is None else self.strength,
            "strength_auto": self.strength is None,
            "offline_seconds": self.offline,
            "source": "a camera",
            "model": "small",
        }

    def set_strength(self, strength: float | None) -> None:
        if strength is not None and not 0 <= strength <= 1:
            raise SettingError("a strength lies between 0 and 1")
        self.strength = strength


def view(spec: str = "view:0", control: Stream | None = None) -> View:
    return View(address.parse(spec), control)


def gallery(*names: str, token: str | None = None) -> Gallery:
    """A view of several cameras, each with a control of its own."""
    made = Gallery(address.parse("view:0", token))
    made.show({name: Camera(name) for name in names})
    return made


class Camera(Stream):
    """The control of one of several cameras."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.state, self.error = name, "running", None
        self.error: str | None

    def snapshot(self) -> dict[str, Any]:
        more = {"camera": self.name, "state": self.state, "restarts": 0, "error": self.error}
        return {**super().snapshot(), **more}


def picture(value: int, height: int = 48, width: int = 64) -> Frame:
    """Gray of one value, with a before that is brighter by 100."""
    pixels = np.full((height, width, 3), value, np.uint8)
    return Frame(pixels, time.monotonic(), before=pixels + np.uint8(100))


@contextlib.contextmanager
def showing(
    sink: View | CameraView, rate: float = 30, noisy: bool = False
) -> Iterator[list[float]]:
    """Write frames that change, in a thread; the seconds that each write took.

    What was denoised is flat, unless it is to be ``noisy``: a JPEG of 150 kB.
    """
    taken: list[float] = []
    end = threading.Event()
    # Large and noisy: no kernel's socket buffer holds more than some of its JPEGs.
    rng = np.random.default_rng(0)
    noise: NDArray[np.uint8] = rng.integers(0, 100, (480, 640, 3), dtype=np.uint8)

    def feed() -> None:
        count = 0
        while not end.wait(1 / rate):
            pixels = np.full_like(noise, 20 + count % 8 * 15)
            before = noise + pixels
            if noisy:
                pixels = before.copy()
            frame = Frame(pixels, time.monotonic(), before=before)
            start = time.monotonic()
            sink.write(frame)
            taken.append(time.monotonic() - start)
            pixels[...] = 0
            count += 1

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield taken
    finally:
        end.set()
        thread.join()


def ask(
    sink: View | Gallery, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """One request: status, body, headers. Underscores in a header's name become hyphens."""
    where = urlsplit(sink.name)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 0, timeout=5)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        given.setdefault("Content-Type", "application/json")
    with contextlib.closing(connection):
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


class Socket:
    """A websocket's client by hand, which can do what no library does: be slow, or rude."""

    def __init__(
        self,
        sink: View | Gallery,
        receive_buffer: int | None = None,
        path: str = "/frames",
        **headers: str,
    ) -> None:
        where = urlsplit(sink.name)
        self.raw = socket.socket()
        if receive_buffer:
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.raw.settimeout(5)
        self.raw.connect((where.hostname, where.port))
        given = {
            "Host": where.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.raw.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.raw.recv(1) or b"\r\n\r\n"
        self.status = int(head.split()[1])

    def say(self, data: bytes = b"next", opcode: int = 1) -> None:
        size = (
            bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        )
        self.raw.sendall(bytes([0x80 | opcode]) + size + bytes(4) + data)  # a mask of zeros

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.raw.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def hear(self) -> tuple[int, bytes]:
        """Opcode and data of the next message."""
        opcode, size = self._read(2)
        if size == 126:
            (size,) = struct.unpack(">H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._read(8))
        return opcode & 15, self._read(size)

    def is_closed(self) -> bool:
        """Read all that comes; whether there is an end to it before the time is up."""
        try:
            while self.hear():
                pass
        except TimeoutError:
            return False
        except (EOFError, ConnectionError):
            return True
        return False

    def next(self) -> list[bytes]:
        """Ask, and take the message apart: figures, picture, picture before (or the camera)."""
        self.say()
        opcode, data = self.hear()
        assert opcode == 2
        parts = []
        while data:
            size = int.from_bytes(data[:4], "big")
            parts.append(data[4 : 4 + size])
            data = data[4 + size :]
        assert len(parts) == 3
        return parts

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()
