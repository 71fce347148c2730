"""Read a Keras file, ``.h5`` or ``.keras``, and write a copy that is safe to load.

A ``.h5`` is HDF5 with a description in an attribute; a ``.keras`` is a zip of a description and an
HDF5 of weights. The first bytes of a file decide which of the two it is, and the copy's suffix
tells it to Keras. HDF5 can name other files, repeat its contents and compress them without end;
the copy holds plain arrays that are no larger than the file.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from edgecae_convert.foreign.layers import UnsafeError, checked

__all__ = ["MAX_BYTES", "SUFFIXES", "safe_copy", "safe_weights", "version_of"]

SUFFIXES = (".keras", ".h5", ".hdf5")
MAX_BYTES = 2**30
"""Of all that is copied of a file or a folder."""
MAX_DESCRIPTION = 16 * 2**20
MAX_OBJECTS = 20_000
"""Groups, arrays and attributes in an HDF5."""
MAX_DEPTH = 32
"""Of groups in groups."""

HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
PARTS = {
    "metadata.json": MAX_DESCRIPTION,
    "config.json": MAX_DESCRIPTION,
    "model.weights.h5": MAX_BYTES,
}
"""What a ``.keras`` holds, and how large each may be."""
TRAINING = ("optimizer", "optimizer_weights")
"""Groups that only training reads."""


def version_of(path: Path) -> str:
    """Read which version of Keras wrote a file.

    Raises:
        ValueError: it doesn't say.
    """
    if _is_zip(path):
        with zipfile.ZipFile(path) as archive:
            return _version(json.loads(_read(archive, "metadata.json")).get("keras_version"))
    with h5py.File(path, "r") as file:
        return _version(file.attrs.get("keras_version"))


def safe_copy(path: Path, folder: Path) -> tuple[Path, int]:
    """Write a copy that holds what was checked and nothing else.

    Args:
        path: of the file.
        folder: for the copy.

    Returns:
        The copy, and the version of Keras that is to load it, 2 or 3.

    Raises:
        UnsafeError: the file holds something that is not allowed.
        Exception: whatever damaged bytes lead a parser to.
    """
    zipped = _is_zip(path)
    if h5py.is_hdf5(path) if zipped else zipfile.is_zipfile(path):
        raise UnsafeError("is an HDF5 and a zip at the same time")
    if zipped:
        return _copy_zip(path, folder)
    copy = folder / "model.h5"
    with h5py.File(path, "r") as source, h5py.File(copy, "w") as target:
        version = _version(source.attrs.get("keras_version"))
        description = source.attrs["model_config"]
        if len(description) > MAX_DESCRIPTION:
            raise UnsafeError(f"has a description of more than {MAX_DESCRIPTION} bytes")
        library = 3 if version.startswith("3") else 2
        model = checked(json.loads(description), library)
        target.attrs["keras_version"], target.attrs["backend"] = version, "tensorflow"
        target.attrs["model_config"] = json.dumps(model)
        if source.get("model_weights", getlink=True, getclass=True) is not h5py.HardLink:
            raise ValueError("it holds no weights")
        _Copier(path).group(source["model_weights"], target.create_group("model_weights"))
    return copy, library


def safe_weights(path: Path, folder: Path) -> Path:
    """Write a copy of an HDF5 file of weights alone.

    Args:
        path: of the file.
        folder: for the copy.

    Raises:
        UnsafeError: it holds more than weights.
        Exception: whatever damaged bytes lead HDF5 to.
    """
    _check_ordinary(path)
    copy = folder / "copy.weights.h5"
    with h5py.File(path, "r") as source, h5py.File(copy, "w") as target:
        _Copier(path).group(source, target)
    return copy


def _check_ordinary(path: Path) -> None:
    """Refuse a pipe or a device, which reading might never end of."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no ordinary file")


def _is_zip(path: Path) -> bool:
    """Tell the two kinds apart by the first bytes.

    Raises:
        ValueError: it is neither.
    """
    _check_ordinary(path)
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    if start != HDF5 and not start.startswith(ZIP):
        raise ValueError("it is neither an HDF5 nor a zip")
    return start != HDF5


def _version(given: Any) -> str:
    text = given.decode() if isinstance(given, bytes) else given
    if not isinstance(text, str) or not text[:1].isdigit() or len(text) > 40:
        raise ValueError("it does not say which version of Keras wrote it")
    return text


def _copy_zip(path: Path, folder: Path) -> tuple[Path, int]:
    weights, copy = folder / "model.weights.h5", folder / "model.keras"
    with zipfile.ZipFile(path) as archive:
        names = [each for each in archive.namelist() if not each.endswith("/")]
        if sorted(names) != sorted(PARTS):
            other = sorted(set(names) - set(PARTS))
            raise UnsafeError(f"holds {other[0]!r}" if other else "lacks a part, or has one twice")
        metadata = json.loads(_read(archive, "metadata.json"))
        version = _version(metadata.get("keras_version"))
        library = 3 if version.startswith("3") else 2
        model = checked(json.loads(_read(archive, "config.json")), library)
        with archive.open("model.weights.h5") as part, weights.open("wb") as file:
            _copy_bytes(part, file, MAX_BYTES)
    clean = safe_weights(weights, folder)
    with zipfile.ZipFile(copy, "w") as archive:  # without compression
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(model))
        archive.write(clean, "model.weights.h5")
    return copy, library


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a part up to its limit, whatever the archive says about its size."""
    with archive.open(name) as part:
        content = part.read(PARTS[name] + 1)
    if len(content) > PARTS[name]:
        raise UnsafeError(f"holds a {name} of more than {PARTS[name]} bytes")
    return content


def _copy_bytes(source: IO[bytes], target: IO[bytes], limit: int) -> None:
    while block := source.read(2**20):
        limit -= len(block)
        if limit < 0:
            raise UnsafeError(f"holds more than {MAX_BYTES} bytes")
        target.write(block)


class _Copier:
    """Copies groups, arrays of numbers and strings in attributes; refuses what else HDF5 has."""

    def __init__(self, path: Path) -> None:
        self.bytes = min(path.stat().st_size, MAX_BYTES)
        self.objects = 0

    def count(self) -> None:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise UnsafeError(f"holds more than {MAX_OBJECTS} weights and groups")

    def group(self, source: Any, target: Any, depth: int = 0) -> None:
        """Copy what is in a group."""
        if depth > MAX_DEPTH:
            raise UnsafeError("holds groups in groups without end")
        self.attributes(source, target)
        for name in source:
            self.count()
            if depth <= 1 and name in TRAINING:
                continue
            if source.get(name, getlink=True, getclass=True) is not h5py.HardLink:
                raise UnsafeError(f"holds a link to somewhere else, {name!r}")
            item = source[name]
            if isinstance(item, h5py.Group):
                self.group(item, target.create_group(name), depth + 1)
            else:
                self.array(name, item, target)

    def array(self, name: str, source: Any, target: Any) -> None:
        """Copy an array, if all of it lies in this file."""
        if not isinstance(source, h5py.Dataset) or source.dtype.kind not in "fiubV":
            raise UnsafeError(f"holds {name!r}, which is no array of numbers")
        elsewhere = source.is_virtual or source.external
        packed = source.chunks is not None or source.id.get_create_plist().get_nfilters()
        size = source.id.get_storage_size()
        if elsewhere or packed or size != source.nbytes:
            raise UnsafeError(f"holds {name!r}, which does not lie in it as plain numbers")
        self.bytes -= size
        if self.bytes < 0:
            raise UnsafeError("holds more weights than bytes")
        self.attributes(source, target.create_dataset(name, data=source[()]))

    def attributes(self, source: Any, target: Any) -> None:
        """Copy strings and lists of strings, which name layers and weights; nothing else counts."""
        for name in source.attrs:
            self.count()
            value = source.attrs[name]
            names = isinstance(value, np.ndarray) and value.dtype.kind in "OSU"
            none = isinstance(value, np.ndarray) and not value.size
            if isinstance(value, str | bytes) or names or none:
                target.attrs[name] = value
