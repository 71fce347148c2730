"""Run a model of a fixed size in TFLite Micro's interpreter, and compare it with LiteRT.

    pip install -e '.[micro]'
    python benchmarks/micro.py MODEL.tflite...

Prints for each model what TFLite Micro says that it allocated in its arena (the memory that it
takes for everything but the model), and how far the results of the two interpreters are apart, in
levels of 255: their int8 kernels round differently.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, noise
from edgecae.media.sources.scene import TestScene
from edgecae.tflite import inspect, model_file
from edgecae.tflite.model_file import ModelFile

FRAMES = 4
SIGMA = 25
SPARE = 2**20
"""Bytes that an arena has at first beside all activations: too small a one may end the process."""


@dataclass(frozen=True)
class Comparison:
    """What TFLite Micro makes of a model.

    Attributes:
        arena: bytes that were allocated in it.
        largest: largest difference of a value, levels.
        mean: mean difference, levels.
        equal: share of the values that are equal.
    """

    arena: int
    largest: int
    mean: float
    equal: float


@contextlib.contextmanager
def _stderr() -> Iterator[list[str]]:
    """Catch what C++ writes to standard error; the list gets its lines in the end."""
    lines: list[str] = []
    saved = os.dup(2)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield lines
            finally:
                os.dup2(saved, 2)
                file.seek(0)
                lines += file.read().decode().splitlines()
    finally:
        os.close(saved)


def run_micro(
    content: bytes, spacious: int, frames: list[NDArray[np.uint8]]
) -> tuple[int, list[NDArray[np.uint8]]]:
    """Run a model in TFLite Micro's interpreter.

    Args:
        content: the model file.
        spacious: bytes of an arena that is surely large enough.
        frames: uint8 H×W×3, of the model's size.

    Returns:
        Bytes that were allocated in the arena, and the results.
    """
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=spacious)
    results = []
    for frame in frames:
        interpreter.set_input((frame ^ 0x80).view(np.int8)[None], 0)
        interpreter.invoke()
        results.append(interpreter.get_output(0)[0].view(np.uint8) ^ 0x80)
    with _stderr() as lines:
        interpreter.print_allocations()
    (total,) = [m[1] for line in lines if (m := re.search(r"allocation total (\d+) bytes", line))]
    return int(total), results


def compare_interpreters(model: ModelFile) -> Comparison:
    """Run a model in both interpreters on noisy frames of its stored size."""
    height, width = model.frame_size
    scene, level = TestScene(width, height), noise.gaussian(SIGMA)
    rng = np.random.default_rng(0)
    frames = [level.add(scene.clean(number), rng) for number in range(FRAMES)]
    activations = inspect.inspect(model.path, (width, height)).memory.total
    with Denoiser(model.path) as denoiser:
        expected = [denoiser.process(frame) for frame in frames]
    arena, got = run_micro(model.content, activations + SPARE, frames)
    difference = np.abs(np.subtract(expected, got, dtype=np.int16))
    return Comparison(
        arena, int(difference.max()), float(difference.mean()), float((difference == 0).mean())
    )


def main() -> None:
    """Compare the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    print("| model | size | bytes | arena, bytes | largest | mean | equal |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for path in parser.parse_args().models:
        model = model_file.read(path)
        height, width = model.frame_size
        found = compare_interpreters(model)
        print(
            f"| {model.metadata.name} | {width}x{height} | {len(model.content):,} | "
            f"{found.arena:,} | {found.largest} | {found.mean:.4f} | {found.equal:.2%} |"
        )


if __name__ == "__main__":
    main()
