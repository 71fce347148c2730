"""Which picture is the clean one of which noisy one, and which pairs show one scene: by names.

A file or folder name is divided into words at ``_``, ``-``, ``.``, space and brackets. A picture is
noisy or clean by the last word of its name that is one of :data:`NOISY` or :data:`CLEAN`; where its
name has none, by that of the innermost folder which has one. What is left of the path without these
words is the pair's key: ``x_noisy.png`` and ``x_clean.png``, ``x_real.JPG`` and ``x_mean.JPG``,
``noisy/x.png`` and ``clean/x.jpg``, ``GT_SRGB_010.PNG`` and ``NOISY_SRGB_010.PNG``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from edgecae.errors import DataError, SourceError
from edgecae.media import images

__all__ = ["CLEAN", "NOISY", "PairFiles", "find_pairs", "held_out_scenes"]

log = logging.getLogger(__name__)

NOISY = ("noisy", "noise", "real", "input")
CLEAN = ("clean", "mean", "gt", "target", "reference", "ref")
"""Words that say which picture of a pair is which, in small or capital letters."""

MAX_HELD_OUT = 16
"""Pairs or scenes to validate on."""

MAX_NAMED = 5
"""Files that a message names."""

_WORD = re.compile(r"[^_\-. ()\[\]]+")
_NUMBER = re.compile(r"[_\-. ()\[\]]*\d*[_\-. ()\[\]]*$")


@dataclass(frozen=True)
class PairFiles:
    """The two files of a pair.

    Attributes:
        noisy: of the noisy picture.
        clean: of the clean one.
        scene: pairs with the same one show the same, or nearly so.
    """

    noisy: Path
    clean: Path
    scene: str


def _without_word(name: str) -> tuple[str, str]:
    """A name without its last word of the two lists, and that word; empty where it has none."""
    for match in reversed(list(_WORD.finditer(name))):
        if match[0].lower() in NOISY + CLEAN:
            rest = name[: match.start()].rstrip("_-. ") + name[match.end() :]
            return rest.lstrip("_-. "), match[0].lower()
    return name, ""


def _key(path: PurePath) -> tuple[str, str]:
    """What both pictures of a pair share, and the word that says which one this is."""
    name, word = _without_word(path.stem)
    folders = []
    for folder in reversed(path.parts[:-1]):
        rest, found = _without_word(folder)
        folders.append(rest)
        word = word or found
    return f"{'/'.join(each for each in reversed(folders) if each)}/{name}", word


def find_pairs(folder: Path) -> list[PairFiles]:
    """Find the pairs of noisy and clean pictures below a folder, in the order of their keys.

    Two pairs are of one scene where they lie in one folder and their names differ in a number at
    the end alone.

    Raises:
        DataError: there is no such folder, a picture is left without its partner, two claim one
            place, or the pictures of a pair have different sizes.
    """
    if not folder.is_dir():
        raise DataError(f"pairs {str(folder)!r} is no folder")
    found: dict[str, dict[str, Path]] = {}
    lonely = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES):
        key, word = _key(path.relative_to(folder))
        if not word:
            lonely.append(f"{path.relative_to(folder)} (no word says which it is)")
            continue
        side = "noisy" if word in NOISY else "clean"
        other = found.setdefault(key, {}).setdefault(side, path)
        if other != path:
            raise DataError(f"{other} and {path} are both the {side} picture of a pair")
    for sides in found.values():
        for side, missing in (("noisy", "clean"), ("clean", "noisy")):
            if missing not in sides:
                lonely.append(f"{sides[side].relative_to(folder)} (no {missing} one)")
    if lonely:
        more = f" and {len(lonely) - MAX_NAMED} more" if len(lonely) > MAX_NAMED else ""
        raise DataError(
            f"{len(lonely)} pictures in {folder} have no partner: {', '.join(lonely[:MAX_NAMED])}"
            f"{more}; name them like x_noisy.png and x_clean.png, or noisy/x.png and clean/x.png "
            f"(noisy: {', '.join(NOISY)}; clean: {', '.join(CLEAN)})"
        )
    if len(found) < 2:
        raise DataError(
            f"{folder} holds {len(found)} pairs of pictures; training needs at least two, one of "
            "them to validate on"
        )
    pairs = [PairFiles(s["noisy"], s["clean"], _scene(key)) for key, s in sorted(found.items())]
    return [pair for pair in pairs if _is_readable(pair)]


def _is_readable(pair: PairFiles) -> bool:
    """Whether both headers can be read; if not, say so.

    Raises:
        DataError: the two have different sizes.
    """
    try:
        sizes = [images.read_size(path) for path in (pair.noisy, pair.clean)]
    except SourceError as error:
        log.warning("skipped: %s", error)
        return False
    if sizes[0] != sizes[1]:
        (noisy_height, noisy_width), (height, width) = sizes
        raise DataError(
            f"{pair.noisy} is {noisy_width}×{noisy_height} and {pair.clean} is {width}×{height}: "
            "the pictures of a pair must show the same, pixel by pixel"
        )
    return True


def _scene(key: str) -> str:
    """The folder of a key and its name without the number at the end."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{_NUMBER.sub('', name)}"


def held_out_scenes(scenes: Sequence[str]) -> frozenset[str]:
    """Choose what to validate on: whole scenes, a tenth of all, at most :data:`MAX_HELD_OUT`.

    A hash of the scene's name chooses. What has more than half of all is never held out.

    Args:
        scenes: of each pair, or each burst.

    Returns:
        The scenes that are held out; none where there is one scene alone.
    """
    wanted = max(1, min(MAX_HELD_OUT, len(scenes) // 10))
    chosen: set[str] = set()
    taken = 0
    for scene in sorted(set(scenes), key=lambda s: hashlib.sha256(os.fsencode(s)).hexdigest()):
        size = sum(each == scene for each in scenes)
        if taken < wanted and size <= len(scenes) / 2:
            chosen.add(scene)
            taken += size
    return frozenset(chosen)
