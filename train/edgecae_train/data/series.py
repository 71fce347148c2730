"""What folders of training pictures have alike: a fingerprint, and an endless series of them."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import DataError

__all__ = ["fingerprint", "load_item", "ranked"]

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and sizes of files, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode(f"{path.name} {path.stat().st_size}\n"))
    return digest.hexdigest()


def ranked(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Files below a folder, in an order that names alone decide: the first ones are held out."""

    def rank(path: Path) -> str:
        return hashlib.sha256(os.fsencode(path.relative_to(folder).as_posix())).hexdigest()

    return sorted(paths, key=rank)


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def load_item(
    items: Sequence[Item],
    seed: int,
    index: int,
    read: Callable[[Item, np.random.Generator], Loaded],
    none_left: str,
) -> Loaded:
    """Load number ``index`` of the endless series of ``items``, in an order of its own each time.

    Args:
        items: to choose from.
        seed: of the order, and of what ``read`` draws.
        index: 0 or more.
        read: loads one; it raises :class:`DataError` where that can't be used, and the next one is
            taken in its place, with a warning.
        none_left: message of the error.

    Raises:
        DataError: none of them can be used.
    """
    epoch, place = divmod(index, len(items))
    order = _order(seed, epoch, len(items))
    for offset in range(len(items)):
        item = items[order[(place + offset) % len(items)]]
        try:
            return read(item, np.random.default_rng([seed, index]))
        except DataError as error:  # its header was fine, its pixels are not
            log.warning("skipped: %s", error)
    raise DataError(none_left)
