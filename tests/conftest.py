"""Fixtures that several rooms share, and the rule about skipped tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from training import TINY

from edgecae import Denoiser, models

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"

EXPECTED_SKIPS = {
    "the photos and clips for evaluation are not beside the checkout": not SHARED.is_dir(),
    "there is no Python 3.11, the last that tflite-runtime has wheels for": not os.environ.get(
        "EDGECAE_TFLITE_PYTHON"
    ),
    "there is no C compiler": not shutil.which("cc"),
    "tflite-micro is not installed": not importlib.util.find_spec("tflite_micro"),
    "bm3d, which is for non-commercial use only, is not installed": not importlib.util.find_spec(
        "bm3d"
    ),
    "there is no program ffmpeg": not shutil.which("ffmpeg"),
    "chromium and its driver are not installed": not (
        shutil.which("chromium") and shutil.which("chromedriver")
    ),
}
"""Reason for a skip, and whether it holds here. Any other skip fails the run."""

_unexpected: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not EXPECTED_SKIPS.get(reason.removeprefix("Skipped: "), False):
            _unexpected.append(f"{report.nodeid}: {reason}")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _unexpected.append(f"{report.nodeid}: {report.longrepr}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _unexpected:
        terminalreporter.write_line(f"unexpected skip: {line}", red=True)


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of small real pictures."""
    return DATA


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """One of them, uint8, 144×144×3."""
    return np.array(Image.open(DATA / "face.png").convert("RGB"))


@pytest.fixture(scope="session", params=["small", "classic"])
def run(
    request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of each architecture, a few seconds of training on the small pictures."""
    from edgecae_train import loop, recipe

    settings = recipe.with_changes(
        recipe.Recipe(), {**TINY, "model": request.param, "data": str(photos)}
    )
    return loop.train(settings, tmp_path_factory.mktemp("runs") / request.param)


@pytest.fixture(scope="session")
def latent_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of an autoencoder with a latent of 4 channels."""
    from edgecae_train import loop, recipe

    settings = recipe.with_changes(
        recipe.Recipe(), {**TINY, "model": "classic", "latent": 4, "data": str(photos)}
    )
    return loop.train(settings, tmp_path_factory.mktemp("runs") / "latent")


@pytest.fixture(scope="session")
def halves(latent_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with whole.tflite of that run, and encoder.tflite and decoder.tflite."""
    import autoencoder

    return autoencoder.split(latent_run, tmp_path_factory.mktemp("halves"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The photos and clips for evaluation; skips where they are not."""
    if not SHARED.is_dir():
        pytest.skip("the photos and clips for evaluation are not beside the checkout")
    return SHARED


@pytest.fixture(scope="session", params=models.names())
def shipped(request: pytest.FixtureRequest) -> str:
    """Each shipped model in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def denoiser() -> Iterator[Denoiser]:
    """The default model."""
    with Denoiser() as opened:
        yield opened
