"""What a stream costs beside ``Denoiser.process``: ``python benchmarks/throughput.py``.

Rounds of three ways to denoise the same frames, in turn, so that whatever else the machine does
meets all of them: ``process`` alone in a loop; the whole stream to ``null:``; the same with
``view:`` as well, and one client, in a process of its own, that takes every picture it is offered.
Frames come from memory, which leaves decoding out. Prints frames a second and the median of the
ratios round by round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from view_client import watched

from edgecae import Denoiser, models, noise, stream
from edgecae.commands import options
from edgecae.media import sinks
from edgecae.media.buffers import Buffers
from edgecae.media.frame import Frame
from edgecae.media.sinks.view import View, address
from edgecae.media.sources.scene import TestScene

Pixels = NDArray[np.uint8]


class Memory:
    """A source that hands out copies of a few frames, over and over."""

    name, broken, live, rate = "memory", 0, False, Fraction(30)

    def __init__(self, pictures: list[Pixels], count: int, buffers: Buffers) -> None:
        self._pictures, self._count, self._buffers = pictures, count, buffers

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            picture = self._pictures[index % len(self._pictures)]
            pixels = self._buffers.take(picture.shape)
            np.copyto(pixels, picture)
            yield Frame(pixels, time.monotonic())

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""


@click.command()
@click.option("--model", default=models.DEFAULT, show_default=True, help="Shipped name or file.")
@click.option(
    "--size", default="640x480", callback=options.size, show_default=True, help="Of the frames."
)
@click.option("--threads", default=1, show_default=True, help="Of the interpreter.")
@click.option("--rounds", default=9, show_default=True, help="Of each.")
@click.option("--frames", default=100, show_default=True, help="In a round.")
def main(model: str, size: tuple[int, int], threads: int, rounds: int, frames: int) -> None:
    """Print frames a second, and ratios to ``process`` alone."""
    width, height = size
    scene = TestScene(width, height, frames=8, noise=noise.gaussian(25))
    pictures = [frame.pixels for frame in scene]
    with (
        Denoiser(model, threads) as denoiser,
        View(address.parse("view:0")) as view,
        sinks.null.Null() as null,
    ):

        def alone() -> None:
            out = np.empty_like(pictures[0])
            for index in range(frames):
                denoiser.process(pictures[index % len(pictures)], out)

        def through(*opened: Any) -> Callable[[], None]:
            buffers = Buffers()

            def run() -> None:
                stream.run(Memory(pictures, frames, buffers), denoiser, opened, buffers=buffers)

            return run

        ways = {
            "process": alone,
            "stream to null:": through(null),
            "stream to null: and view:": through(null, view),
        }
        with watched(view.url) as received:
            while not view.viewers:
                time.sleep(0.05)
            rates: dict[str, list[float]] = {name: [] for name in ways}
            for each in ways.values():
                each()
            before = received.value
            for _ in range(rounds):
                for name, each in ways.items():
                    start = time.perf_counter()
                    each()
                    rates[name].append(frames / (time.perf_counter() - start))
            seen = received.value - before
    print(f"{denoiser.metadata.name}, {width}x{height}, {threads} threads, {denoiser.backend}; "
          f"the client got {seen} messages")  # fmt: skip
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates["process"], strict=True))
        print(f"{name:<28}{statistics.median(values):8.1f} frames/s  {100 * ratio:6.1f} %")


if __name__ == "__main__":
    main()
