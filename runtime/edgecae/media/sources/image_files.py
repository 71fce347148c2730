"""A folder, a glob or a single image as a source of frames."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from edgecae import naming
from edgecae.errors import SourceError
from edgecae.media.frame import MAX_PIXELS, Frame
from edgecae.media.sources.base import SourceSettings, refuse_camera_options
from edgecae.redact import redacted

__all__ = ["ImageFiles", "open_source"]

log = naming.logger(__name__)


class ImageFiles:
    """Image files, one frame each, in the order given.

    One that can't be read is named, counted and passed over, as a broken frame of a video is: a
    night's pictures are worth having without it.

    Args:
        paths: of the files.
        name: for people.
        max_pixels: of a picture.
        rate: frames a second; None: nobody says.

    Attributes:
        broken: files so far that could not be read.

    Raises:
        SourceError: there are none; or, while iterating, the only one can't be read.
    """

    live = False

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        max_pixels: int = MAX_PIXELS,
        rate: Fraction | None = None,
    ) -> None:
        if not paths:
            raise SourceError(f"source {redacted(name)!r}: there are no images")
        self.name = name
        self.broken = 0
        self.rate = rate
        self._paths, self._max_pixels = paths, max_pixels

    def __iter__(self) -> Iterator[Frame]:
        from edgecae.media import images

        for path in self._paths:
            try:
                picture = images.read(path, self._max_pixels)
            except SourceError as error:
                self.broken += 1
                if len(self._paths) == 1:
                    raise
                log.warning("passed over: %s", error)
                continue
            if picture.left_out:
                log.warning("%s: left out: %s", path, ", ".join(picture.left_out))
            if picture.alpha is not None:
                images.cover_hidden(picture.pixels, picture.alpha)
            yield Frame(
                picture.pixels,
                time.monotonic(),
                name=path.stem,
                alpha=picture.alpha,
                info=picture.info,
                fine=picture.fine,
            )

    def __enter__(self) -> ImageFiles:
        return self

    def __exit__(self, *error: object) -> None:
        """Files are closed as soon as they are read."""


def open_source(spec: str, settings: SourceSettings) -> ImageFiles | None:
    """Open a folder, a glob or an image file; None for any other description."""
    from edgecae.media import images

    path = Path(spec)
    if path.is_dir() or path.suffix.lower() in images.SUFFIXES:
        refuse_camera_options(redacted(spec), settings, rate=True)
    if path.is_dir():
        paths = sorted(p for p in path.iterdir() if p.suffix.lower() in images.SUFFIXES)
        return ImageFiles(paths, spec, settings.max_pixels, settings.rate)
    if path.is_file():
        if not images.is_picture_name(path) or path.suffix.lower() == ".gif":  # it may move
            return None
        return ImageFiles([path], spec, settings.max_pixels, settings.rate)
    if glob.has_magic(spec):
        paths = sorted(Path(p) for p in glob.glob(spec))  # noqa: PTH207
        return ImageFiles(paths, spec, settings.max_pixels, settings.rate)
    return None
