"""Files of a folder and of all below it, for a batch."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

__all__ = ["files_below"]

log = logging.getLogger(__name__)


def files_below(folder: Path, without: Path) -> list[Path]:
    """List the files of a folder and of the folders below it, sorted by their paths.

    Links to folders are followed, each folder once: a link that leads back ends there. Hidden files
    and folders, pipes and devices are left out.

    Args:
        folder: to look into.
        without: a folder that is not looked into, such as that of the results; need not exist.

    Returns:
        The files. Folders that can't be listed and links that lead nowhere are among them: they
        fail when they are read, and are named then.
    """
    found: list[Path] = []
    unlisted: list[OSError] = []
    seen = {without.resolve()}
    pending = [folder]
    while pending:  # links after all that is really there: a file is found by its own path first
        top = pending.pop(0)
        if top != folder and top.resolve() in seen:
            log.info("%s leads to a folder that is part of the batch already", top)
            continue
        for name, folders, files in os.walk(top, onerror=unlisted.append):
            parent = Path(name)
            if parent.resolve() in seen:
                folders.clear()
                continue
            seen.add(parent.resolve())
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            pending += [parent / each for each in folders if (parent / each).is_symlink()]
            paths = [parent / each for each in files if not each.startswith(".")]
            found += [path for path in paths if _may_be_file(path)]
    return sorted(found + [Path(error.filename) for error in unlisted])


def _may_be_file(path: Path) -> bool:
    """Whether a path is a file, or can't be looked at; false for pipes and devices."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
