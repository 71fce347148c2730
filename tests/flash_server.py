"""A process that sends flashes and beeps, both at once each second, as a camera with a microphone.

    python flash_server.py CODEC LENGTH [SILENT_AFTER]

MPEG-TS over TCP in real time; each connection gets ``LENGTH`` seconds and then its end. CODEC is of
the sound, as FFmpeg names it. With SILENT_AFTER, the sound ends after so many seconds. Prints the
port when it listens.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np

RATE, SAMPLES = 25, 48_000
FLASH = 0.12
"""Seconds that a flash and its beep last, at the begin of each second."""


class Output:
    """What PyAV writes to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, content: bytes) -> int:
        self._connection.sendall(content)
        return len(content)


def is_on(seconds: np.ndarray) -> np.ndarray:
    return (seconds % 1 < FLASH) & (seconds > 0.5)


def serve(connection: socket.socket, codec: str, length: float, silent_after: float) -> None:
    output = Output(connection)
    options = {"flush_packets": "1", "max_interleave_delta": "100000"}
    with connection, av.open(output, "w", format="mpegts", container_options=options) as made:
        video: Any = made.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        video.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "25"}
        audio: Any = made.add_stream(codec, rate=SAMPLES, layout="mono")
        begin = time.monotonic()
        for index in range(int(length * RATE)):
            time.sleep(max(0, begin + index / RATE - time.monotonic()))
            value = 230 if is_on(np.array(index / RATE)) else 20
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), value, np.uint8))
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            made.mux(video.encode(frame))
            if index / RATE > silent_after:
                continue
            times = (np.arange(SAMPLES // RATE) + index * (SAMPLES // RATE)) / SAMPLES
            wave = 0.5 * np.sin(2 * np.pi * 880 * times) * is_on(times)
            tone: Any = av.AudioFrame.from_ndarray(
                (wave * 32767).astype(np.int16)[None], format="s16", layout="mono"
            )
            tone.sample_rate, tone.time_base = SAMPLES, Fraction(1, SAMPLES)
            tone.pts = index * (SAMPLES // RATE)
            made.mux(audio.encode(tone))


def attend(connection: socket.socket, *how: Any) -> None:
    with contextlib.suppress(OSError):
        serve(connection, *how)


if __name__ == "__main__":
    codec, length, *more = sys.argv[1:]
    silent_after = float(more[0]) if more else float("inf")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            how = (listening.accept()[0], codec, float(length), silent_after)
            threading.Thread(target=attend, args=how, daemon=True).start()
