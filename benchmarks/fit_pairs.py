"""What fitting to pairs gains: the table of docs/fit.md.

PolyU's noisy pictures and means of many shots (60 pairs of 512×512). Scenes, sorted by camera and
name, go to the two halves in turn: the model is fitted on one (a tenth of it validates) and tested
on the other, of which it sees no scene.

``--cbm3d`` adds CBM3D (pip install 'edgecae[bm3d-noncommercial]'), which is told a σ for each
picture: the one of 5, 10, 14 and 20 whose result has the highest PSNR. Only who has the clean
picture knows that one, so this is an oracle. It is slow, so ``--crop`` tests on the middle of the
pictures, by all methods.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecae import models
from edgecae.bench.peers import cbm3d
from edgecae.media import images
from edgecae.quality import psnr
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


ORACLE_SIGMAS = (5, 10, 14, 20)

Pixels = NDArray[np.uint8]


def _scene(path: Path) -> str:
    camera, *_, scene = path.name.split("_")[:5]
    return f"{camera} {scene}"


def _mean(path: Path) -> Path:
    return path.with_name(path.name.replace("_real", "_mean"))


def middle(picture: Pixels, side: int) -> Pixels:
    """The middle of a picture, side×side×3, or all of it where ``side`` is 0."""
    top, left = ((length - side) // 2 if side else 0 for length in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side or None, left : left + side or None])


def oracle(pairs: Sequence[tuple[Pixels, Pixels]]) -> float:
    """Mean PSNR of CBM3D in dB, each picture with the σ that is best for it.

    Args:
        pairs: noisy and clean pictures, uint8, H×W×3.
    """
    return float(
        np.mean(
            [
                max(psnr(clean, cbm3d.cbm3d(noisy, sigma)) for sigma in ORACLE_SIGMAS)
                for noisy, clean in pairs
            ]
        )
    )


def fit(noisy: Sequence[Path], work: Path, options: argparse.Namespace) -> Path:
    """Fit to the scenes of one half, unless that is done; return the model file.

    Args:
        noisy: the pictures of both halves.
        work: folder for pairs, run and file.
        options: of the command.
    """
    folder, run, fitted = work / "pairs", work / "run", work / "fitted.tflite"
    if fitted.exists():
        return fitted
    folder.mkdir(parents=True)
    for path in noisy:
        if _scene(path) in FIT:
            for each in (path, _mean(path)):
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
    convert(run, fitted, ptq=True, max_drop=1.0)
    done = time.monotonic()
    print((run / "history.csv").read_text())
    print(
        f"{options.model}, {options.steps} steps in {trained - began:.0f} s, converted in "
        f"{done - trained:.0f} s"
    )
    return fitted


def main() -> None:
    """Fit, test and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("polyu", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--work", type=Path, help="keep the fit there, or take the one that is")
    parser.add_argument("--cbm3d", action="store_true", help="also with CBM3D, an oracle")
    parser.add_argument("--crop", type=int, default=0, help="side of the middle to test on, pixels")
    options = parser.parse_args()
    if options.cbm3d:
        print(cbm3d.PEERS[0].package.require("cbm3d"))
    noisy = sorted(options.polyu.glob("*_real.JPG"))
    unknown = {_scene(path) for path in noisy} ^ {*FIT, *TEST}
    if unknown:
        parser.error(f"the scenes are not those of the two lists: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as made:
        fitted = fit(noisy, options.work or Path(made), options)
        pairs = [
            (
                middle(images.read(path).pixels, options.crop),
                middle(images.read(_mean(path)).pixels, options.crop),
            )
            for path in noisy
            if _scene(path) in TEST
        ]
        (gain,) = judging.judge(models.find_model(options.model), fitted, {"the test half": pairs})
    print(
        f"{gain.pictures} pictures of {gain.on}, {'×'.join(map(str, pairs[0][0].shape[:2]))}, "
        f"int8, dB: noisy {gain.noisy:.2f}, shipped {gain.shipped:.2f}, fitted {gain.fitted:.2f}",
        flush=True,
    )
    if options.cbm3d:
        print(f"CBM3D with the best σ of {ORACLE_SIGMAS} for each picture: {oracle(pairs):.2f}")


if __name__ == "__main__":
    main()
