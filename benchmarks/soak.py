"""Let several cameras run for long, in trouble: memory, threads and file descriptors stay flat.

    python benchmarks/soak.py --minutes 30

One process streams four cameras of 320×240 at 10 frames a second. One is a real HTTP server of
MJPEG that is killed and started again every twenty seconds; one records in segments; a fifth one
comes and goes with the file, every thirty seconds (SIGHUP). Somebody looks at the page of all
cameras, and Prometheus asks. Every ten seconds a line says what the process takes. The exit status
is 1 if the last quarter has a higher median than the second one: of memory by more than 3 %, of
threads or descriptors by more than one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.server
import io
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
from PIL import Image

PERIOD = 10.0
"""Seconds between two lines."""

KILLED, CHANGED = 20.0, 30.0
"""Seconds between two ends of the server, and between two changes of the file."""

FILE = """
view = "{view}"
metrics = "{metrics}"
[defaults]
model = "nano"
stall = 2
[cameras.still]
source = "test:320x240@10?live=yes&noise=gaussian:20"
[cameras.auto]
source = "test:320x240@10?live=yes&noise=gaussian:10&seed=2"
strength = "auto"
[cameras.recorded]
source = "test:320x240@10?live=yes&noise=gaussian:20&seed=3"
sink = "{folder}/recorded.mkv"
segment = 15
[cameras.network]
source = "http://127.0.0.1:{port}/"
"""
MORE = """
[cameras.more]
source = "test:160x120@10?live=yes&frames={frames}"
sink = "null:"
"""


def serve(port: int) -> None:
    """Serve MJPEG without end: what runs in a process of its own."""
    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "JPEG")

    class Camera(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            content = picture.getvalue()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(head.encode() + content + b"\r\n")
                    time.sleep(0.1)

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Camera).serve_forever()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]


def taken(pid: int) -> tuple[float, int, int]:
    """Resident memory in MB, threads and file descriptors of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = re.search(r"VmRSS:\s+(\d+) kB", status)
    threads = re.search(r"Threads:\s+(\d+)", status)
    assert memory is not None
    assert threads is not None
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(memory[1]) * 1024 / 1e6, int(threads[1]), descriptors


async def look(url: str) -> None:
    """Look at the page of all cameras, without end."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                async with session.ws_connect(f"{url}frames") as viewer:
                    while True:
                        await viewer.send_str("next")
                        if (await viewer.receive()).type is not aiohttp.WSMsgType.BINARY:
                            break
            await asyncio.sleep(1)


@contextlib.contextmanager
def camera(port: int) -> Iterator[None]:
    """The server of MJPEG as a process."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    process = subprocess.Popen([sys.executable, "-c", f"{code}import soak; soak.serve({port})"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def soak(minutes: float, folder: Path) -> int:
    """Run it; returns the exit status."""
    view, metrics, port = free_ports(3)
    text = FILE.format(view=view, metrics=metrics, folder=folder, port=port)
    file, log = folder / "cameras.toml", folder / "log"
    file.write_text(text)
    with log.open("wb") as said, contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgecae", "stream", "--config", str(file)],
            stderr=said, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(process.kill)
        viewer = asyncio.create_task(look(f"http://127.0.0.1:{view}/"))
        server = stack.enter_context(contextlib.ExitStack())
        server.enter_context(camera(port))
        samples: list[tuple[float, int, int]] = []
        begin = told = killed = changed = time.monotonic()
        count = 0
        async with aiohttp.ClientSession() as session:
            while (now := time.monotonic()) < begin + 60 * minutes:
                await asyncio.sleep(0.5)
                if process.poll() is not None:
                    print(log.read_text())
                    return 1
                if now - killed > KILLED:
                    killed = now
                    server.close()
                    await asyncio.sleep(1)
                    server.enter_context(camera(port))
                if now - changed > CHANGED:
                    changed, count = now, count + 1
                    file.write_text(text + (MORE.format(frames=100 + count) if count % 2 else ""))
                    process.send_signal(signal.SIGHUP)
                if now - told > PERIOD:
                    told = now
                    async with session.get(f"http://127.0.0.1:{metrics}/metrics") as answer:
                        await answer.read()
                    async with session.get(f"http://127.0.0.1:{view}/status") as answer:
                        figures = json.loads(await answer.read())["cameras"]
                    samples.append(taken(process.pid))
                    memory, threads, descriptors = samples[-1]
                    frames = {name: each["frames"] for name, each in figures.items()}
                    print(f"{now - begin:6.0f} s {memory:7.1f} MB {threads:3} threads "
                          f"{descriptors:3} descriptors {frames}", flush=True)  # fmt: skip
        viewer.cancel()
        process.terminate()
        status = process.wait(30)
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    limits = (1.03, 1.0, 1.0), (0.0, 1.0, 1.0)
    flat = status == 0
    for index, what in enumerate(("MB", "threads", "descriptors")):
        before, after = (statistics.median(each[index] for each in part) for part in (early, late))
        good = after <= before * limits[0][index] + limits[1][index]
        flat &= good
        print(f"{what}: second quarter {before:.1f}, last quarter {after:.1f}"
              f"{'' if good else ': grows'}")  # fmt: skip
    return 0 if flat else 1


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(arguments.minutes, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
