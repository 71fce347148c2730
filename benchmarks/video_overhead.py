"""What a recurrent model costs beside its still one: ``python benchmarks/video_overhead.py FILE``.

All run in turn in one process, so that whatever else the machine does meets all. Ratios are to
``Denoiser.process`` of the still model, round by round, and their medians count. *CPU* is the same
for the CPU time of all threads, which other processes hardly change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from edgecae import Denoiser
from edgecae.denoise.alignment import Aligner
from edgecae.denoise.kept import Kept
from edgecae.tflite.interpreter import Interpreter

PAN = 3
"""Pixels a frame."""


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """How long one call takes, and how much CPU time."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - cpu


def scene(height: int, width: int) -> np.ndarray:
    """Blurred noise: something to align by."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    large = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width]
    return np.clip(large + rng.normal(0, 10, large.shape), 0, 255).astype(np.uint8)


def interpreter_of(denoiser: Denoiser) -> Interpreter:
    """Its interpreter, planned for the last frame."""
    assert denoiser._interpreter is not None
    return denoiser._interpreter


def measure(model: Path, still: str, size: tuple[int, int], threads: int, rounds: int) -> None:
    """Print milliseconds a frame and ratios."""
    width, height = size
    large = scene(height, width + PAN)
    frames = [np.ascontiguousarray(large[:, by : by + width]) for by in (0, PAN, 1)]
    between = frames[0].astype(np.uint16) + frames[2]  # half a pixel further, and as much down
    between[1:] = (between[1:] + between[:-1]) // 2
    frames[2] = (between // 2).astype(np.uint8)
    out = np.empty_like(frames[0])
    with (
        Denoiser(still, threads) as alone,
        Denoiser(model, threads) as denoiser,
        Denoiser(model, threads) as moving,
        Denoiser(model, threads) as shaking,
    ):
        for each in (alone, denoiser, moving, shaking):
            each.process(frames[0], out)
        place = denoiser._border
        bare, recurrent = interpreter_of(alone), interpreter_of(denoiser)
        aligner, turn = Aligner(), 0

        def pan() -> None:
            nonlocal turn
            turn += 1
            moving.process(frames[turn % 2], out)

        def shake() -> None:
            nonlocal turn
            turn += 1
            shaking.process(frames[turn % 2 * 2], out)

        def align() -> None:
            kept = Kept(recurrent.output(1)[0], 2, place, place)
            aligner.find(frames[0], kept)

        def copy() -> None:
            for number in range(1, len(denoiser.model.graph.inputs)):
                np.copyto(recurrent.input(number), recurrent.output(number))

        calls: dict[str, Callable[[], object]] = {
            "still model, process": lambda: alone.process(frames[0], out),
            "process": lambda: denoiser.process(frames[0], out),
            f"process, pan of {PAN} pixels": pan,
            "process, shaken by half a pixel": shake,
            "still model, interpreter": bare.invoke,
            "interpreter": recurrent.invoke,
            "alignment": align,
            "states from outputs to inputs": copy,
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                times[name].append(seconds(call))
        name = denoiser.metadata.name
        print(f"{name}, {width}x{height}, {denoiser.backend}, {threads} threads")
    base = np.array(times["still model, process"])
    print(f"  {'':30}{'median':>12} {'ratio':>7} {'CPU':>7}")
    for what, measured in times.items():
        taken = np.array(measured)
        ratio, cpu = np.median(taken / base, axis=0)
        print(f"  {what:30}{1000 * np.median(taken[:, 0]):9.2f} ms {ratio:7.3f} {cpu:7.3f}")


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--still", default="nano", show_default=True, help="The model that it is made of.")
@click.option("--rounds", default=40, show_default=True, help="Of each.")
def main(model: Path, still: str, rounds: int) -> None:
    """Time MODEL and its still one at 640x480 and 1280x720, with one thread and two."""
    for size in ((640, 480), (1280, 720)):
        for threads in (1, 2):
            measure(model, still, size, threads, rounds)


if __name__ == "__main__":
    main()
