"""A run that is killed and resumed is the run that was never interrupted."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training import SHAPES, tiny

from edgecae.errors import RecipeError, SinkError
from edgecae_train import architectures, checkpoint, devices, run, shipped, weights

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


def test_kill_and_resume(photos: Path, tmp_path: Path) -> None:
    """Killed in the float phase and again in the QAT phase, with dropout, which no other has.

    Runs of other networks are stopped without a kill (``test_photographed.py``, ``test_gate.py``).
    """
    recipe = tmp_path / "early.toml"
    shape = [f"{name} = {list(value)}" for name, value in SHAPES["classic"].items()]
    recipe.write_text("\n".join([EARLY, "[architecture]", *shape]))
    settings = [
        "--recipe", str(recipe), "--model", "classic", "--data", str(photos), "--seed", "5",
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


def test_a_run_in_use_is_left_alone(photos: Path, tmp_path: Path) -> None:
    """Another process holds the directory; once it has ended, the run goes on."""
    settings = tiny(photos)
    directory = tmp_path / "run"
    directory.mkdir()
    architecture = architectures.get(settings.model)
    chosen = devices.Devices(None, "float32", 0, 1, "")
    own = run.Run(settings, directory, architecture, chosen, None, None, print)  # type: ignore[arg-type]
    hold = (
        "import fcntl, os, sys; place = os.open(sys.argv[1], os.O_RDONLY); "
        "fcntl.flock(place, fcntl.LOCK_EX); print('on', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(directory)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "on\n"
        with pytest.raises(RecipeError, match=f"{directory} is in use"), run.claimed(own):
            pass
        other.kill()
    with run.claimed(own), pytest.raises(RecipeError, match="is in use"), run.claimed(own):
        pass
    with run.claimed(own):
        assert own.last.parent.is_dir()


def test_a_full_disk_is_one_line_with_the_path(tmp_path: Path) -> None:
    """A limit on the length of files stands for the disk; the old file stays as it was."""
    path = tmp_path / "best.weights.h5"
    architecture = architectures.get("nano")
    network = architecture.build(training=False)
    weights.save_weights(path, network, architecture, "float")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(SinkError, match=f"^{path} can't be written: File too large$"):
            weights.save_weights(path, network, architecture, "float")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
