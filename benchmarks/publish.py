"""What comes of a camera's pictures on the whole way to who looks at them.

    python benchmarks/publish.py [--frames 300] [--model nano] [--crf 16]

A noisy camera → RTSP server → ``edgecae stream`` → RTSP server → reader, all on this machine. Each
frame shows its number. Prints how many of the denoised frames arrive, how old they are, and the
PSNR of luma against the denoised frame, beside what the encoder alone loses. The servers are
GStreamer's, in a process each; they need the system's Python with gir1.2-gst-rtsp-server-1.0.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
from numpy.typing import NDArray

from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import Encoding
from edgecae.media.sinks.rtsp.sink import RtspSink
from edgecae.media.sinks.rtsp.tracks import RtpTrack
from edgecae.media.video.encoder import FrameEncoder
from edgecae.media.video.stored import from_rgb
from edgecae.quality import psnr

RELAY = Path(__file__).parent.parent / "tests" / "media" / "rtsp_relay.py"
HEIGHT, WIDTH, RATE = 480, 640, 15
BITS, SIDE = 12, 24

Luma = NDArray[np.uint8]


def write_number(pixels: NDArray[np.uint8], number: int) -> None:
    """Show a number in a row of squares at the top."""
    for bit in range(BITS):
        pixels[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 220 if number >> bit & 1 else 30


def read_number(luma: Luma) -> int:
    """Read it again."""
    squares = [luma[6:18, bit * SIDE + 6 : bit * SIDE + 18].mean() > 125 for bit in range(BITS)]
    return sum(1 << bit for bit, is_set in enumerate(squares) if is_set)


def start_relay() -> tuple[subprocess.Popen[str], str]:
    """An RTSP server that hands on what is published, and its URL."""
    process = subprocess.Popen(
        ["/usr/bin/python3", str(RELAY), "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    url = f"rtsp://127.0.0.1:{int(process.stdout.readline())}"
    return process, url


def wait_for_publisher(relay: subprocess.Popen[str]) -> None:
    """Wait until something is published there."""
    assert relay.stdout
    relay.stdout.readline()


def film(url: str, frames: int, noise: float, taken: dict[int, float]) -> None:
    """Publish a noisy scene at its own pace; note when each frame was taken."""
    spec = f"test:{WIDTH}x{HEIGHT}@{RATE}?live=yes&frames={frames}&noise=gaussian:{noise:g}"
    with sources.open_source(spec) as source:
        settings = sinks.SinkSettings(source, encoding=Encoding(preset="ultrafast"))
        with RtspSink(url, settings) as sink:
            for number, frame in enumerate(source):
                write_number(frame.pixels, number)
                ticks = round(number * 90_000 / RATE)
                taken[number] = time.monotonic()
                sink.write(replace(frame, pts=ticks, time_base=Fraction(1, 90_000)))
            time.sleep(2)


def watch(url: str, seen: dict[int, tuple[float, Luma]]) -> None:
    """Read a stream until it ends; note when each frame was there, and its luma."""
    options = {"rtsp_transport": "tcp", "analyzeduration": "500000"}
    try:
        with av.open(url, container_options=options, timeout=10) as container:
            container.streams.video[0].thread_type = "SLICE"
            for picture in container.decode(video=0):
                luma = np.array(picture.to_ndarray()[:HEIGHT], np.uint8)
                seen.setdefault(read_number(luma), (time.monotonic(), luma))
    except (av.FFmpegError, OSError) as error:
        print(f"the reader: {error}", file=sys.stderr)


def collect(pipe: Any, denoised: dict[int, NDArray[np.uint8]]) -> None:
    """Take the denoised frames from the second sink, a pipe."""
    size = HEIGHT * WIDTH * 3
    while len(content := pipe.read(size)) == size:
        pixels = np.frombuffer(content, np.uint8).reshape(HEIGHT, WIDTH, 3)
        denoised.setdefault(read_number(pixels[..., 1]), pixels)


def luma_of(pixels: NDArray[np.uint8]) -> Luma:
    """As an encoder gets it."""
    luma: Luma = from_rgb(pixels, "yuv420p", "ITU601").to_ndarray()[:HEIGHT]
    return luma


def encoded(frames: list[NDArray[np.uint8]], encoding: Encoding) -> Iterator[Luma]:
    """What the encoder alone makes of frames."""
    track = RtpTrack(0, 0)
    encoder = FrameEncoder("", track.container, rate=Fraction(RATE), live=True, encoding=encoding)
    decoder: Any = av.CodecContext.create("h264", "r")
    for pixels in frames:
        frame = Frame(pixels, 0.0)
        if encoder.stream is None:
            encoder.open(frame)
        for packet in encoder.encode(frame):
            yield from (p.to_ndarray()[:HEIGHT] for p in decoder.decode(av.Packet(bytes(packet))))
    yield from (p.to_ndarray()[:HEIGHT] for p in decoder.decode(None))
    track.close()


@click.command()
@click.option("--frames", default=300, help="That the camera takes.")
@click.option("--model", default="nano", help="Name of a shipped model, or a file.")
@click.option("--noise", default=10.0, help="σ of the camera.")
@click.option("--crf", default=16.0, help="Of what is published.")
@click.option("--threads", default="2", help="Of the interpreter.")
@click.option("--strength", default="1", help="0 leaves the network out: the way alone.")
def main(frames: int, model: str, noise: float, crf: float, threads: str, strength: str) -> None:
    """Print what of a camera's pictures arrives, how old it is, and what it loses."""
    taken: dict[int, float] = {}
    seen: dict[int, tuple[float, Luma]] = {}
    denoised: dict[int, NDArray[np.uint8]] = {}
    (first, camera), (second, clean) = start_relay(), start_relay()
    command = [sys.executable, "-m", "edgecae", "stream", "--source", f"{camera}/out"]
    command += ["--model", model, "--threads", threads, "--crf", str(crf)]
    command += ["--strength", strength]
    command += ["--sink", f"{clean}/in", "--sink", "raw:rgb24"]
    try:
        filming = threading.Thread(target=film, args=(f"{camera}/in", frames, noise, taken))
        filming.start()
        wait_for_publisher(first)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as streaming:
            collecting = threading.Thread(target=collect, args=(streaming.stdout, denoised))
            collecting.start()
            wait_for_publisher(second)
            watching = threading.Thread(target=watch, args=(f"{clean}/out", seen), daemon=True)
            watching.start()
            filming.join()
            streaming.terminate()
            streaming.wait(20)
            collecting.join()
            time.sleep(0.5)
    finally:
        first.kill()
        second.kill()
    watching.join(15)  # FFmpeg gives a frame when it has the next one, or the end

    if not seen:
        sys.exit("nothing arrived")
    begin = min(seen)
    expected = [number for number in sorted(denoised) if number >= begin]
    missing = [number for number in expected if number not in seen]
    aged = [(1000 * (when - taken[n]), n) for n, (when, _) in seen.items() if n in taken]
    aged = aged[min(RATE, len(aged) // 2) :]  # once the reader has caught up with what was there
    ages = [age for age, _ in aged]
    oldest = [f"{age:.0f} (frame {n} of {max(seen)})" for age, n in sorted(aged, reverse=True)[:3]]
    both = [number for number in expected if number in seen]
    kept = [psnr(luma_of(denoised[n]), seen[n][1]) for n in both]
    alone = encoded([denoised[n] for n in both], Encoding(crf=crf))
    own = [psnr(luma_of(denoised[n]), luma) for n, luma in zip(both, alone, strict=True)]
    print(f"{len(taken)} frames taken, {len(expected)} denoised since the reader came, "
          f"{len(missing)} of them missing")  # fmt: skip
    print(f"glass to glass, ms: median {np.median(ages):.0f}, 95 % {np.percentile(ages, 95):.0f}, "
          f"most {', '.join(oldest)}")  # fmt: skip
    print(f"luma against the denoised frame, dB: {np.mean(kept):.2f}; "
          f"of the encoder alone {np.mean(own):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
