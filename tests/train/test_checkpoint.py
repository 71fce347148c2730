"""A checkpoint that is damaged is refused in one line, and restores nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgecae.errors import RecipeError
from edgecae_train import checkpoint


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
