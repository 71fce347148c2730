"""What ``Denoiser.process`` adds to the bare interpreter: ``python benchmarks/overhead.py``.

Both run in turn on one interpreter, so that whatever else the machine does meets both; the fastest
of each counts, and the median of the ratios round by round. *Two copies* is what any program needs
to bring a frame into the interpreter and its result out of it, without a change to either.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import numpy as np

from edgecae import Denoiser, models
from edgecae.commands import options


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@click.command()
@click.option("--model", default=models.DEFAULT, show_default=True, help="Shipped name or file.")
@click.option(
    "--size", default="640x480", callback=options.size, show_default=True, help="Of the frames."
)
@click.option("--threads", default=1, show_default=True, help="Of the interpreter.")
@click.option("--rounds", default=100, show_default=True, help="Of each.")
def main(model: str, size: tuple[int, int], threads: int, rounds: int) -> None:
    """Print milliseconds a frame, and their ratio to the bare interpreter's."""
    width, height = size
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = np.empty_like(frame)
    gray, gray_out = frame[..., 0].copy(), out[..., 0].copy()
    with Denoiser(model, threads) as denoiser:
        denoiser.process(frame, out)
        # The same interpreter: another one's memory may lie better or worse.
        interpreter = denoiser._interpreter
        assert interpreter is not None
        top, left = -denoiser._plan.rows[0].start, -denoiser._plan.columns[0].start
        inside = np.s_[top : top + height, left : left + width]  # of the frame with its border

        def process(strength: float | None) -> None:
            denoiser.strength = strength
            denoiser.process(frame, out)

        def process_gray() -> None:
            denoiser.strength = 1.0
            denoiser.process(gray, gray_out)

        def copies() -> None:
            np.copyto(interpreter.input()[0].view(np.uint8)[inside], frame)
            interpreter.invoke()
            np.copyto(out, interpreter.output()[0].view(np.uint8)[inside])

        calls: dict[str, Callable[[], object]] = {
            "bare interpreter": interpreter.invoke,
            "… and two copies": copies,
            "process": lambda: process(1.0),
            "process, strength 0.5": lambda: process(0.5),
            "process, strength auto": lambda: process(None),
            "process, gray": process_gray,
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(seconds(call))
        print(f"{denoiser.metadata.name}, {width}x{height}, {denoiser.backend}, {threads} threads")
    bare = times["bare interpreter"]
    print(f"{'':24}{'fastest':>12} {'ratio':>7} {'median':>7}")
    for name, each in times.items():
        ratios = [a / b for a, b in zip(each, bare, strict=True)]
        fastest = f"{1000 * min(each):9.2f} ms {min(each) / min(bare):7.3f}"
        print(f"{name:24}{fastest} {statistics.median(ratios):7.3f}")


if __name__ == "__main__":
    main()
