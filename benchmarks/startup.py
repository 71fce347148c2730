"""From the start of a process to its first frame: ``python benchmarks/startup.py``.

Whole processes, one frame each, in turn: the bare interpreter with numpy alone, and
``edgecae stream`` to ``null:``. Another checkout (``--against FOLDER``) takes its turn as well. All
with bytecode, as pip installs it. Prints medians in seconds, on the clock and of CPU time, and
ratios round by round.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from edgecae import models

ROOT = Path(__file__).parent.parent

BARE = """
import sys
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=2)
interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, 480, 640, 3])
interpreter.allocate_tensors()
interpreter.tensor(interpreter.get_input_details()[0]["index"])()[...] = 0
interpreter.invoke()
interpreter.tensor(interpreter.get_output_details()[0]["index"])().max()
"""


def seconds(command: list[str], checkout: Path, bytecode: str) -> tuple[float, float]:
    """How long a command takes: on the clock, and of CPU time."""
    portions = os.pathsep.join(str(checkout / name) for name in ("runtime", "train", "convert"))
    environment = {**os.environ, "PYTHONPATH": portions, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--model", default=models.DEFAULT, show_default=True, help="Shipped name.")
@click.option("--rounds", default=20, show_default=True, help="Of each.")
@click.option("--against", type=click.Path(path_type=Path), help="Another checkout, alike.")
def main(model: str, rounds: int, against: Path | None) -> None:
    """Print what it takes from the start of a process to its first frame."""
    stream = [sys.executable, "-m", "edgecae", "stream", "--model", model]
    stream += ["--source", "test:640x480?frames=1", "--sink", "null:"]
    bare = [sys.executable, "-c", BARE, str(models.find_model(model))]
    ways = {"interpreter": (bare, ROOT), "edgecae stream": (stream, ROOT)}
    if against is not None:
        ways[f"edgecae stream of {against}"] = (stream, against)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as bytecode:
        for round_ in range(rounds + 1):
            for name, (command, checkout) in ways.items():
                spent = seconds(command, checkout, bytecode)
                if round_:  # the first one writes the bytecode
                    times[name].append(spent)
    for name, taken in times.items():
        wall, cpu = (statistics.median(each) for each in zip(*taken, strict=True))
        ratio = statistics.median(
            mine[1] / bare[1] for mine, bare in zip(taken, times["interpreter"], strict=True)
        )
        print(f"{name}: {wall:.3f} s, {cpu:.3f} s of CPU, {ratio:.2f} × the interpreter's CPU")


if __name__ == "__main__":
    main()
