"""Rules of the house that no linter knows."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from conftest import ROOT

from edgecae.commands import cli
from edgecae.media import sinks, sources

HEAVY = (
    "tensorflow",
    "tf_keras",
    "keras",
    "matplotlib",
    "jinja2",
    "cv2",
    "skimage",
    "sklearn",
    "bm3d",
    "msgspec",
    "rich",
    "av",
    "aiohttp",
    "prometheus_client",
    "simplejpeg",
)


@pytest.mark.parametrize("name", ["edgecae", "edgecae_train", "edgecae_convert"])
def test_each_package_is_typed_and_imports_nothing_before_it_is_used(name: str) -> None:
    package = importlib.import_module(name)
    assert Path(package.__file__).with_name("py.typed").is_file()
    code = f"import sys, {name}; print([m for m in ('numpy', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face() -> None:
    import edgecae

    assert edgecae.__version__ == importlib.metadata.version("edgecae")
    assert set(edgecae.__all__) == {"Denoiser", "__version__"} == set(dir(edgecae))
    with pytest.raises(AttributeError, match="has no attribute 'unknown'"):
        edgecae.unknown  # noqa: B018


def test_the_base_install_pulls_no_tensorflow() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {d.split(">")[0].split("[")[0] for d in project["dependencies"]}
    assert base == {"ai-edge-litert", "click", "numpy", "pillow"}


def test_the_runtime_imports_nothing_heavy() -> None:
    code = (
        "import sys, edgecae.commands.cli, edgecae.noise, edgecae.quality, edgecae.models\n"
        "import edgecae.commands.denoise, edgecae.commands.stream\n"
        "import edgecae.commands.bench, edgecae.bench.case\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SLOW = (
    "PIL",
    "ai_edge_litert.schema_py_generated",
    "asyncio",
    "importlib.metadata",
    "statistics",
    "tempfile",
    "tomllib",
    *HEAVY,
)


def test_a_stream_starts_without_what_it_does_not_use() -> None:
    code = (
        "import sys\n"
        "from edgecae.commands.cli import cli\n"
        "arguments = 'stream --model nano --source test:32x32?frames=1 --sink null:'\n"
        "cli.main(arguments.split(), standalone_mode=False)\n"
        f"print([name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("registry", [sources, sinks])
def test_every_module_of_a_registry_is_registered(registry) -> None:
    registered = {opener.__module__ for opener in registry.OPENERS}
    there = {m.name for m in pkgutil.iter_modules(registry.__path__, f"{registry.__name__}.")}
    assert registered == there - {f"{registry.__name__}.base"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if extra == "train" else name
        for name, (_, extra, _) in cli.COMMANDS.items()
    ],
)
def test_every_command_can_be_imported_and_says_what_it_does(name: str) -> None:
    module, _, attribute = cli.COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert command.help
    assert all(p.help for p in command.params if isinstance(p, click.Option))
