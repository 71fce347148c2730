"""What is installed: the files of the wheel, and its command without any extra."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import installed
import pytest
from conftest import Once

from edgecae import models

pytestmark = pytest.mark.slow

PACKAGES = {"edgecae", "edgecae_train", "edgecae_convert"}


@pytest.fixture(scope="module")
def wheel(once: Once) -> Path:
    """The wheel of the checkout."""
    (path,) = once("wheel", installed.build).glob("*.whl")
    return path


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and the base dependencies alone."""
    folder = tmp_path_factory.mktemp("base") / "environment"
    installed.add_base_dependencies(installed.environment(folder, wheel))
    return folder / "bin"


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=installed.clean_environment(),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_wheel_holds_three_typed_packages_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.split("/")[0] for name in names}
    (information,) = tops - PACKAGES
    assert information.endswith(".dist-info")
    assert tops > PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {f"edgecae/models/{name}.tflite" for name in models.names()} <= set(names)
    assert f"{information}/licenses/LICENSE" in names
    assert not [name for name in names if "test" in Path(name).stem.split("_")]
    assert not [name for name in names if "__pycache__" in name]


def test_the_command_streams_without_any_extra(base: Path, tmp_path: Path) -> None:
    source = "test:64x48?frames=3"
    done = run(base / "edgecae", "stream", "--source", source, "--sink", "null:", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_picture_is_denoised_without_any_extra(base: Path, photos: Path, tmp_path: Path) -> None:
    picture = str(photos / "face.png")
    done = run(base / "edgecae", "denoise", picture, "-o", "clean.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clean.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", "--data", "photos", "--out", "run"), "edgecae[train]"),
        (("convert", "run", "--int8"), "edgecae[train]"),
        (("stream", "--source", "video.mp4", "--sink", "null:"), "edgecae[video]"),
        (("stream", "--source", "test:8x8?frames=1", "--sink", "view:0"), "edgecae[view]"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_needs_an_extra_names_it(
    arguments: tuple[str, ...], extra: str, base: Path, tmp_path: Path
) -> None:
    (tmp_path / "video.mp4").write_bytes(b"no video")
    done = run(base / "edgecae", *arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert extra in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_python_finds_the_public_face(base: Path, tmp_path: Path) -> None:
    code = "import edgecae; print(edgecae.__file__, edgecae.Denoiser.__name__, edgecae.__version__)"
    done = run(base / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    where, name, version = done.stdout.split()
    assert Path(where).is_relative_to(base.parent)
    assert (name, version[0].isdigit()) == ("Denoiser", True)
