"""A folder of PNG files as a sink."""

from __future__ import annotations

import re
from pathlib import Path

from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings

__all__ = ["ImageFolder", "names_folder", "open_sink"]

_NUMBERED = re.compile(r"frame(\d{6,})\.png")


class ImageFolder:
    """One PNG a frame, named as in the source, or ``frame000000.png`` and on.

    Where a name comes twice, the second gets a number. Files are not flushed to the disk one by
    one, which a live stream has no time for: a power cut may cost the last ones.

    Args:
        folder: made if it is not there.
        overwrite: whether the folder may hold files already.
        goes_on: whether frames are numbered on from those that are there, and none is replaced.

    Raises:
        SinkError: the folder can't be made, or is not empty and ``overwrite`` was not given.
    """

    needs_original = False
    wants_slates = False
    recovers = True

    def __init__(self, folder: Path, overwrite: bool = False, goes_on: bool = False) -> None:
        self.name = str(folder)
        self._folder = folder
        self._count = 0
        self._written: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            occupied = any(folder.iterdir())
            if goes_on and not overwrite:
                matches = (_NUMBERED.fullmatch(path.name) for path in folder.iterdir())
                self._count = max((int(match[1]) + 1 for match in matches if match), default=0)
        except OSError as error:
            raise SinkError(f"{folder} can't be written: {error.strerror}") from error
        if occupied and not (overwrite or goes_on):
            raise SinkError(f"{folder} is not empty; --overwrite writes into it")

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`."""
        from edgecae.media import images

        name = frame.name or f"frame{self._count:06}"
        self._count += 1
        if name in self._written:  # a.png and a.jpg, or a.png of two folders
            name = f"{name}-{self._count:06}"
        if frame.name:  # a camera's frames have none, and never end
            self._written.add(name)
        picture = images.Picture(frame.pixels, frame.alpha, frame.info, fine=frame.fine)
        images.write(self._folder / f"{name}.png", picture, durable=False)

    def __enter__(self) -> ImageFolder:
        return self

    def __exit__(self, *error: object) -> None:
        """Each file is whole as soon as it is there."""


def names_folder(spec: str) -> bool:
    """Whether a path stands for a folder: it is one, ends in ``/``, or has no suffix."""
    path = Path(spec)
    return path.is_dir() or spec.endswith("/") or not path.suffix


def open_sink(spec: str, settings: SinkSettings) -> ImageFolder | None:
    """Open a folder; None for a path that names a file."""
    if not names_folder(spec):
        return None
    return ImageFolder(Path(spec), settings.overwrite, settings.goes_on)
