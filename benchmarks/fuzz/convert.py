"""Damage Keras files and SavedModels and see whether the reader of ``edgecae convert`` holds.

    python benchmarks/fuzz/convert.py --mutants 5000 [--seed 0] [--keep FOLDER]

It makes small networks in every format that is read: ``.h5``, ``.keras`` and SavedModel. Some
mutants are damaged bytes. Others have sound containers and other contents: descriptions in which
layers, settings and numbers were exchanged, among them ones that run code; graphs with other
operations, attributes and objects, among them ones that write files.

The reader runs in its sandbox, without ``--trust-code``. The code that mutants hold tries to make a
file in the one folder where the sandbox lets it. Such a file is a hole in the first wall. So is an
exception that is no refusal. A process that dies, or takes more than its time or memory, is what
the second wall is for; it is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from child import LATE, Child
from network_mutants import Mutator

__all__ = ["fuzz"]

MAX_SECONDS = 60.0
"""For a mutant; the command allows more."""
MAX_SECONDS_TO_START = 600.0
"""To import TensorFlow, beside whatever else the machine does."""
MARK = "mark"
ENDED = LATE, "signal", "exit"
"""How the answers begin where the process ended."""


def _work(folder: Path) -> None:
    """Read the files that are named on standard input, and say of each what became of it."""
    from edgecae_convert.foreign import sandbox

    sandbox.enter(folder)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from edgecae.errors import RecipeError
    from edgecae_convert.foreign import reading
    from edgecae_train._tf import keras, tf

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        scratch = folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        path = Path(line.strip())
        try:
            network, shape = reading.load(path, scratch)
            reading.stride_and_size(path, network, shape)
            answer = "loaded"
        except RecipeError as error:
            answer = "refused " + str(error).removeprefix(str(path)).replace("\n", "\\n")
        except (MemoryError, tf.errors.OpError):
            answer = "refused at the end"  # as the worker answers it
        except Exception as error:
            answer = f"error {type(error).__name__}"
        keras.backend.clear_session()
        print(answer, file=answers, flush=True)


def fuzz(mutants: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Make mutants and count what becomes of them.

    Args:
        mutants: how many.
        seed: of everything random.
        keep: a folder for those that show a hole, or end the process.

    Returns:
        ``mutants``, ``refused``, ``loaded``, ``ended`` (how the process ended, and how often),
        ``holes`` (what kind, and how often), ``slowest_s``, ``peak_mb`` of the process and
        ``reasons``.
    """
    import resource

    rng = random.Random(seed)
    results, reasons, holes = Counter[str](), Counter[str](), Counter[str]()
    ended, slowest = Counter[str](), 0.0
    with tempfile.TemporaryDirectory(prefix="edgecae-") as name:
        folder = Path(name)
        good, writable = folder / "good", folder / "writable"
        good.mkdir()
        writable.mkdir()
        mark = writable / MARK
        mutate = Mutator(good, mark, rng)
        reader = Child(__file__, MAX_SECONDS, (writable,), MAX_SECONDS_TO_START)
        try:
            for number in range(-len(mutate.files), mutants):
                mutant = folder / "mutant"
                mutant.mkdir()
                sound = number < 0
                path = mutate.files[number] if sound else mutate(number, mutant)
                start = time.monotonic()
                answer = reader.ask(f"{path}\n".encode())
                if sound:  # else nothing below would mean anything
                    assert answer == "loaded", f"{path.name}: {answer}"
                else:
                    slowest = max(slowest, time.monotonic() - start)
                    kind, _, why = answer.partition(" ")
                    hole = kind == "error" or "\\n" in why or mark.exists()
                    if hole:
                        holes["a mark" if mark.exists() else answer] += 1
                    elif kind in ENDED:
                        ended[kind] += 1
                    else:
                        results[kind] += 1
                        reasons["".join(c for c in why if not c.isdigit())[:30]] += 1
                    if keep is not None and (hole or kind in ENDED):
                        shutil.copytree(mutant, keep / f"{seed}-{number}", dirs_exist_ok=True)
                    mark.unlink(missing_ok=True)
                shutil.rmtree(mutant)
        finally:
            reader.close()
    return {
        "mutants": mutants,
        "refused": results["refused"],
        "loaded": results["loaded"],
        "ended": dict(ended),
        "holes": dict(holes),
        "slowest_s": round(slowest, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "reasons": dict(reasons.most_common(40)),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that show a hole")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    asked: Any = _parser().parse_args()
    if asked.worker is not None:
        _work(asked.worker)
    else:
        print(json.dumps(fuzz(asked.mutants, asked.seed, asked.keep), indent=2))
