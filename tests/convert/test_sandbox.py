"""The process that opens foreign files: what it can't do, and what becomes of it."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import hostile
import numpy as np
import pytest

from edgecae.errors import RecipeError
from edgecae_convert.foreign import network as foreign
from edgecae_convert.foreign import sandbox
from edgecae_train._tf import keras

pytestmark = [pytest.mark.slow, pytest.mark.faults]

ATTEMPTS = """
import json, os, signal, socket, sys
from pathlib import Path
from edgecae_convert.foreign import sandbox

folder, outside, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sandbox.enter(folder)

def made(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True

print(json.dumps({
    "write in its folder": made(lambda: Path("inside").write_text("x")),
    "write elsewhere": made(lambda: (outside / "made").write_text("x")),
    "make a link elsewhere": made(lambda: (outside / "link").symlink_to("x")),
    "remove elsewhere": made((outside / "kept").unlink),
    "connect": made(lambda: socket.create_connection(("127.0.0.1", port), 5)),
    "signal": made(lambda: os.kill(os.getppid(), 0)),
    "take 3 GiB": made(lambda: bytearray(3 * 2**30)),
}))
"""


def landlock() -> int:
    """The version of the kernel's Landlock; 0 and less: it has none."""
    libc = ctypes.CDLL(None)
    return int(libc.syscall(sandbox.CREATE_RULESET, None, 0, sandbox.RULESET_VERSION))


def test_what_the_worker_can_not_do(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "kept").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = [sys.executable, "-c", ATTEMPTS, str(folder), str(outside), port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    could = json.loads(done.stdout)
    assert could.pop("write in its folder")
    assert not could.pop("take 3 GiB")
    if landlock() >= 6:  # what an older kernel leaves to the check of the file
        assert could == dict.fromkeys(could, False)
        assert [each.name for each in outside.iterdir()] == ["kept"]


def network(path: Path) -> Path:
    frame = keras.layers.Input((None, None, 3))
    keras.Model(frame, keras.layers.Conv2D(3, 3, padding="same")(frame)).save(path)
    return path


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers get their folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_network_runs_and_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    with foreign.open_model(network(tmp_path / "model.h5"), trust=False) as found:
        worker = found.network
        assert worker(np.zeros((1, 16, 24, 3), np.float32)).shape == (1, 16, 24, 3)
        with pytest.raises(RecipeError, match="can't be run"):
            worker(np.zeros((1, 16, 24, 4), np.float32))
        assert list(scratch.iterdir())
    assert worker._process.returncode is not None
    assert not list(scratch.iterdir())


def test_a_worker_that_dies_or_hangs(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.zeros((1, 16, 16, 3), np.float32)
    path = network(tmp_path / "model.h5")
    with foreign.open_model(path, trust=False) as found:
        os.kill(found.network._process.pid, signal.SIGKILL)
        with pytest.raises(RecipeError, match=r"status -9.*memory"):
            found.network(frame)
    with foreign.open_model(path, trust=False) as found:
        monkeypatch.setattr(foreign, "MAX_SECONDS_TO_RUN", 0.5)
        os.kill(found.network._process.pid, signal.SIGSTOP)
        with pytest.raises(RecipeError, match=r"more than 0\.5 s"):
            found.network(frame)
    assert not list(scratch.iterdir())


def test_a_file_that_takes_all_memory(tmp_path: Path, scratch: Path) -> None:
    """2.6 kB that ask for 48 GiB of weights."""
    wide = [
        hostile.layer("Conv2D", name=f"c{number}", filters=2**14, kernel_size=[1, 1])
        for number in range(48)
    ]
    path = tmp_path / "wide.h5"
    hostile.write_h5(path, hostile.sequential(*wide))
    with pytest.raises(RecipeError, match=f"{path}"):
        foreign.open_model(path, trust=False)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert largest < sandbox.MAX_MEMORY_TO_OPEN + 2**30
    assert not list(scratch.iterdir())


def test_a_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.h5")
    with pytest.raises(RecipeError, match="no ordinary file"):
        foreign.open_model(tmp_path / "model.h5", trust=False)


def test_names_out_of_a_file_are_printable(tmp_path: Path) -> None:
    """They may be sent to a terminal."""
    hostile.write_h5(tmp_path / "model.h5", hostile.sequential(hostile.layer("\x1b]0;mine\x07")))
    with pytest.raises(RecipeError) as caught:
        foreign.open_model(tmp_path / "model.h5", trust=False)
    assert str(caught.value).isprintable()
