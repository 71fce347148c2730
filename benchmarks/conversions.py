"""What colour conversion costs in a whole stream: ``python benchmarks/conversions.py``.

``edgecae stream`` reads a 4:2:0 clip in H.264, denoises it, records it in H.264 and shows it to a
client that takes every picture. CPU time a frame is that of a long clip less that of a short one,
so that starting counts for nothing. *Conversions* is what comes back if the network takes and gives
the planes of 4:2:0: from decoded frames to RGB, and back for the encoder.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import click
from view_client import watched

from edgecae import noise
from edgecae.media.buffers import Buffers
from edgecae.media.sources.scene import TestScene
from edgecae.media.video import stored

SHORT = 10
"""Frames of the short clip."""


def write_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """Write the test scene with noise of σ 25, as a camera's encoder does it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height = size
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "20"}
        for frame in TestScene(*size, frames=frames, noise=noise.gaussian(25)):
            picture = av.VideoFrame.from_ndarray(frame.pixels, "rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def stream_seconds(clip: Path, model: str, threads: int, folder: Path) -> float:
    """Stream a clip to a file and to a page that a client looks at; CPU time, all threads."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "edgecae", "stream", "--source", str(clip), "--model", model,
        "--threads", str(threads), "--sink", str(folder / "out.mp4"), "--sink", f"view:{port}",
    ]  # fmt: skip
    errors = folder / "errors.txt"
    with watched(f"http://127.0.0.1:{port}/"), errors.open("w") as said:
        process = subprocess.Popen(command, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"edgecae stream: {errors.read_text()}")
    (folder / "out.mp4").unlink()
    return usage.ru_utime + usage.ru_stime


def conversion_seconds(clip: Path) -> float:
    """CPU time of one frame to RGB and back, the median over a clip."""
    buffers, taken = Buffers(), []
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            start = time.process_time()
            pixels = stored.to_rgb(picture, buffers)
            stored.from_rgb(pixels, "yuv420p", stored.colour_matrix(picture.colorspace))
            taken.append(time.process_time() - start)
            buffers.give(pixels)
    return statistics.median(taken)


@click.command()
@click.option("--model", "names", multiple=True, default=("nano-video", "small-video"))
@click.option(
    "--size", "sizes", multiple=True, default=("1280x720", "1920x1080"), show_default=True
)
@click.option("--threads", default=1, show_default=True, help="Of the interpreter.")
@click.option("--frames", default=60, show_default=True, help="Of the long clip.")
def main(names: tuple[str, ...], sizes: tuple[str, ...], threads: int, frames: int) -> None:
    """Print milliseconds of CPU a frame: the whole stream, and conversions in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for text in sizes:
            width, height = (int(side) for side in text.split("x"))
            for count in (SHORT, frames):
                write_clip(folder / f"{count}.mp4", (width, height), count)
            converting = 1000 * conversion_seconds(folder / f"{frames}.mp4")
            for model in names:
                short, long = (
                    stream_seconds(folder / f"{count}.mp4", model, threads, folder)
                    for count in (SHORT, frames)
                )
                whole = 1000 * (long - short) / (frames - SHORT)
                print(
                    f"{text}  {model:<12} whole stream {whole:7.1f} ms  conversions "
                    f"{converting:5.1f} ms  {100 * converting / whole:4.1f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
