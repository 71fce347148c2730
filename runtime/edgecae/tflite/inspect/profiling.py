"""How long each operation of a model takes.

The interpreter of LiteRT's wheel has no profiler. So each operation is run by itself, as a model of
one operation with the shapes that it has at the frame size, its constants and its options. They
take turns, the whole model among them: so each finds the caches as full of others' data as in the
whole, and a busy machine slows all alike. What the sum leaves open against the whole model: XNNPACK
may fuse operations.
"""

from __future__ import annotations

import dataclasses
import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecae import native
from edgecae.errors import BackendError, ModelFileError
from edgecae.tflite import interpreter as backends
from edgecae.tflite import writer
from edgecae.tflite.graph import Graph
from edgecae.tflite.inspect.inspection import Inspection
from edgecae.tflite.operators import Inferred, infer

__all__ = ["Profile", "load", "medians_ms", "profile", "single"]

WARM_UPS = 2
MIN_RUNS, MAX_RUNS = 5, 30
SECONDS = 5.0
"""For all runs together, where each has had its least number."""


@dataclass(frozen=True)
class Profile:
    """How long each operation takes.

    Attributes:
        backend: name and version of the interpreter.
        threads: of it.
        width: of the frame, in pixels, padded to the network's stride.
        height: likewise.
        ops: median milliseconds of each operation by itself, in order; None for the arithmetic on
            shapes, which is done once for a frame size and not for each frame.
        model: median milliseconds of the whole model.
    """

    backend: str
    threads: int
    width: int
    height: int
    ops: tuple[float | None, ...]
    model: float

    @property
    def sum(self) -> float:
        """Milliseconds of all operations."""
        return sum(each for each in self.ops if each is not None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the attributes."""
        return {**dataclasses.asdict(self), "sum": self.sum}


def profile(inspection: Inspection, threads: int = 1, backend: str = "auto") -> Profile:
    """Time the operations of a model, each by itself, and the whole.

    All are held in memory at once: four to ten times the bytes of ``memory.total``, with what
    XNNPACK keeps for its kernels.

    Args:
        inspection: of the model; its memory's frame size is the one that is timed.
        threads: of the interpreter.
        backend: see :func:`edgecae.tflite.interpreter.find_backend`.

    Raises:
        BackendError: no interpreter is installed, or it does not take an operation.
        ModelFileError: it is a file that edgecae doesn't run.
    """
    if inspection.refused:
        raise ModelFileError(
            f"{inspection.file.path} can't be timed, as edgecae doesn't run it: "
            f"{inspection.refused}"
        )
    found = backends.find_backend(backend)
    width, height = inspection.memory.width, inspection.memory.height
    inferred = infer(inspection.graph, height, width)
    runs = {}
    for number, op in enumerate(inspection.graph.operators):
        if op.output.dtype != "int32":
            shapes = [inferred[each.index].values for each in op.inputs if each.data is None]
            content = single(inspection.graph, number, inferred)
            runs[number] = load(content, shapes, threads, found)
    whole = backends.Interpreter(inspection.file.content, threads, found)
    whole.resize(*inferred[inspection.graph.frame.index].shape[1:3])
    for number in range(len(inspection.graph.inputs)):
        whole.input(number)[:] = 0
    *times, model = medians_ms([*runs.values(), whole.invoke])
    by_number = dict(zip(runs, times, strict=True))
    ops = tuple(by_number.get(number) for number in range(len(inspection.graph.operators)))
    return Profile(str(found), threads, width, height, ops, model)


def single(graph: Graph, number: int, inferred: dict[int, Inferred]) -> bytes:
    """Make a model of one operation of a model.

    Args:
        graph: verified.
        number: of the operation.
        inferred: shapes of all tensors that operations make, see
            :func:`edgecae.tflite.operators.infer`.

    Returns:
        A TFLite file. Its inputs are what the operation reads and others make, shapes that the
        model computes among it: a constant there would let XNNPACK take what it leaves alone in
        the whole model.

    Raises:
        ModelFileError: flatbuffers is not installed (it comes with ai-edge-litert).
    """
    op = graph.operators[number]
    inputs = list(dict.fromkeys(each.index for each in op.inputs if each.data is None))
    shapes = {index: each.shape for index, each in inferred.items()}
    return writer.encode(writer.cut(graph, {number}, inputs, [op.output.index], shapes))


def load(
    content: bytes,
    values: list[tuple[int, ...] | None],
    threads: int,
    backend: backends.Backend,
) -> Callable[[], None]:
    """An interpreter over a small model of any inputs, ready to run.

    Args:
        content: of the file, which was just made.
        values: of each input; None: zeros.
        threads: of the interpreter.
        backend: from :func:`edgecae.tflite.interpreter.find_backend`.

    Returns:
        What runs it once.

    Raises:
        BackendError: the interpreter does not take it.
    """
    module = importlib.import_module(backends.BACKENDS[backend.name][0])
    with native.quiet():
        try:
            interpreter: Any = module.Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
            for given, value in zip(interpreter.get_input_details(), values, strict=False):
                array = np.zeros(given["shape"], given["dtype"])
                array[...] = 0 if value is None else value
                interpreter.set_tensor(given["index"], array)
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"{backend} does not take an operation alone: {error}") from error

    def run() -> None:
        try:
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"inference failed: {error}") from error

    return run


def medians_ms(
    runs: Sequence[Callable[[], None]], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median milliseconds of each, in turn, after a few that warm up."""
    for _ in range(WARM_UPS):
        for run in runs:
            run()
    times: list[list[float]] = [[] for _ in runs]
    start = clock()
    while len(times[0]) < MIN_RUNS or (len(times[0]) < MAX_RUNS and clock() - start < SECONDS):
        for run, taken in zip(runs, times, strict=True):
            before = clock()
            run()
            taken.append(clock() - before)
    return [statistics.median(taken) * 1000 for taken in times]
