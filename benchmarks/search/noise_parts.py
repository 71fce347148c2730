"""Train a small network on camera noise as it is, and with each of its parts left out.

    python benchmarks/search/noise_parts.py --data photos/ --held-out held-out/ --out parts/

Each training is a run in ``parts``, with the recipe ``nano-1.toml`` but for its noise and a shorter
time. A run that is there goes on where it stopped. ``legs.py measure`` and
``benchmarks/cameras.py`` measure the runs.
"""

from __future__ import annotations

from pathlib import Path

import click

from edgecae_train import loop, recipe

NANO = recipe.read(Path(__file__).parents[2] / "recipes" / "nano-1.toml")

Kind = tuple[float, str, int]
"""Share, noise, and of how many patches the most detailed one is taken."""


def kinds_of(settings: recipe.Recipe) -> list[Kind]:
    """The kinds of noise of a mixture, with the detail of each."""
    parts = (each.split("*", 1) for each in settings.noise.split(" + "))
    assert not isinstance(settings.detail, int)
    return [
        (float(share), noise, detail)
        for (share, noise), detail in zip(parts, settings.detail, strict=True)
    ]


ALL = kinds_of(NANO)
WHITE, WHITE_420, CAMERA = ALL[:2], ALL[2:4], ALL[4:]
PARTS = ("bayer", "denoise", "scale", "sharpen", "raw", "jpeg", "video", "chroma")
MIXTURES: dict[str, list[Kind]] = {
    "all": ALL,
    **{
        f"no-{part}": [*ALL[:4], *((share, f"{noise},{part}=0", n) for share, noise, n in CAMERA)]
        for part in PARTS
    },
    "no-camera": WHITE + WHITE_420,
    "no-420": WHITE + CAMERA,
    "white": WHITE,
}
"""Noise of the trainings: that of ``nano-1.toml``, and what is left of it."""


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--held-out", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=3600, show_default=True, help="The last sixth has large patches.")
@click.option("--seed", default=NANO.seed, show_default=True)
@click.argument("names", nargs=-1, type=click.Choice(list(MIXTURES)))
def main(
    data: Path, held_out: Path, out: Path, steps: int, seed: int, names: tuple[str, ...]
) -> None:
    """Train; without NAMES all."""
    for name in names or MIXTURES:
        run = out / f"{name}-{seed}"
        if (run / "float.weights.h5").exists():
            continue
        kinds = MIXTURES[name]
        whole = sum(share for share, *_ in kinds)
        changes = {
            "data": str(data),
            "held_out": str(held_out),
            "noise": " + ".join(f"{share / whole:.9f}*{noise}" for share, noise, _ in kinds),
            "detail": [detail for *_, detail in kinds],
            "seed": seed,
            "validate_every": steps,
            "float.steps": steps,
            "float.early.steps": steps * 5 // 6,
        }
        resume = (run / "recipe.toml").exists()
        loop.train(recipe.with_changes(NANO, changes), run, resume=resume, announce=print)


if __name__ == "__main__":
    main()
