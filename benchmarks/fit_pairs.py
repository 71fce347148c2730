"""What fitting to pairs gains: the table of docs/fit.md.

PolyU's noisy pictures and means of many shots (60 pairs of 512×512). Scenes, sorted by camera and
name, go to the two halves in turn: the model is fitted on one (a tenth of it validates) and tested
on the other, of which it sees no scene.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from edgecae import models
from edgecae.media import images
from edgecae_convert import convert
from edgecae_convert.fit import judging
from edgecae_convert.fit.plan import TRAINING, start_of
from edgecae_train import loop, recipe

FIT = (
    "Canon5D2 chair", "Canon5D2 desk", "Canon5D2 plug", "Canon5D2 toy", "Canon600D toy",
    "Canon80D ball", "Canon80D printer", "NikonD800 classroom", "NikonD800 photo",
    "NikonD800 plant", "NikonD800 wall", "Sony door", "Sony toy",
)  # fmt: skip
"""Camera and scene of the half that is fitted on."""

TEST = (
    "Canon5D2 circuit", "Canon5D2 fruit", "Canon5D2 reciever", "Canon600D book",
    "Canon600D waterhouse", "Canon80D comproom", "NikonD800 bulletin", "NikonD800 flower",
    "NikonD800 planandsofa", "NikonD800 stair", "Sony classroom", "Sony plant",
)  # fmt: skip
"""Camera and scene of the half that is tested on."""


def _scene(path: Path) -> str:
    camera, *_, scene = path.name.split("_")[:5]
    return f"{camera} {scene}"


def main() -> None:
    """Fit, test and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("polyu", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--validate-every", type=int, default=100)
    options = parser.parse_args()
    noisy = sorted(options.polyu.glob("*_real.JPG"))
    unknown = {_scene(path) for path in noisy} ^ {*FIT, *TEST}
    if unknown:
        parser.error(f"the scenes are not those of the two lists: {', '.join(sorted(unknown))}")

    def mean(path: Path) -> Path:
        return path.with_name(path.name.replace("_real", "_mean"))

    with tempfile.TemporaryDirectory() as made:
        folder, run = Path(made, "pairs"), Path(made, "run")
        folder.mkdir()
        for path in noisy:
            if _scene(path) in FIT:
                for each in (path, mean(path)):
                    (folder / each.name).symlink_to(each.resolve())
        changes = {
            "model": options.model,
            "pairs": str(folder),
            "float.steps": options.steps,
            "validate_every": options.validate_every,
        }
        settings = recipe.with_changes(recipe.Recipe(), {**TRAINING, **changes})
        began = time.monotonic()
        loop.train(settings, run, start=start_of(options.model), announce=print)
        trained = time.monotonic()
        fitted = convert(run, Path(made, "fitted.tflite"), ptq=True, max_drop=1.0).model.path
        done = time.monotonic()
        print((run / "history.csv").read_text())
        pairs = [
            (images.read(path).pixels, images.read(mean(path)).pixels)
            for path in noisy
            if _scene(path) in TEST
        ]
        for gain in judging.judge(
            models.find_model(options.model), fitted, {"the test half": pairs}
        ):
            print(
                f"{options.model}, {options.steps} steps in {trained - began:.0f} s, converted in "
                f"{done - trained:.0f} s; {gain.pictures} pictures of {gain.on}, int8, dB: noisy "
                f"{gain.noisy:.2f}, shipped {gain.shipped:.2f}, fitted {gain.fitted:.2f}"
            )


if __name__ == "__main__":
    main()
