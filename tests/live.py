"""Live sources for tests, each of which can go away, fall silent and come back.

The network's is a real process. The cameras are stand-ins at the lowest seam, since no machine that
runs tests has one: PyAV's container and the module picamera2.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from clips import make_clip
from PIL import Image
from ports import free_port

from edgecae.media.sources import camera

__all__ = ["LIVE", "Network", "PiCamera", "StandIn", "UsbCamera"]

SHAPE = (48, 64, 3)


class Network:
    """A server of video with sound, see live_server.py."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        frames = [np.full(SHAPE, 40 * i, np.uint8) for i in range(6)]
        live = {"codec": "mpeg2video", "pix_fmt": "yuv420p", "sound": True}
        make_clip(folder / "clip.mkv", frames, sound=True)
        make_clip(folder / "clip.ts", frames * 5, **live)
        make_clip(folder / "blind.ts", frames * 5, **live, more_sound=600)
        self.folder = folder
        self.show(*SHAPE[:2])
        self.ports = [free_port(), free_port(), free_port(socket.SOCK_DGRAM)]
        self.http = f"http://127.0.0.1:{self.ports[0]}"
        self.rtsp = f"rtsp://user:sesame@127.0.0.1:{self.ports[1]}/stream"
        self.udp = f"udp://127.0.0.1:{self.ports[2]}"
        self.spec = f"{self.http}/mjpeg"
        self._process: subprocess.Popen[str] | None = None

    def show(self, height: int, width: int) -> None:
        """Serve pictures of this size."""
        picture = np.full((height, width, 3), 120, np.uint8)
        Image.fromarray(picture).save(self.folder / "picture.jpg")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("live_server.py")), str(self.folder),
             *map(str, self.ports)], stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert self._process.stdout
        assert self._process.stdout.readline() == "listening\n"

    def die(self) -> None:
        assert self._process
        self._process.kill()
        self._process.communicate()
        self._process = None

    def hang(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process:
            self.die()


class StandIn:
    """A device of this process that is away, there, or hangs; the one on USB also boots."""

    state = "away"
    tried = 0

    def try_to_open(self) -> None:
        """Count an attempt; one at a device that hangs ends with that, or after a minute.

        Like the ioctl of a dead driver, it keeps an open file meanwhile.
        """
        self.tried += 1
        end = time.monotonic() + 60
        with Path(os.devnull).open():
            while self.state == "hangs" and time.monotonic() < end:
                time.sleep(0.01)

    def start(self) -> None:
        self.state = "there"

    def die(self) -> None:
        self.state = "away"

    def hang(self) -> None:
        self.state = "hangs"

    def close(self) -> None:
        pass


class UsbCamera(StandIn):
    """FFmpeg's test picture in place of a V4L2 device."""

    spec = "7"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.asked: dict[str, str] = {}
        self.damaged: Callable[[int], bool] = lambda number: False
        self._real = camera.open_device
        monkeypatch.setattr(camera, "open_device", self.open)

    def open(self, device: str, options: dict[str, str], stall: float) -> Any:
        self.asked = options
        if self.state == "away":
            return self._real("/dev/video-none", options, stall)
        if self.state == "boots":  # its device is there before it knows what it can do
            raise av.ArgumentError(22, "Invalid argument", "/dev/video7")
        self.try_to_open()
        return Device(self)


class Device:
    """A container whose packets come at 25 a second, as a non-blocking device has them.

    Of those that are damaged, one is cut off, and the next one empty, as a driver may have it.
    """

    def __init__(self, owner: UsbCamera) -> None:
        self._owner = owner
        self._real = av.open("testsrc=size=64x48:rate=25", format="lavfi")
        self.streams = self._real.streams
        self._next = 0.0
        self._count = self._broken = 0

    def demux(self, stream: Any) -> Any:
        while True:
            if self._owner.state == "away":
                raise av.OSError(19, "No such device", "/dev/video7")
            if self._owner.state == "hangs" or time.monotonic() < self._next:
                raise av.BlockingIOError(11, "Resource temporarily unavailable", "/dev/video7")
            self._next = time.monotonic() + 0.04
            packet = next(self._real.demux(stream))
            self._count += 1
            yield self._damage(packet) if self._owner.damaged(self._count) else packet

    def _damage(self, packet: av.Packet) -> av.Packet:
        self._broken += 1
        damaged = av.Packet(bytes(packet)[: 100 * (self._broken % 2)])
        damaged.stream, damaged.pts = packet.stream, packet.pts
        return damaged

    def close(self) -> None:
        self._real.close()


class PiCamera(StandIn):
    """A stand-in for the module picamera2."""

    spec = "picamera2:0"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.open = 0
        self.held = 0
        self.configuration: dict[str, Any] = {}
        module = ModuleType("picamera2")
        module.Picamera2 = lambda index: Picamera2(self, index)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "picamera2", module)


class Picamera2:
    """What the source uses of the class, with the two traps that the real one has."""

    def __init__(self, owner: PiCamera, index: int) -> None:
        if owner.state == "away":
            raise IndexError("list index out of range")
        owner.try_to_open()
        self._owner = owner
        self._jobs = 0
        self._count = 0
        owner.open += 1

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        return asked

    def configure(self, configuration: dict[str, Any]) -> None:
        self._owner.configuration = configuration

    def start(self) -> None:
        pass

    def capture_request(self, wait: bool = True) -> str:
        assert wait is False
        if self._owner.state == "away":
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self._jobs += 1
        return "job"

    def wait(self, job: str, timeout: float | None = None) -> Picamera2:
        if self._owner.state == "hangs":
            time.sleep(timeout or 60)
            raise TimeoutError
        time.sleep(0.02)
        self._jobs -= 1
        assert self._owner.held == 0, "a request was not released"
        self._owner.held += 1
        return self

    def make_array(self, name: str) -> np.ndarray:
        main = self._owner.configuration["main"]
        width, height = main["size"]
        self._count += 1
        # Reddish: R, G, B in memory is what picamera2 calls BGR888.
        colour = (200, 20, self._count) if main["format"] == "BGR888" else (self._count, 20, 200)
        return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))

    def release(self) -> None:
        self._owner.held -= 1

    def cancel_all_and_flush(self) -> None:
        self._jobs = 0

    def close(self) -> None:
        if self._jobs:
            time.sleep(60)  # stopping waits behind the frame that was asked for
        self._owner.open -= 1


LIVE = {"network": Network, "camera": UsbCamera, "pi_camera": PiCamera}
