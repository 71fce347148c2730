"""A run that is killed and resumed is the run that was never interrupted."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecae.errors import RecipeError
from edgecae_train import checkpoint, shipped, weights

pytestmark = pytest.mark.slow

EARLY = """
[float]
steps = 70
learning_rate = 4e-3

[float.early]
steps = 45
batch = 6
patch = 24
"""

TRAIN = """
from edgecae.commands.cli import main
from edgecae_train import run
run.CALIBRATION_BATCHES = 2
main()
"""

STEPS = ["--steps", "70", "--qat-steps", "30", "--batch", "4", "--patch", "32", "--warmup", "5"]


def start(out: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, "train", "--out", str(out), *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def kill_after(process: subprocess.Popen[str], history: Path, rows: int) -> None:
    """SIGKILL as soon as the history has so many rows."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if history.exists() and len(history.read_text().splitlines()) > rows:
            process.kill()
            process.communicate()
            assert process.returncode == -9
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    process.kill()
    pytest.fail(f"{history} never came to {rows} rows")


@pytest.mark.parametrize("model", ["nano", "classic"])
def test_kill_and_resume(model: str, photos: Path, tmp_path: Path) -> None:
    """Killed in the float phase and again in the QAT phase; classic has dropout besides."""
    recipe = tmp_path / "early.toml"
    recipe.write_text(EARLY)
    settings = [
        "--recipe", str(recipe), "--model", model, "--data", str(photos), "--seed", "5",
        "--validate-every", "10", "--schedule", "plateau", "--deterministic", *STEPS,
    ]  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    uninterrupted = start(whole, *settings)
    kill_after(start(broken, *settings), broken / "history.csv", 3)
    assert checkpoint.peek(broken / "checkpoints" / "last.npz").phase == "float"
    kill_after(start(broken, "--resume"), broken / "history.csv", 8)
    assert checkpoint.peek(broken / "checkpoints" / "last.npz").phase == "qat"
    finish(start(broken, "--resume"))
    finish(uninterrupted)

    assert (broken / "history.csv").read_text() == (whole / "history.csv").read_text()
    for name in ("float.weights.h5", "qat.weights.h5"):
        expected, got = (weights.read_weights(run / name)[2] for run in (whole, broken))
        assert expected.keys() == got.keys()
        assert all((expected[key] == got[key]).all() for key in expected)
    states = [checkpoint.peek(run / "checkpoints" / "last.npz") for run in (whole, broken)]
    assert states[0] == states[1]


def test_damaged_weights_are_said_to_be_so(tmp_path: Path) -> None:
    good = shipped.find_weights("nano").read_bytes()
    file = tmp_path / "some.weights.h5"
    for content in (b"", b"text", good[: len(good) // 2], good[:2000], good[2048:]):
        file.write_bytes(content)
        with pytest.raises(RecipeError, match=r"some\.weights\.h5 is not a weights file"):
            weights.read_weights(file)
    with pytest.raises(RecipeError, match="does not exist"):
        weights.read_weights(tmp_path / "none.weights.h5")
