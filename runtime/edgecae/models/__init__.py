"""The models that come with edgecae.

Each is a ``NAME.tflite`` in this folder with a card beside it, ``NAME.md``: what it is for, what it
learned from, where it fails. ``figures.json`` holds what was measured of them, and of the
denoisers that they are compared with, in one run of ``benchmarks/evaluate.py``. ``hashes.json``
holds the SHA-256 of each file; ``python -m edgecae.models`` writes it anew. ``photos.tsv`` credits
the photos that ``nano`` and ``small`` learned from.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgecae import atomic
from edgecae.errors import ModelFileError

__all__ = [
    "AUTO",
    "DEFAULT",
    "VIDEO",
    "card",
    "figures",
    "find_model",
    "hashes",
    "names",
    "photo_credits",
    "sha256",
    "still_names",
    "video_names",
    "write_hashes",
]

DEFAULT = "small"
"""What is used unless told otherwise."""

AUTO = "auto"
"""In the place of a name: the best recurrent model that a device holds."""

VIDEO = "-video"
"""How the name of a recurrent model ends; it begins with that of the model for single frames in
it."""

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the shipped models, the smallest file first."""
    files = sorted(_FOLDER.glob("*.tflite"), key=lambda path: (path.stat().st_size, path.stem))
    return [path.stem for path in files]


def still_names() -> list[str]:
    """Names of those for single frames."""
    return [name for name in names() if not name.endswith(VIDEO)]


def video_names() -> list[str]:
    """Names of those that are recurrent."""
    return [name for name in names() if name.endswith(VIDEO)]


def find_model(model: str | Path) -> Path:
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


def card(name: str) -> str:
    """The card of a shipped model, Markdown.

    Raises:
        ModelFileError: there is no shipped model of that name.
    """
    if name not in names():
        raise ModelFileError(f"no shipped model is called {name!r}; there are {', '.join(names())}")
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")


def photo_credits() -> str:
    """The photos that ``nano`` and ``small`` learned from or were chosen by.

    Returns:
        Values separated by tabs, with a head line: ``file``, ``author``, ``licence``, ``source``,
        ``path in the source``.
    """
    return (_FOLDER / "photos.tsv").read_text(encoding="utf-8")


def figures() -> dict[str, Any]:
    """What was measured.

    Returns:
        ``psnr``: mean PSNR in dB by protocol (``8-bit``, ``float``), set, method and σ. A method is
        ``noisy``, the name of a model (its int8 file) or of another denoiser, or ``NAME:float`` for
        a model's float network. ``milliseconds``: median time of a 640×480 frame by model and
        number of threads. ``made_with``: CPU and versions.
    """
    return _json("figures.json")


def sha256(name: str) -> str:
    """The SHA-256 of a shipped model's file as it lies there, hexadecimal.

    Raises:
        ModelFileError: there is no shipped model of that name, or its file is not the one that was
            shipped.
    """
    if name not in names():
        raise ModelFileError(f"no shipped model is called {name!r}; there are {', '.join(names())}")
    digest = _digest(name)
    if digest != hashes().get(name):
        raise ModelFileError(
            f"the file of model {name} is not the one that was shipped: install edgecae again "
            "(who replaced it on purpose: python -m edgecae.models)"
        )
    return digest


def hashes() -> dict[str, str]:
    """The SHA-256 that each shipped model's file should have, by name."""
    return _json("hashes.json")


def write_hashes() -> None:
    """Write ``hashes.json`` for the files that lie there now."""
    text = json.dumps({name: _digest(name) for name in sorted(names())}, indent=2)
    atomic.write_text(_FOLDER / "hashes.json", text + "\n")


def _json(name: str) -> dict[str, Any]:
    """Read one of the files beside the models.

    Raises:
        ModelFileError: it is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{_FOLDER / name} can't be read: install edgecae again ({error})"
        ) from error
    return content


def _digest(name: str) -> str:
    return hashlib.sha256((_FOLDER / f"{name}.tflite").read_bytes()).hexdigest()
