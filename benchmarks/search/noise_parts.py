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

Kind = tuple[float, str, int]
"""Share, noise, and of how many patches the most detailed one is taken."""

WHITE: list[Kind] = [(0.17, "gaussian:0-20", 4), (0.26, "gaussian:20-55", 1)]
WHITE_420: list[Kind] = [
    (0.08, "camera:level=2-20,rest=0,chroma=1", 4),
    (0.17, "camera:level=20-60,rest=0,chroma=1", 1),
]


def camera(*left_out: str) -> list[Kind]:
    """Noise of cameras without some of its parts."""
    return [(0.32, ",".join(["camera:level=0.7-20", *(f"{each}=0" for each in left_out)]), 3)]


MIXTURES: dict[str, list[Kind]] = {
    "all": WHITE + WHITE_420 + camera(),
    **{f"no-{part}": WHITE + WHITE_420 + camera(part) for part in PARTS},
    "no-camera": WHITE + WHITE_420,
    "no-420": WHITE + camera(),
    "white": WHITE,
}
"""Noise of the trainings: that of ``nano-1.toml``, and what is left of it."""

RECIPE = """model = "nano"
data = "{data}"
held_out = "{held_out}"
noise = "{noise}"
gray = 0.05
detail = {detail}
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
        kinds = MIXTURES[name]
        whole = sum(share for share, *_ in kinds)
        text = RECIPE.format(
            data=data.resolve(),
            held_out=held_out.resolve(),
            noise=" + ".join(f"{share / whole:.9f}*{noise}" for share, noise, _ in kinds),
            detail=[detail for *_, detail in kinds],
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
