"""A library call leaves the process that makes it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a host of edgecae would."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=300, env={**inherited, **environment},
    )  # fmt: skip


def test_standard_error_belongs_to_the_host() -> None:
    code = (
        "import os, threading\n"
        "import numpy as np\n"
        "from edgecae import Denoiser\n"
        "stop, count = threading.Event(), 0\n"
        "def write():\n"
        "    global count\n"
        "    while not stop.wait(0.0005):\n"
        "        os.write(2, f'line {count} of the host\\n'.encode())\n"
        "        count += 1\n"
        "writer = threading.Thread(target=write)\n"
        "writer.start()\n"
        "while count <= 10:\n"
        "    for side in range(8, 80, 4):\n"
        "        with Denoiser('nano', threads=1) as denoiser:\n"
        "            denoiser.process(np.zeros((side, side, 3), np.uint8))\n"
        "stop.set()\n"
        "writer.join()\n"
        "print(count)\n"
    )
    done = python(code)
    lines = [line for line in done.stderr.splitlines() if line.endswith("of the host")]
    assert int(done.stdout) > 10
    assert lines == [f"line {number} of the host" for number in range(int(done.stdout))]


STATE = """
import json, logging, os, random, sys
import numpy as np
import rich.progress  # draws a random number on import
import tensorflow as tf, tf_keras
def state():
    loggers = logging.Logger.manager.loggerDict.items()
    return json.dumps({
        "environment": dict(os.environ),
        "levels": {n: l.level for n, l in loggers if isinstance(l, logging.Logger) and l.level},
        "root": [logging.root.level, len(logging.root.handlers)],
        "random": [str(random.getstate()), str(np.random.get_state())],
    })
before = state()
"""


@pytest.mark.slow
@pytest.mark.parametrize("setting", [None, "0", "1"])
def test_importing_and_seeding_change_nothing_of_the_host(setting: str | None) -> None:
    """Nor which Keras ``tf.keras`` is: its own setting decides."""
    code = STATE + (
        "import edgecae_train.loop, edgecae_train.command\n"
        "import edgecae_convert.conversion, edgecae_convert.command\n"
        "from edgecae_train import architectures\n"
        "from edgecae_train._tf import seeded\n"
        "def kernels(seed):\n"
        "    with seeded(seed):\n"
        "        network = architectures.get('nano').build()\n"
        "    return [value.tobytes() for value in network.get_weights()]\n"
        "a, b, other = kernels(1), kernels(1), kernels(2)\n"
        "print(json.dumps([before, state(), tf.keras.layers.__name__, a == b, a == other]))\n"
    )
    environment = {} if setting is None else {"TF_USE_LEGACY_KERAS": setting}
    before, after, layers, same, other = json.loads(python(code, **environment).stdout)
    assert json.loads(after) == json.loads(before)
    assert layers.startswith("tf_keras." if setting == "1" else "keras.")
    assert same
    assert not other
