"""The same int8 file in both interpreters: they round differently, by a little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecae import Denoiser, noise
from edgecae.bench import case as cases
from edgecae.bench.case import Case
from edgecae.quality import psnr
from edgecae.tflite import interpreter

RUN = """
import sys
import numpy as np
from edgecae import Denoiser
with Denoiser(sys.argv[1], backend=sys.argv[4]) as denoiser:
    frames = np.load(sys.argv[2])
    np.savez(sys.argv[3], **{name: denoiser.process(frames[name]) for name in frames.files})
    print(denoiser.backend)
"""


def test_the_preferred_backend_is_litert() -> None:
    assert interpreter.find_backend().name == "litert"
    assert str(interpreter.find_backend("litert")).startswith("litert 2.")


@pytest.fixture(scope="module")
def old_python() -> Path:
    python = os.environ.get("EDGECAE_TFLITE_PYTHON")
    if not python:
        pytest.skip("there is no Python 3.11, the last that tflite-runtime has wheels for")
    return Path(python)


def test_tflite_runtime_is_used_where_litert_can_not_be(old_python: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['ai_edge_litert.interpreter'] = None\n"
        "from edgecae import Denoiser\n"
        "print(Denoiser().backend)"
    )
    done = subprocess.run([old_python, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("tflite-runtime 2.14")


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_both_agree_within_rounding(
    still: str,
    sigma: float,
    old_python: Path,
    photos: Path,
    tmp_path: Path,
    record_property,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clean = {p.stem: np.array(Image.open(p).convert("RGB")) for p in sorted(photos.glob("*.png"))}
    rng = np.random.default_rng(0)
    noisy = {name: noise.gaussian(sigma).add(image, rng) for name, image in clean.items()}
    np.savez(tmp_path / "noisy.npz", **noisy)
    done = subprocess.run(
        [old_python, "-c", RUN, still, tmp_path / "noisy.npz", tmp_path / "out.npz",
         "tflite-runtime"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("tflite-runtime 2.14")
    theirs = np.load(tmp_path / "out.npz")
    with Denoiser(still, backend="litert") as denoiser:
        ours = {name: denoiser.process(frame) for name, frame in noisy.items()}
    differences = np.concatenate(
        [np.abs(ours[n].astype(int) - theirs[n].astype(int)).ravel() for n in clean]
    )
    figures = {
        "largest_difference": int(differences.max()),
        "share_that_differs": round(float((differences > 0).mean()), 6),
        "psnr_litert": float(np.mean([psnr(clean[n], ours[n]) for n in clean])),
        "psnr_tflite_runtime": float(np.mean([psnr(clean[n], theirs[n]) for n in clean])),
    }
    for name, value in figures.items():
        record_property(name, value)
    with capsys.disabled():
        print(f"\n{still}, sigma {sigma}: {json.dumps(figures)}", file=sys.stderr)
    assert abs(figures["psnr_litert"] - figures["psnr_tflite_runtime"]) < 0.02


def test_both_are_timed(old_python: Path) -> None:
    """In the same conditions, each by the Python that has it."""
    new = cases.run_case(Case("nano", 160, 120, backend="litert", seconds=0.1))
    old = cases.run_case(
        Case("nano", 160, 120, backend="tflite-runtime", seconds=0.1), str(old_python)
    )
    assert new.made_with.startswith("litert 2.")
    assert old.made_with.startswith("tflite-runtime 2.14")
    assert len(old.ms) >= cases.MIN_RUNS
    assert all(ms > 0 for ms in old.ms)
