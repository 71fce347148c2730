"""Float weights of the models that come with edgecae, one ``NAME.weights.h5`` each: a start for
fine-tuning, and what the int8 files are compared with."""

from __future__ import annotations

from pathlib import Path

from edgecae.errors import RecipeError

__all__ = ["find_weights", "names"]

_FOLDER = Path(__file__).parent
_ENDING = ".weights.h5"


def names() -> list[str]:
    """Names of the models whose float weights are here, sorted."""
    return sorted(path.name.removesuffix(_ENDING) for path in _FOLDER.glob(f"*{_ENDING}"))


def find_weights(weights: str | Path) -> Path:
    """The weights file of a shipped model's name, of a run directory, or the path as it is.

    Raises:
        RecipeError: it is none of these.
    """
    if str(weights) in names():
        return _FOLDER / f"{weights}{_ENDING}"
    path = Path(weights)
    if path.is_dir():
        found = [path / "float.weights.h5", path / "qat.weights.h5"]
        path = next((p for p in found if p.exists()), path / "checkpoints" / "best.weights.h5")
    if not path.is_file():
        shipped = ", ".join(names()) or "none yet"
        raise RecipeError(
            f"{str(weights)!r} is no run, no weights file and no shipped model ({shipped})"
        )
    return path
