"""How far training on bursts alone comes: the table of docs/fit.md.

Photos get noise of known strength, several shots of each. One network learns from the shots alone
(:mod:`edgecae_train.data.bursts`), another from the same noisy shots with their clean pictures, by
the same recipe. Both are tested on other photos, against their clean pictures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgecae import noise
from edgecae.media import images
from edgecae.media.images import Picture
from edgecae_convert.fit.plan import TRAINING, start_of
from edgecae_train import evaluate, loop, recipe

SIDE, TESTED = 384, 16


def main() -> None:
    """Train twice, test and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--noise", default="poisson-gaussian:1.5/1/2,4")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    model = noise.parse(options.noise)
    every = sorted(options.photos.glob("*.jpg"))
    paths = every[:: len(every) // (options.scenes + TESTED)]
    tested = paths[1::2][:TESTED]
    used = [path for path in paths if path not in tested][: options.scenes]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as made:
        for path in used:
            clean = images.read(path).pixels[:SIDE, :SIDE]
            for index in range(options.shots):
                shot = Picture(model.add(clean, rng))
                images.write(Path(made, "bursts", path.stem, f"{index}.png"), shot)
                images.write(Path(made, "pairs", path.stem, f"{index}_noisy.png"), shot)
                images.write(Path(made, "pairs", path.stem, f"{index}_clean.png"), Picture(clean))
        test = evaluate.held_out(
            [images.read(path).pixels[:SIDE, :SIDE] for path in tested], 8, [model]
        )
        print(f"{options.noise}: {options.scenes} scenes of {options.shots} shots, test: {TESTED}")
        rows = {"noisy": test.measure(None)}
        rows[f"{options.model} as shipped"] = test.measure(evaluate.float_denoiser(options.model))
        for kind in ("pairs", "bursts"):
            changes = {
                "model": options.model,
                kind: str(Path(made, kind)),
                "float.steps": options.steps,
                "validate_every": options.steps,
            }
            settings = recipe.with_changes(recipe.Recipe(), {**TRAINING, **changes})
            began = time.monotonic()
            run = loop.train(settings, Path(made, f"run-{kind}"), start=start_of(options.model))
            name = f"{kind}, {options.steps} steps in {time.monotonic() - began:.0f} s"
            rows[name] = test.measure(evaluate.float_denoiser(run))
        for name, measured in rows.items():
            print(f"{name:<40}{next(iter(measured.values())):.3f} dB, float")


if __name__ == "__main__":
    main()
