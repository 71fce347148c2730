"""Fixtures that several rooms share, and the rule about skipped tests."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from training import convert, train

from edgecae import Denoiser, models
from edgecae.tflite import model_file

if TYPE_CHECKING:  # tests of the runtime do without TensorFlow
    from edgecae_convert.report.results import ConversionResults

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


def _has_gstreamer() -> bool:
    """Whether the system's Python, which has packages of its own, can serve RTSP."""
    code = "from gi import require_version as r; r('GstRtspServer', '1.0')"
    command = ["/usr/bin/python3", "-c", f"{code}; from gi.repository import GstRtspServer"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


GSTREAMER = _has_gstreamer()

EXPECTED_SKIPS = {
    "the photos and clips for evaluation are not beside the checkout": not SHARED.is_dir(),
    "there is no Python 3.11, the last that tflite-runtime has wheels for": not os.environ.get(
        "EDGECAE_TFLITE_PYTHON"
    ),
    "there is no Python that has Home Assistant": not os.environ.get(
        "EDGECAE_HOME_ASSISTANT_PYTHON"
    ),
    "pillow-heif is not installed": not importlib.util.find_spec("pillow_heif"),
    "there is one core alone": len(os.sched_getaffinity(0)) < 2,
    "there is no C compiler": not shutil.which("cc"),
    "tflite-micro is not installed": not importlib.util.find_spec("tflite_micro"),
    "GStreamer's RTSP server is not installed": not GSTREAMER,
    "bm3d, which is for non-commercial use only, is not installed": not importlib.util.find_spec(
        "bm3d"
    ),
    "there is no program ffmpeg": not shutil.which("ffmpeg"),
    "chromium and its driver are not installed": not (
        shutil.which("chromium") and shutil.which("chromedriver")
    ),
}
"""Reason for a skip, and whether it holds here. Any other skip fails the run."""

_unexpected: dict[str, None] = {}
"""A line for each skip that is not expected, once: under pytest-xdist, every worker collects."""


# A core that others use is slow at times: that is no failure.
hypothesis.settings.register_profile(
    "edgecae", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("edgecae")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # pytest-xdist starts a worker for each core: TensorFlow's threads would be too many.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not EXPECTED_SKIPS.get(reason.removeprefix("Skipped: "), False):
            _unexpected[f"{report.nodeid}: {reason}"] = None


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _unexpected[f"{report.nodeid}: {report.longrepr}"] = None


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _unexpected:
        terminalreporter.write_line(f"unexpected skip: {line}", red=True)


HAD_TENSORFLOW = pytest.StashKey[bool]()

WHOLLY_SLOW = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)
"""A line of a module of which no test is a core test; only such a module may import TensorFlow."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules alone of which nothing is chosen: importing TensorFlow takes ten seconds."""
    if "not slow" in config.option.markexpr and collection_path.suffix == ".py":
        return bool(WHOLLY_SLOW.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse a module that imports TensorFlow although it has core tests."""
    before = "tensorflow" in sys.modules
    report = yield
    imported = "tensorflow" in sys.modules and not before and isinstance(collector, pytest.Module)
    if imported and not WHOLLY_SLOW.search(collector.path.read_text(encoding="utf-8")):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} imports TensorFlow: is all of it slow?"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    item.stash[HAD_TENSORFLOW] = "tensorflow" in sys.modules
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a core test that is the first to import TensorFlow, by itself or in its fixtures."""
    yield
    imported = "tensorflow" in sys.modules and not item.stash[HAD_TENSORFLOW]
    if imported and not item.get_closest_marker("slow"):
        pytest.fail("a core test imports TensorFlow: mark it slow", pytrace=False)


SLOW_FIXTURES = {"run", "some_run", "latent_run", "codec", "made", "float_file", "site", "device"}
"""Fixtures that train or convert a network, build the site, …: what needs one of them is slow."""


@pytest.hookimpl(tryfirst=True)  # before markers are chosen from
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    # The workers of pytest-xdist take file after file: one that lasts must not begin last, and
    # what trains lasts longest.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.parent.name != "train"))


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Call ``once(name, make)`` for a path that ``make(path)`` writes once in a whole test run.

    All workers of pytest-xdist share the path: nobody may write below it afterwards.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all workers

    def made(name: str, make: Callable[[Path], object]) -> Path:
        path = base / "once" / name
        path.parent.mkdir(exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                # What fails is not left behind as if it were finished.
                unfinished = tmp_path_factory.mktemp("once") / name
                make(unfinished)
                unfinished.rename(path)
        return path

    return made


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of small real pictures."""
    return DATA


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """One of them, uint8, 144×144×3."""
    return np.array(Image.open(DATA / "face.png").convert("RGB"))


@pytest.fixture(scope="session", params=["nano", "classic"])
def run(request: pytest.FixtureRequest, photos: Path, once: Once) -> Path:
    """A finished run of each architecture, a few seconds of training on the small pictures."""
    return once(request.param, lambda path: train(path, photos, model=request.param))


@pytest.fixture(scope="session")
def some_run(photos: Path, once: Once) -> Path:
    """One of them, where the architecture does not matter."""
    return once("nano", lambda path: train(path, photos, model="nano"))


@pytest.fixture(scope="session")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ConversionResults:
    """The conversion of each finished run to an int8 file; nobody may change it."""
    path = tmp_path_factory.mktemp("made") / f"{run.name}.tflite"
    return convert(run, path, details=True)


@pytest.fixture(scope="session")
def float_file(once: Once) -> Path:
    """A float32 file of the architecture ``nano``; its weights are random."""
    from edgecae_convert import export
    from edgecae_train import architectures

    def make(path: Path) -> None:
        about = replace(model_file.read(models.find_model("nano")).metadata, precision="float32")
        content = export.to_tflite(architectures.get("nano").build(training=False), "float32")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(export.encode(export.settle(content, int8=False), about))

    return once("nano-float32.tflite", make)


@pytest.fixture(scope="session")
def latent_run(photos: Path, once: Once) -> Path:
    """A finished run of an autoencoder with a latent of 4 channels."""
    return once("latent", lambda path: train(path, photos, model="classic", latent=4))


@pytest.fixture(scope="session")
def codec(latent_run: Path, once: Once) -> Path:
    """A folder with whole.tflite of that run, and encoder.tflite and decoder.tflite."""
    import autoencoder

    def make(path: Path) -> None:
        path.mkdir()
        autoencoder.split(latent_run, path)

    return once("codec", make)


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


@pytest.fixture(scope="session", params=models.still_names())
def still(request: pytest.FixtureRequest) -> str:
    """Each shipped model for single frames in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def denoiser() -> Iterator[Denoiser]:
    """The default model."""
    with Denoiser() as opened:
        yield opened
