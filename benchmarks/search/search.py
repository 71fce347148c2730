"""Compare networks and ways to train them, each for the same time.

    python benchmarks/search/search.py --data PHOTOS --out FOLDER --minutes 3 [NAME ...]

Each candidate trains by its own cosine schedule with as many steps as fit into the time, of which a
short run before tells the rate. One line each: what it costs, how far it came on the images held
out of PHOTOS (8-bit protocol).
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from networks import Candidate, kmacs

from edgecae_train import architectures, loop, recipe
from edgecae_train.architectures import Architecture
from edgecae_train.architectures.unet import UNet

SMALL = UNet((40, 32, 48), (0, 0, 1), (1, 0))
BASE = UNet((64, 64, 64), (0, 1, 2), (1, 1))
SEPARABLE = UNet((48, 64, 64), (1, 2, 2), (4, 2), block="separable", features=32)


def decaying(rate: float, decay: float, leak: float = 0.0) -> dict[str, Any]:
    """Settings of a short run on small patches with weight decay."""
    return {
        "float.learning_rate": rate,
        "float.weight_decay": decay,
        "float.leak": leak,
        "float.batch": 16,
        "float.patch": 48,
    }


CANDIDATES: dict[str, tuple[Architecture, dict[str, Any]]] = {
    "start": (Candidate(), {}),
    "loss psnr": (Candidate(), {"float.loss": "psnr"}),
    "four levels": (Candidate((24, 32, 48, 64), (0, 1, 1, 2), (1, 1, 1)), {}),
    "thin top": (Candidate((16, 40, 80), (0, 1, 2), (1, 2)), {}),
    "thin deep top": (Candidate((16, 40, 64), (1, 1, 2), (2, 1)), {}),
    "narrow deep": (Candidate((24, 32, 48), (0, 2, 2), (1, 2)), {}),
    "bottleneck": (Candidate(down=(0, 2, 3), up=(2, 2), block="bottleneck"), {}),
    "pointwise": (Candidate(block="pointwise"), {}),
    "separable": (Candidate((24, 40, 64), (0, 2, 4), (2, 2), block="separable"), {}),
    "residual": (Candidate((16, 32, 64), block="residual"), {}),
    "wide top": (Candidate((32, 40, 64), (0, 0, 2), (1, 0)), {}),
    "wide bottom": (Candidate((24, 40, 96), (0, 1, 1)), {}),
    "four levels wide": (Candidate((24, 40, 64, 80), (0, 1, 1, 2), (1, 1, 1)), {}),
    "relu": (Candidate(activation="relu"), {}),
    "residual relu": (Candidate((16, 32, 64), block="residual", activation="relu"), {}),
    "five levels": (Candidate((24, 32, 48, 64, 96), (0, 1, 1, 1, 1), (1, 1, 1, 1)), {}),
    "wide top, four levels": (Candidate((32, 32, 48, 64), (0, 0, 1, 1), (1, 0, 1)), {}),
    "wider top": (Candidate((40, 32, 48), (0, 0, 1), (1, 0)), {}),
    "wide top, bare": (Candidate((32, 48, 64, 64), (0, 0, 0, 1), (1, 0, 0)), {}),
    "wide top, pointwise": (Candidate((32, 40, 48), (0, 0, 1), (1, 0), "pointwise"), {}),
    "wide top, separable": (Candidate((32, 40, 64), (0, 1, 2), (1, 1), "separable"), {}),
    "wider top, bare": (Candidate((40, 32, 48, 64), (0, 0, 0, 1), (1, 0, 0)), {}),
    "24 features": (Candidate((48, 40, 48, 64), (0, 0, 0, 1), (1, 0, 0), features=24), {}),
    "16 features": (Candidate((40, 40, 48, 64), (0, 1, 1, 1), (1, 1, 0), features=16), {}),
    "deep top": (Candidate((32, 32, 48, 64), (0, 0, 0, 1), (2, 0, 0), features=16), {}),
    "wide top, four levels, 8": (Candidate((32, 48, 64, 80), (0, 0, 1, 1), (1, 0, 1)), {}),
    "wider top, 16 patches of 80": (
        Candidate((40, 32, 48), (0, 0, 1), (1, 0)),
        {"float.batch": 16, "float.patch": 80},
    ),
    "nano": (Candidate((16, 24, 32), (0, 0, 1), (1, 0)), {}),
    "nano, four levels": (Candidate((16, 24, 32, 48), (0, 0, 0, 1), (1, 0, 0)), {}),
    "nano, 8 features": (Candidate((24, 24, 32, 48), (0, 0, 0, 1), (1, 0, 0), features=8), {}),
    "base": (Candidate((80, 48, 64), (0, 0, 1), (1, 0)), {}),
    "base, deep middle": (Candidate((64, 64, 64), (0, 1, 2), (1, 1)), {}),
    "base, deep top": (Candidate((48, 48, 64), (1, 1, 1), (2, 0)), {}),
    "deep narrow top": (Candidate((24, 32, 48), (1, 0, 1), (2, 0)), {}),
    "deep separable": (Candidate((24, 40, 64), (1, 2, 3), (2, 1), "separable"), {}),
    "wider top, pointwise": (Candidate((40, 32, 48), (0, 0, 1), (1, 0), "pointwise"), {}),
    "wider top, loss rmse": (Candidate((40, 32, 48), (0, 0, 1), (1, 0)), {"float.loss": "rmse"}),
    "wider top, average 0.9995": (
        Candidate((40, 32, 48), (0, 0, 1), (1, 0)),
        {"float.average": 0.9995},
    ),
    "adam": (Candidate(), {"optimizer": "adam"}),
    "mse": (Candidate(), {"float.loss": "mse"}),
    "rate 8e-3": (Candidate(), {"float.learning_rate": 8e-3}),
    "rate 2e-3": (Candidate(), {"float.learning_rate": 2e-3}),
    "identity": (Candidate(collapsible=0), {}),
    "collapsible": (Candidate(collapsible=128), {}),
    "small, decay 0": (SMALL, decaying(4e-3, 0)),
    "small, decay 0, leak": (SMALL, decaying(4e-3, 0, 0.1)),
    "small, decay 0.3": (SMALL, decaying(4e-3, 0.3)),
    "small, decay 0.6": (SMALL, decaying(4e-3, 0.6)),
    "small, 2e-3, decay 0.6": (SMALL, decaying(2e-3, 0.6)),
    "small, 8e-3, decay 0.3": (SMALL, decaying(8e-3, 0.3)),
    "small, 8e-3, decay 0.6": (SMALL, decaying(8e-3, 0.6)),
    "small, 8e-3, decay 0.6, leak": (SMALL, decaying(8e-3, 0.6, 0.1)),
    "small, 8e-3, decay 1": (SMALL, decaying(8e-3, 1)),
    "small, 16e-3, decay 0.3": (SMALL, decaying(16e-3, 0.3)),
    "plain base, decay 0.3": (BASE, decaying(4e-3, 0.3)),
    "plain base, 8e-3, decay 0.6": (BASE, decaying(8e-3, 0.6)),
    "plain base, 8e-3, decay 0.6, leak": (BASE, decaying(8e-3, 0.6, 0.1)),
    "separable base": (SEPARABLE, decaying(4e-3, 0.3, 0.1)),
    "separable base, 48 features": (
        UNet((48, 64, 64), (1, 2, 2), (3, 2), block="separable"),
        decaying(4e-3, 0.3, 0.1),
    ),
}
"""By name: the network, and settings of the recipe that differ from the default."""

PLAIN = {"float.weight_decay": 0.0, "float.leak": 0.0}
"""What holds for all that say nothing else."""


def train(candidate: Architecture, changes: dict[str, Any], steps: int, out: Path) -> Any:
    """Train for some steps; returns seconds a step and the last row of the history."""
    architectures.ARCHITECTURES["candidate"] = candidate
    architectures.KINDS["candidate"] = Candidate
    settings = recipe.with_changes(
        recipe.Recipe(model="candidate", noise="gaussian:0-55", gray=0.0),
        {"float.steps": steps, "qat.steps": 0, "validate_every": steps, **PLAIN, **changes},
    )
    times: list[float] = []
    rows: list[dict[str, Any]] = []

    def report(event: loop.Event) -> None:
        times.append(time.perf_counter())
        if event.row:
            rows.append(event.row)

    shutil.rmtree(out, ignore_errors=True)
    loop.train(settings, out, report=report)
    first = min(50, len(times) // 2)
    return (times[-2] - times[first]) / (len(times) - 2 - first), rows[-1]


def main() -> None:
    """Print one line for each candidate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, help="the same number of steps for all instead")
    parser.add_argument("names", nargs="*", default=list(CANDIDATES))
    options = parser.parse_args()
    for name in options.names:
        candidate, changes = CANDIDATES[name]
        changes = {"data": options.data, **changes}
        folder = options.out / name.replace(" ", "-")
        rate, _ = train(candidate, changes, 200, folder)
        steps = options.steps or int(options.minutes * 60 / rate)
        _, row = train(candidate, changes, steps, folder)
        levels = "/".join(f"{v:.2f}" for k, v in row.items() if k.startswith("psnr "))
        cost, size = kmacs(candidate), candidate.build().count_params()
        print(
            f"| {name} | {cost:.2f} | {size} | {rate * 1000:.1f} | {steps} | {levels} | "
            f"{row['psnr']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
