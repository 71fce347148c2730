"""What a frame costs in a whole stream: ``python benchmarks/whole_stream.py PHOTO``.

``edgecae stream`` reads a 4:2:0 clip in H.264, denoises it, records it in H.264 and shows it to a
client that takes every picture. CPU time a frame is that of a long clip less that of a short one,
so that starting counts for nothing. *Conversions* is what comes back if the network takes and gives
the planes of 4:2:0: from decoded frames to RGB, and back for the encoder.
"""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import click
from clips_420 import Pixels
from PIL import Image, ImageOps
from video_scenes import MOTIONS, PAN, Clip, add_noise, from_photo
from view_client import watched

from edgecae.media import images
from edgecae.media.buffers import Buffers
from edgecae.media.video import stored

SHORT = 10
"""Frames of the short clip."""
ROOM = 20
"""Pixels by which the photo is larger than the window, beside those of a pan."""
MODELS = ("nano", "nano-video", "small", "small-video")
SIZES = ("640x480", "1280x720")


def write_clip(path: Path, frames: Sequence[Pixels]) -> None:
    """Write frames as a camera's encoder does it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "20"}
        stream.height, stream.width = frames[0].shape[:2]
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24")
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
@click.argument("photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "names", multiple=True, default=MODELS, show_default=True)
@click.option("--size", "sizes", multiple=True, default=SIZES, show_default=True)
@click.option("--motion", "motions", multiple=True, default=tuple(MOTIONS), show_default=True)
@click.option("--threads", default=1, show_default=True, help="Of the interpreter.")
@click.option(
    "--frames",
    type=click.IntRange(min=SHORT + 1),
    default=60,
    show_default=True,
    help="Of the long clip.",
)
def main(
    photo: Path,
    names: tuple[str, ...],
    sizes: tuple[str, ...],
    motions: tuple[str, ...],
    threads: int,
    frames: int,
) -> None:
    """Print milliseconds of CPU a frame: the whole stream of each model, and conversions in it.

    The clips are of PHOTO, enlarged and moved, with noise of σ 25. A recurrent model is compared
    with the one that it is made of, where that was measured before.
    """
    picture = Image.fromarray(images.read(photo).pixels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for text, motion in itertools.product(sizes, motions):
            width, height = (int(side) for side in text.split("x"))
            large = ImageOps.fit(picture, (width + round(PAN * frames) + ROOM, height + ROOM))
            clean = from_photo(large, motion, (width, height), frames)
            (noisy,) = add_noise([Clip(photo.stem, clean)], "gaussian:25")
            short, long = (folder / f"{count}.mp4" for count in (SHORT, frames))
            write_clip(short, noisy[:SHORT])
            write_clip(long, noisy)
            converting = 1000 * conversion_seconds(long)
            whole: dict[str, float] = {}
            for model in names:
                less, more = (
                    stream_seconds(clip, model, threads, folder) for clip in (short, long)
                )
                whole[model] = 1000 * (more - less) / (frames - SHORT)
                still = model.removesuffix("-video")
                beside = ""
                if still != model and still in whole:
                    beside = f", {whole[model] / whole[still]:.2f} times {still}"
                print(
                    f"{text} {motion:<7} {model:<12} {whole[model]:7.1f} ms, conversions "
                    f"{converting:5.1f} ms{beside}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
