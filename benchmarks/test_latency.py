"""Latency: each size of a frame, and at VGA the bare interpreter, float against int8, the peers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecae import Denoiser, models
from edgecae.bench import case as cases
from edgecae.bench import latency, methods, peers
from edgecae.errors import SettingError
from edgecae.media.sources.scene import TestScene
from edgecae.noise import gaussian
from edgecae.tflite import interpreter as backend
from edgecae.tflite import model_file
from edgecae_convert import export
from edgecae_train import shipped as shipped_weights
from edgecae_train import weights

THREADS = (1, 2)
SLOW = {"cbm3d", "ffmpeg-bm3d"}
"""Peers that take a minute a frame, or nearly; ``edgecae bench --peers`` has them."""


@pytest.fixture(scope="module")
def float_file(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file of the same network; its weights don't matter to its speed."""
    architecture, _, _ = weights.read_weights(shipped_weights.find_weights(name))
    content = export.to_tflite(architecture.build(training=False), "float32")
    shipped = model_file.read(models.find_model(name)).metadata
    path = tmp_path_factory.mktemp("float") / f"{name}.tflite"
    path.write_bytes(export.finish(content, int8=False, metadata=shipped))
    return path


def bare(path: Path, threads: int) -> backend.Interpreter:
    """An interpreter, planned for VGA, with something in its input."""
    interpreter = backend.Interpreter(path.read_bytes(), threads, backend.find_backend())
    interpreter.resize(480, 640)
    interpreter.input()[...] = 0
    return interpreter


@pytest.fixture(params=THREADS)
def threads(request: pytest.FixtureRequest) -> int:
    """How many the interpreter has."""
    return int(request.param)


@pytest.fixture
def denoiser(name: str, threads: int) -> Iterator[Denoiser]:
    """The denoiser under test."""
    with Denoiser(name, threads) as opened:
        yield opened


def test_process(benchmark: Any, denoiser: Denoiser, vga: NDArray[np.uint8]) -> None:
    """The whole way of a frame, uint8 to uint8."""
    out = np.empty_like(vga)
    benchmark.extra_info["backend"] = str(denoiser.backend)
    benchmark.pedantic(denoiser.process, (vga, out), rounds=40, warmup_rounds=5)


@pytest.mark.parametrize("size", latency.SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_sizes(benchmark: Any, name: str, size: tuple[int, int]) -> None:
    """From QVGA to 4K, on one thread; JSON has p95, p99 and a process's peak memory beside."""
    width, height = size
    (frame,) = TestScene(width, height, frames=1, noise=gaussian(25))
    noisy, out = frame.pixels, np.empty_like(frame.pixels)
    with Denoiser(name) as denoiser:
        benchmark.pedantic(denoiser.process, (noisy, out), rounds=20, warmup_rounds=2)
    if benchmark.stats is not None:  # None with --benchmark-disable
        p95, p99 = np.quantile(benchmark.stats.stats.data, [0.95, 0.99])
        benchmark.extra_info |= {"p95_ms": 1000 * p95, "p99_ms": 1000 * p99}
        alone = cases.run_case(cases.Case(name, width, height, seconds=0.1))
        benchmark.extra_info["peak_bytes"] = alone.peak_bytes


def test_bare_interpreter(benchmark: Any, name: str, threads: int) -> None:
    """Inference alone."""
    interpreter = bare(models.find_model(name), threads)
    benchmark.pedantic(interpreter.invoke, rounds=40, warmup_rounds=5)


def test_float_interpreter(benchmark: Any, float_file: Path, threads: int) -> None:
    """Inference alone, in float32."""
    interpreter = bare(float_file, threads)
    benchmark.pedantic(interpreter.invoke, rounds=20, warmup_rounds=3)


@pytest.mark.parametrize("peer", [name for name in peers.PEERS if name not in SLOW])
def test_peer(benchmark: Any, peer: str, vga: NDArray[np.uint8]) -> None:
    """Denoisers of other projects, told σ, on one thread."""
    try:
        method = methods.find_method(peer)
    except SettingError as error:
        pytest.skip(str(error))
    noisy = gaussian(25).add(vga, np.random.default_rng(0))
    benchmark.extra_info["made_with"] = method.made_with
    with method.open(25, 1) as stream:
        results = stream(itertools.repeat(noisy))
        benchmark.pedantic(next, (results,), rounds=5, warmup_rounds=1)
