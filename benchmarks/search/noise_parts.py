"""Train a small network on camera noise as it is, and with each of its parts left out.

    python benchmarks/search/noise_parts.py --data photos/ --held-out held-out/ --out parts/

Each training is a run in ``parts``, made by ``edgecae train`` from a recipe that is written beside
it. A run that is there goes on where it stopped. ``legs.py measure`` and ``benchmarks/cameras.py``
measure the runs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

PARTS = ("bayer", "denoise", "scale", "sharpen", "raw", "jpeg", "video", "chroma")
WHITE = "0.17*gaussian:0-20 + 0.26*gaussian:20-55"
WHITE_420 = "0.08*camera:level=2-20,rest=0,chroma=1 + 0.17*camera:level=20-60,rest=0,chroma=1"
CAMERA = "0.32*camera:level=0.7-20"

MIXTURES = {
    "all": f"{WHITE} + {WHITE_420} + {CAMERA}",
    **{f"no-{part}": f"{WHITE} + {WHITE_420} + {CAMERA},{part}=0" for part in PARTS},
    "no-camera": "0.25*gaussian:0-20 + 0.38*gaussian:20-55 + "
    "0.12*camera:level=2-20,rest=0,chroma=1 + 0.25*camera:level=20-60,rest=0,chroma=1",
    "no-420": f"0.27*gaussian:0-20 + 0.41*gaussian:20-55 + {CAMERA}",
    "white": "0.4*gaussian:0-20 + 0.6*gaussian:20-55",
}
"""Noise of the trainings: that of ``nano-1.toml``, and what is left of it."""

RECIPE = """model = "nano"
data = "{data}"
held_out = "{held_out}"
noise = "{noise}"
gray = 0.05
detail = [4, 1, 4, 1, 3]
seed = {seed}
validate_every = {steps}

[float]
steps = {steps}
patch = 112
learning_rate = 8e-3
weight_decay = 0.6
margin = 8

[float.early]
steps = {early}
batch = 16
patch = 48

[qat]
steps = 0
learning_rate = 2e-5
"""


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--held-out", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=3600, show_default=True, help="The last sixth has large patches.")
@click.option("--seed", default=11, show_default=True)
@click.argument("names", nargs=-1, type=click.Choice(list(MIXTURES)))
def main(
    data: Path, held_out: Path, out: Path, steps: int, seed: int, names: tuple[str, ...]
) -> None:
    """Train; without NAMES all."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names or MIXTURES:
        run, file = out / f"{name}-{seed}", out / f"{name}-{seed}.toml"
        text = RECIPE.format(
            data=data.resolve(),
            held_out=held_out.resolve(),
            noise=MIXTURES[name],
            seed=seed,
            steps=steps,
            early=steps * 5 // 6,
        )
        file.write_text(text, encoding="utf-8")
        going_on = ["--resume"] if run.exists() else ["--recipe", str(file)]
        subprocess.run(
            [sys.executable, "-m", "edgecae", "train", "--out", str(run), *going_on], check=True
        )


if __name__ == "__main__":
    main()
