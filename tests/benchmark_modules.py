"""Load a program of ``benchmarks/`` as a module."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

__all__ = ["load"]

FOLDER = Path(__file__).parent.parent / "benchmarks"


def load(name: str) -> Any:
    """The module of ``benchmarks/NAME.py``; a new one each time.

    It finds the modules beside it, as it does where it is run as a program.
    """
    path = FOLDER / f"{name}.py"
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
