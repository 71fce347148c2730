"""Measure models through the product on what cameras give: 4:2:0 video and pairs of real pictures.

    python benchmarks/cameras.py --kodak kodak24/ --pairs polyu/ --pairs renoir/ nano small base

*4:2:0*: each noisy picture of the 8-bit protocol is one frame of a lossless yuv420p clip (BT.601,
limited range), which goes through ``edgecae denoise CLIP -o OUT.mkv --codec ffv1``. PSNR is that of
luma, against the clean picture's. ``rgb`` is the luma of the same noisy pictures denoised as RGB.

*Pairs*: ``NAME_real`` or ``NAME_noisy``, and ``NAME_mean`` or ``NAME_clean``. The gain is the mean
of PSNR(result, clean) − PSNR(noisy, clean) over all pixels and channels; ``worse`` is how many
pictures lost.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from clips_420 import LUMA, Pixels, denoise, read_lumas, write_clip
from numpy.typing import NDArray

from edgecae.media import images
from edgecae.media.images import Picture
from edgecae.noise import gaussian
from edgecae.quality import psnr

SIGMAS = (10, 25, 50)
NOISY, CLEAN = ("_real", "_noisy"), ("_mean", "_clean")


def luma_psnr(clean: Pixels, luma: NDArray[np.float64]) -> float:
    """PSNR of a luma, H×W, against that of a clean RGB picture, in dB."""
    return psnr(clean @ LUMA, luma)


def video(folder: Path, models: list[str], work: Path) -> None:
    """Print the table of 4:2:0."""
    print("| model | path | " + " | ".join(f"σ {sigma}" for sigma in SIGMAS) + " |")
    print("|---|---|" + "---|" * len(SIGMAS))
    rows: dict[tuple[str, str], list[float]] = {}
    for sigma in SIGMAS:
        rng = np.random.default_rng(0)
        clips, pictures = work / f"clips{sigma}", work / f"pictures{sigma}"
        clips.mkdir()
        pictures.mkdir()
        clean = []
        for path in sorted(folder.iterdir()):
            picture = images.read(path).pixels
            noisy = gaussian(sigma).add(picture, rng)
            even = np.s_[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
            clean.append(picture[even])
            noisy = np.ascontiguousarray(noisy[even])
            write_clip(clips / f"{path.stem}.mkv", [noisy])
            images.write(pictures / f"{path.stem}.png", Picture(noisy))
        noisy_lumas = [images.read(path).pixels @ LUMA for path in sorted(pictures.iterdir())]
        before = [luma_psnr(*pair) for pair in zip(clean, noisy_lumas, strict=True)]
        rows.setdefault(("noisy", "rgb"), []).append(float(np.mean(before)))
        for model in models:
            out = work / f"out-{Path(model).stem}-{sigma}"
            denoise(clips, out / "clips", model, "--codec", "ffv1")
            denoise(pictures, out / "pictures", model)
            for way, results in (
                ("4:2:0", [next(read_lumas(p)) for p in sorted((out / "clips").iterdir())]),
                (
                    "rgb",
                    [images.read(p).pixels @ LUMA for p in sorted((out / "pictures").iterdir())],
                ),
            ):
                values = [luma_psnr(*pair) for pair in zip(clean, results, strict=True)]
                rows.setdefault((model, way), []).append(float(np.mean(values)))
    for (model, way), found in rows.items():
        print(f"| {Path(model).stem} | {way} | " + " | ".join(f"{x:.2f}" for x in found) + " |")


def _partner(path: Path) -> Path:
    for noisy, clean in zip(NOISY, CLEAN, strict=True):
        if path.stem.endswith(noisy):
            return path.with_stem(path.stem.removesuffix(noisy) + clean)
    raise ValueError(path)


def pairs(folder: Path, models: list[str], work: Path) -> None:
    """Print gains over the noisy pictures of a folder of pairs."""
    noisy = sorted(p for p in folder.iterdir() if p.stem.endswith(NOISY))
    inputs = work / f"noisy-{folder.name}"
    inputs.mkdir()
    clean = [images.read(_partner(path)).pixels for path in noisy]
    before = []
    for path, target in zip(noisy, clean, strict=True):
        picture = images.read(path).pixels
        before.append(psnr(target, picture))
        images.write(inputs / f"{path.stem}.png", Picture(picture))
    print(f"\n{folder.name}: {len(noisy)} pairs, noisy {np.mean(before):.2f} dB")
    print("| model | gain, dB | least | worse |")
    print("|---|---|---|---|")
    for model in models:
        out = work / f"out-{Path(model).stem}-{folder.name}"
        denoise(inputs, out, model)
        after = [images.read(path).pixels for path in sorted(out.iterdir())]
        gains = [psnr(*pair) for pair in zip(clean, after, strict=True)] - np.array(before)
        row = f"{gains.mean():+.2f} | {gains.min():+.2f} | {(gains < 0).sum()} of {len(gains)}"
        print(f"| {Path(model).stem} | {row} |")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kodak", type=Path, help="folder of clean pictures for 4:2:0")
    parser.add_argument("--pairs", type=Path, action="append", default=[])
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if options.kodak:
            video(options.kodak, options.models, Path(work))
        for folder in options.pairs:
            pairs(folder, options.models, Path(work))


if __name__ == "__main__":
    main()
