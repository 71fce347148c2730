"""The three packages give their public names, and import them only when they are used."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types

import pytest

PACKAGES = (
    "edgecae",
    pytest.param("edgecae_train", marks=pytest.mark.slow),
    pytest.param("edgecae_convert", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_its_public_names(package: str) -> None:
    """No name of the three is a module: a submodule of the same name would hide it."""
    module = importlib.import_module(package)
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert not isinstance(getattr(module, name), types.ModuleType)
    with pytest.raises(AttributeError, match="has no attribute 'unknown'"):
        module.unknown  # noqa: B018


@pytest.mark.slow
def test_a_name_stays_what_it_is_after_the_modules_below_were_imported() -> None:
    code = (
        "import edgecae_convert.command, edgecae_train.command\n"
        "from edgecae_convert import convert\n"
        "from edgecae_train import train\n"
        "print(convert.__name__, train.__name__, callable(convert), callable(train))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["convert", "train", "True", "True"]
