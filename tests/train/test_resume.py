"""A run that is killed and resumed is the run that was never interrupted."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecae.errors import RecipeError
from edgecae_train import checkpoint, shipped, weights

EARLY = """
[float]
steps = 90
learning_rate = 4e-3

[float.early]
steps = 55
batch = 6
patch = 24
"""

TRAIN = """
from edgecae.commands.cli import main
from edgecae_train import loop
loop.CALIBRATION_BATCHES = 2
main()
"""

STEPS = ["--steps", "90", "--qat-steps", "40", "--batch", "4", "--patch", "32", "--warmup", "5"]


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


@pytest.mark.slow
@pytest.mark.parametrize("model", ["small", "classic"])
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
    kill_after(start(broken, "--resume"), broken / "history.csv", 10)
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


class Variable:
    """What a checkpoint needs of a variable of TensorFlow."""

    def __init__(self, value: np.ndarray) -> None:
        self.value, self.shape = value, value.shape

    def numpy(self) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value


def variables() -> list[Variable]:
    return [Variable(np.full(shape, 7, np.float32)) for shape in [(3, 3, 64), (64,), ()]]


def damaged(good: bytes) -> Iterator[bytes]:
    """A file that is cut, another file, and one with bytes changed throughout."""
    yield b""
    yield b"PK\x03\x04 not a checkpoint"
    yield good[: len(good) // 2]
    yield good[:-3]
    rng = random.Random(0)
    for place in range(0, len(good), max(1, len(good) // 300)):
        content = bytearray(good)
        content[place] ^= rng.randrange(1, 256)
        yield bytes(content)


def test_a_damaged_checkpoint_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "last.npz"
    checkpoint.save(file, checkpoint.State("float", step=3), variables())
    assert checkpoint.load(file, variables()).step == 3
    refusals = []
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        restored = variables()
        for variable in restored:
            variable.value = np.zeros_like(variable.value)
        try:
            checkpoint.peek(file)
            checkpoint.load(file, restored)
        except RecipeError as error:
            refusals.append(str(error))
            assert not any(variable.value.any() for variable in restored)
        else:  # a byte that says nothing, such as the time of an entry
            assert all((variable.value == 7).all() for variable in restored)
    assert len(refusals) > 100
    assert all(refusal.startswith(f"checkpoint {file} is ") for refusal in refusals)
    assert all("--init" in each or "of another network" in each for each in refusals)


def test_damaged_weights_are_said_to_be_so(tmp_path: Path) -> None:
    good = shipped.find_weights("nano").read_bytes()
    file = tmp_path / "some.weights.h5"
    for content in (b"", b"text", good[: len(good) // 2], good[:2000], good[2048:]):
        file.write_bytes(content)
        with pytest.raises(RecipeError, match=r"some\.weights\.h5 is not a weights file"):
            weights.read_weights(file)
    with pytest.raises(RecipeError, match="does not exist"):
        weights.read_weights(tmp_path / "none.weights.h5")
