"""Damage model files and see whether what is let through can do harm: bytes, fields, metadata.

    python benchmarks/fuzz/model_files.py --mutants 10000 [--seed 0] [--keep FOLDER] [FILE...]

The files are the shipped models unless others are given, halves of autoencoders among them.

Each mutant is verified. One that is let through goes to a process of its own, which loads it in
the interpreter with bounded memory, plans for the stored frame size, for 64×64 and for 96×32, and
runs it once at each. A crash, a timeout or a lack of memory there is a hole in
``edgecae.tflite.verify``; a mutant that the verifier itself stumbles over is one, too. Weights are
left alone: any are as good as any.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from child import Child
from model_mutants import Mutator

from edgecae import models
from edgecae.errors import BackendError, ModelFileError

__all__ = ["MAX_SECONDS", "fuzz", "message", "refusal"]

MAX_SECONDS = 20.0
"""For a mutant in the interpreter."""
MAX_MEMORY = 4 * 2**30
"""Address space of the process that runs mutants; an idle one takes 1.3 GiB."""


def refusal(content: bytes) -> str | None:
    """Why a file is refused; None if it is let through."""
    from edgecae.tflite import model_file

    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        try:
            model_file.read(Path(file.name))
        except ModelFileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - one line, whatever it says
            return str(error).removeprefix(f"model {file.name}: ")
    return None


def message(content: bytes) -> bytes:
    """What a child gets to run; it answers ``ran``, or ``error`` if the interpreter said no."""
    return struct.pack("<I", len(content)) + content


def _work() -> None:
    """Run the mutants that come in on standard input, and say of each what became of it."""
    import resource

    from edgecae.tflite import graph as graphs
    from edgecae.tflite import interpreter as backend

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = backend.find_backend()
    while head := sys.stdin.buffer.read(4):
        content = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        try:
            interpreter = backend.Interpreter(content, 1, found)
            _, *stored, _ = graphs.decode(content).frame.shape
            for height, width in (stored, (64, 64), (32, 96)):
                interpreter.resize(height, width)
                interpreter.invoke()
            answer = "ran"
        except BackendError:
            answer = "error"
        print(answer, flush=True)


def fuzz(
    mutants: int, seed: int, keep: Path | None = None, files: Sequence[Path] = ()
) -> dict[str, Any]:
    """Make mutants of files in turn and count what becomes of them.

    Args:
        mutants: how many.
        seed: of everything random.
        keep: a folder for those that show a hole.
        files: good ones; the shipped models unless given.

    Returns:
        ``mutants``, ``refused``, ``accepted``, what came of the accepted (``ran``, ``error``),
        ``holes`` (what kind, and how often), ``slowest_ms`` of a verification, ``reasons``.
    """
    rng = random.Random(seed)
    files = files or [models.find_model(name) for name in models.names()]
    mutators = [Mutator(file.read_bytes(), rng) for file in files]
    results, reasons, holes = Counter[str](), Counter[str](), Counter[str]()
    slowest = 0.0
    runner = Child(__file__, MAX_SECONDS)
    try:
        for number in range(mutants):
            content = mutators[number % len(mutators)]()
            start = time.process_time()
            try:
                why = refusal(content)
            except Exception as error:
                result = f"verifier {type(error).__name__}"
            else:
                result = "refused" if why is not None else runner.ask(message(content))
                if why is not None:
                    reasons["".join(c for c in why if not c.isdigit())[:60]] += 1
                slowest = max(slowest, time.process_time() - start if why is not None else 0)
            if result in ("refused", "ran", "error"):
                results[result] += 1
                continue
            holes[result] += 1
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}.tflite").write_bytes(content)
    finally:
        runner.close()
    return {
        "mutants": mutants,
        "refused": results["refused"],
        "accepted": results["ran"] + results["error"],
        "ran": results["ran"],
        "error": results["error"],
        "holes": dict(holes),
        "slowest_ms": round(1000 * slowest, 1),
        "reasons": dict(reasons.most_common(40)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", help="to damage")
    parser.add_argument("--mutants", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that show a hole")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        _work()
    else:
        print(json.dumps(fuzz(asked.mutants, asked.seed, asked.keep, asked.files), indent=2))
