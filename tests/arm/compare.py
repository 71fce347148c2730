"""Compare what the shipped models give on several CPUs.

    python compare.py frames FRAMES.npz             make noisy frames
    python compare.py denoise FRAMES.npz OUT.npz    run every model on them
    python compare.py compare FRAMES.npz HERE.npz THERE.npz...

The last prints a Markdown table and fails where two CPUs are further apart than int8 kernels may
be; ``--docs PAGE`` puts the table between that page's ``<!-- arm -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import Denoiser, models, noise
from edgecae.device import machine
from edgecae.media import images
from edgecae.media.sources.scene import TestScene
from edgecae.quality import psnr

PICTURES = Path(__file__).parent.parent / "data"
SIGMAS = (5, 25)

LARGEST_PSNR_DIFFERENCE = 0.02
LARGEST_DIFFERENCE = 4
"""The contract lets CPUs differ by rounding. None was found to, so this is how far apart two
interpreters are on one CPU, see docs/runtime.md."""

Frames = dict[str, NDArray[np.uint8]]


def make_frames() -> Frames:
    """Clean frames, ``NAME/clean``, and the same with noise, ``NAME/σ``; uint8, H×W×3."""
    clean = {p.stem: images.read(p).pixels for p in sorted(PICTURES.glob("*.png"))}
    clean["scene"] = TestScene(640, 480).clean(0)
    frames = {f"{name}/clean": picture for name, picture in clean.items()}
    for sigma in SIGMAS:
        rng = np.random.default_rng(0)
        for name, picture in clean.items():
            frames[f"{name}/{sigma}"] = noise.gaussian(sigma).add(picture, rng)
    return frames


def denoise(frames: Frames) -> Frames:
    """What every shipped model makes of the noisy frames, ``MODEL/NAME/σ``."""
    results = {}
    for model in models.names():
        with Denoiser(model) as denoiser:
            for name, frame in frames.items():
                if not name.endswith("/clean"):
                    results[f"{model}/{name}"] = denoiser.process(frame)
    return results


def made_with() -> str:
    """CPU and versions of this machine, one line."""
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("ai-edge-litert", "numpy")]
    return ", ".join(
        [
            " ".join([platform.machine(), str(machine.read_this_machine().cpu)]),
            f"Python {platform.python_version()}",
            *versions,
        ]
    )


def checksum() -> str:
    """SHA-256 over the files of all shipped models."""
    return hashlib.sha256(
        b"".join(models.find_model(n).read_bytes() for n in models.names())
    ).hexdigest()


@dataclass(frozen=True)
class Difference:
    """How far one model's results on two CPUs are apart.

    Attributes:
        share: of the values that differ.
        beyond_one: share of those that differ by more than 1.
        largest: difference of two values.
        psnr: the largest difference of PSNR against the clean frame, of any frame, dB, by σ.
    """

    share: float
    beyond_one: float
    largest: int
    psnr: dict[int, float]

    def problems(self) -> Iterator[str]:
        """What is further apart than it may be."""
        if self.largest > LARGEST_DIFFERENCE:
            yield f"values differ by {self.largest}, more than {LARGEST_DIFFERENCE}"
        if not max(self.psnr.values()) <= LARGEST_PSNR_DIFFERENCE:
            yield f"PSNR differs by {max(self.psnr.values()):.4f} dB, more than " + str(
                LARGEST_PSNR_DIFFERENCE
            )


def difference(model: str, frames: Frames, here: Frames, there: Frames) -> Difference:
    """Compare the results of one model."""
    apart: list[NDArray[np.int16]] = []
    quality = dict.fromkeys(SIGMAS, 0.0)
    for name in (n for n in here if n.startswith(f"{model}/")):
        _, picture, sigma = name.split("/")
        clean = frames[f"{picture}/clean"]
        ours, theirs = here[name], there[name]
        apart.append(np.abs(ours.astype(np.int16) - theirs).ravel())
        between = abs(psnr(clean, ours) - psnr(clean, theirs))
        quality[int(sigma)] = max(quality[int(sigma)], between)
    values = np.concatenate(apart)
    return Difference(
        float(np.mean(values > 0)), float(np.mean(values > 1)), int(values.max()), quality
    )


def table(rows: list[tuple[str, str, Difference]]) -> str:
    """A Markdown table of (model, CPU, difference)."""
    head = ["model", "CPU", "values that differ", "by more than 1", "largest difference"]
    lines = [[*head, *(f"PSNR, σ {sigma}" for sigma in SIGMAS)]]
    lines.append(["---"] * len(lines[0]))
    for model, cpu, found in rows:
        cells = [f"{found.share:.2%}", f"{found.beyond_one:.3%}", str(found.largest)]
        cells += [f"{found.psnr[sigma]:.4f} dB" for sigma in SIGMAS]
        lines.append([f"`{model}`", cpu, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def compare(frames: Frames, here: Path, others: list[Path]) -> tuple[str, list[str]]:
    """Compare files of results.

    Returns:
        Markdown, and what is further apart than it may be, a line each.
    """
    ours = _load(here)
    lines, rows, problems = [f"- {here.stem}: {ours.pop('made_with')}"], [], []
    models_here = ours.pop("models")
    for path in others:
        theirs = _load(path)
        lines.append(f"- {path.stem}: {theirs.pop('made_with')}")
        if theirs.pop("models") != models_here or theirs.keys() != ours.keys():
            problems.append(f"{path} holds results of other models or frames than {here}")
            continue
        for model in models.names():
            found = difference(model, frames, ours, theirs)
            rows.append((model, path.stem, found))
            problems += [f"{model} on {path.stem}: {problem}" for problem in found.problems()]
    order = models.names()
    rows.sort(key=lambda row: order.index(row[0]))
    return "\n".join([table(rows), "", *lines]), problems


def _save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def _load(path: Path) -> Frames:
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task", choices=["frames", "denoise", "compare"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--docs", type=Path, help="a page to put the table in")
    options = parser.parse_args()
    files: list[Path] = options.files
    if options.task == "frames":
        _save(files[0], make_frames())
        return 0
    frames = _load(files[0])
    if options.task == "denoise":
        made = {"made_with": np.array(made_with()), "models": np.array(checksum())}
        _save(files[1], {**denoise(frames), **made})
        return 0
    text, problems = compare(frames, files[1], files[2:])
    print(text)
    if options.docs:
        page = options.docs.read_text(encoding="utf-8")
        place = r"(<!-- arm -->\n).*?(<!-- end -->)"
        filled = re.sub(place, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
        options.docs.write_text(filled, encoding="utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
