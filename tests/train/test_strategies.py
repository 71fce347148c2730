"""Several devices and several machines, for real: logical devices, processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ports import free_port
from training import SHAPES, TINY, tiny

from edgecae.errors import RecipeError
from edgecae_train import devices, loop, weights

pytestmark = pytest.mark.slow

TRAIN = """
import json, sys
from pathlib import Path
from edgecae_train import loop, recipe, run
from edgecae_train._tf import tf
run.CALIBRATION_BATCHES = 2
logical, settings, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
if logical > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(logical)]
    )
loop.train(recipe.with_changes(recipe.Recipe(), settings), out, announce=print)
"""


def train(out: Path, settings: dict, logical: int = 1, config: dict | None = None):
    environment = dict(os.environ)
    environment.pop("TF_CONFIG", None)
    if config:
        environment["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(logical), json.dumps({**TINY, **settings}), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def finish(process) -> str:
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    return output


def float_weights(run: Path) -> dict[str, np.ndarray]:
    return weights.read_weights(run / "float.weights.h5")[2]


def test_two_devices_do_what_one_does(photos: Path, tmp_path: Path) -> None:
    """Same batches, so the same weights but for the order of additions.

    That difference grows with each step, as Muon makes small gradients count as much as large ones.
    """
    settings = {"precision": "float32", "float.steps": 12, "qat.steps": 0}
    given = {"data": str(photos), "strategy": "mirrored", **settings}
    two = train(tmp_path / "two", given, logical=2)
    said: list[str] = []
    loop.train(tiny(photos, strategy="one", **settings), tmp_path / "one", announce=said.append)
    assert said == ["1 x CPU, float32, OneDeviceStrategy"]
    assert "2 x CPU, float32, MirroredStrategy" in finish(two)
    a, b = float_weights(tmp_path / "one"), float_weights(tmp_path / "two")
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], atol=2e-3, err_msg=name)


def test_dropout_on_two_devices(photos: Path, tmp_path: Path) -> None:
    settings = {"model": "classic", "architecture": SHAPES["classic"], "qat.steps": 2}
    settings |= {"data": str(photos), "strategy": "mirrored"}
    finish(train(tmp_path / "run", settings, logical=2))
    assert (tmp_path / "run" / "qat.weights.h5").exists()


def test_two_workers_train_together(photos: Path, tmp_path: Path) -> None:
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    settings = {"data": str(photos), "precision": "float32"}
    workers = [
        train(
            tmp_path / "run",
            settings,
            config={"cluster": cluster, "task": {"type": "worker", "index": index}},
        )
        for index in range(2)
    ]
    said = [finish(worker) for worker in workers]
    for index, line in enumerate(said):
        assert f"worker {index + 1} of 2" in line
        assert "MultiWorkerMirroredStrategy" in line
    assert (tmp_path / "run" / "qat.weights.h5").exists()
    # Each made half of the batch, and both halves count: one half alone leads elsewhere.
    alone = {"precision": "float32", "float.batch": 2, "qat.steps": 0}
    loop.train(tiny(photos, **alone), tmp_path / "half")
    together, alone = float_weights(tmp_path / "run"), float_weights(tmp_path / "half")
    assert max(np.abs(together[name] - alone[name]).max() for name in together) > 5e-3
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 + 2  # one writer: the header, three float rows, two of QAT


@pytest.mark.parametrize(
    "config",
    ["garbage", "[]", '{"cluster": {"worker": ["a:1", "b:1"]}}', '{"cluster": {"chief": ["a:1"]}}'],
)
def test_a_cluster_that_is_none(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(RecipeError, match="TF_CONFIG"):
        devices.choose()


@pytest.mark.parametrize("index", [2, -1])
def test_a_worker_that_is_not_named(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(RecipeError, match=f"TF_CONFIG: there is no worker {index}; 2 are named"):
        devices.choose()


def test_a_worker_that_does_not_come_is_named(photos: Path, tmp_path: Path) -> None:
    """The one that waits says so, and Ctrl-C ends it."""
    here, missing = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = {"cluster": {"worker": [here, missing]}, "task": {"type": "worker", "index": 0}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
    command = [sys.executable, "-m", "edgecae", "train", "--data", str(photos), "--out"]
    with subprocess.Popen(
        [*command, str(tmp_path / "run")], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        try:
            said = next(line for line in process.stderr if "waits for the workers" in line)
            assert missing in said
            assert here not in said
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()


def test_workers_need_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(RecipeError, match="TF_CONFIG"):
        devices.choose("workers")
