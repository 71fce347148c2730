"""What an interrupted run leaves of a video, so that the same command goes on with it.

Beside the target stand ``.NAME.part.SUFFIX``, which plays, and ``.NAME.part.json``, which says of
which source and settings it came. Another source or other settings begin anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from edgecae import __version__, atomic
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SinkError
from edgecae.media.video.part import Part, part_name

__all__ = ["Leftover"]

log = logging.getLogger(__name__)

MAX_NOTE = 4096
"""Bytes of a file that says what a part came of; a longer one is none."""


class Leftover:
    """The part of one target.

    Args:
        target: the file that the whole becomes.
        source: the video that it comes of.
        denoiser: opened; its model and strength are settings.
        settings: whatever else changes the result; its ``repr`` counts.

    Attributes:
        path: of the part.
    """

    def __init__(self, target: Path, source: Path, denoiser: Denoiser, settings: Any) -> None:
        self.path = part_name(target)
        self._note = self.path.with_suffix(".json")
        try:
            about = source.stat()
            identity: Any = about.st_size, about.st_mtime_ns
        except OSError:
            identity = None
        model = hashlib.sha256(denoiser.model.content).hexdigest()
        described = repr((__version__, identity, model, denoiser.strength, settings))
        self._key = hashlib.sha256(described.encode()).hexdigest()

    def announce(self) -> None:
        """Say what is being written: a process that is killed can't any more."""
        self._write(None)

    def keep(self, file: Path, frames: int | None) -> None:
        """Make a file the part, in place of one that was there.

        Args:
            file: that was being written.
            frames: how many it has, if it was finished in order.
        """
        self._write(frames)
        with contextlib.suppress(OSError):
            file.replace(self.path)

    def _write(self, frames: int | None) -> None:
        note = {"key": self._key, "frames": frames}
        try:
            atomic.write_text(self._note, json.dumps(note) + "\n")
        except SinkError as error:  # then the next run begins anew
            log.debug("%s", error)

    def _frames(self) -> tuple[bool, int | None]:
        """Whether the part is of this source and these settings, and how many frames it has."""
        try:
            with self._note.open("rb") as file:
                note = json.loads(file.read(MAX_NOTE))
            frames = note.get("frames")
            return note.get("key") == self._key, frames if isinstance(frames, int) else None
        except (OSError, ValueError, AttributeError):
            return False, None

    def adopt(self, file: Path) -> bool:
        """Make what a killed process left the part, if it is of this source and larger."""
        ours, _ = self._frames()
        with contextlib.suppress(OSError):
            there = self.path.stat().st_size if self.path.exists() else 0
            if ours and file.stat().st_size > there:
                file.replace(self.path)
                self._write(None)
                return True
        return False

    def part(self) -> Part | None:
        """What can be gone on with; None: nothing."""
        ours, frames = self._frames()
        if not ours or self.path.is_symlink() or not self.path.is_file():
            return None
        part = Part(self.path, frames)
        return part if part.count else None

    def tidy(self) -> None:
        """Remove what says of which source a part came where there is no part."""
        if not self.path.exists():
            with contextlib.suppress(OSError):
                self._note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the part, once the whole is there or it is of no use."""
        for path in (self.path, self._note):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
