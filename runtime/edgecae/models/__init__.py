"""The models that come with edgecae: one ``NAME.tflite`` each in this folder."""

from __future__ import annotations

from pathlib import Path

from edgecae.errors import ModelFileError

__all__ = ["DEFAULT", "find", "names"]

DEFAULT = "small"

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.tflite"))


def find(model: str | Path) -> Path:
    """The file of a shipped model's name, or the path as it is.

    Raises:
        ModelFileError: it is neither the name of a shipped model nor a file.
    """
    if isinstance(model, str) and model in names():
        return _FOLDER / f"{model}.tflite"
    path = Path(model)
    if not path.is_file():
        shipped = ", ".join(names()) or "none yet"
        raise ModelFileError(f"model {str(model)!r} is neither a file nor shipped ({shipped})")
    return path
