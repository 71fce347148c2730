"""A video that goes on in another file: after some time, or when frames or sound change their kind.

``--segment SECONDS``, and every recording of a live source. ``door.mkv`` goes on as
``door-0002.mkv``; with segments all are numbered, from the first number that is free, so that a
recorder that starts again overwrites nothing. A name with ``%`` is a pattern of strftime:
``door-%Y%m%d-%H%M%S.mkv``.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

from edgecae import naming
from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings
from edgecae.media.sinks.image_folder import names_folder
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sound import SoundKind

__all__ = ["Recording", "open_sink"]

log = naming.logger(__name__)

_MOST = 1_000_000

_LOOK = 1.0
"""Seconds between two looks whether the file is still there: a system writes on into one that was
removed, and says nothing."""


class Recording:
    """Writes one :class:`VideoSink` after the other; each begins at time zero.

    Args:
        path: of the first file, or a pattern.
        settings: ``segment``, ``codec``, ``encoding``, ``overwrite`` and ``goes_on`` are used.

    Raises:
        SinkError: as :class:`VideoSink`.
    """

    needs_original = False
    wants_slates = True
    recovers = True

    def __init__(self, path: Path, settings: SinkSettings) -> None:
        self.name = str(path)
        self._path, self._settings = path, settings
        self._number = 0
        self._shape: tuple[int, ...] | None = None
        self._begin = self._looked = 0.0
        self._sound = settings.listen()
        self._kind: SoundKind | None = None
        self._file: VideoSink | None = self._open()

    def _next(self) -> Path:
        """Where to go on."""
        path = self._path
        if "%" in path.name:
            named = path.with_name(time.strftime(path.name))
            if named != path and not os.path.lexists(named):
                return named
            path = named
        elif not self._number and self._settings.segment is None:
            self._number = 1
            taken = self._settings.goes_on and os.path.lexists(path)
            if not taken or self._settings.overwrite:
                return path
        for number in range(self._number + 1, _MOST):
            named = path.with_name(f"{path.stem}-{number:04}{path.suffix}")
            if not os.path.lexists(named):
                self._number = number
                return named
        raise SinkError(f"{self.name}: {_MOST} files are there already")

    def _open(self) -> VideoSink:
        settings = self._settings
        # Only the one file that was named may be in the way, and only it may be replaced.
        path = self._next()
        rate, overwrite = settings.source.rate, settings.overwrite and path == self._path
        try:
            return VideoSink(
                path,
                None,
                rate,
                settings.codec,
                overwrite,
                True,
                settings.encoding,
                sound=self._sound,
            )
        except SinkError:
            self._give_number_back()
            raise

    def write(self, frame: Frame) -> None:
        """See :class:`edgecae.media.sinks.Sink`; after a failure, goes on in another file.

        Raises:
            SinkError: writing failed.
        """
        try:
            self._write(frame)
        except Exception as error:  # a lack of memory too leaves a file that can't be gone on with
            file = self._file
            with contextlib.suppress(Exception):  # it only follows from that one
                self._close(type(error), error, None)
            if file is not None and file.empty:
                self._give_number_back()
            raise

    def _give_number_back(self) -> None:
        """Nothing came of a file: a disk that stays full shall not use numbers up."""
        self._number -= self._number > 1

    def _write(self, frame: Frame) -> None:
        seconds = (
            frame.time
            if frame.pts is None or frame.time_base is None
            else float(frame.pts * frame.time_base)
        )
        segment, shape = self._settings.segment, frame.pixels.shape[:2]
        kind = self._sound.kind if self._sound is not None else None
        if self._shape is not None:
            full = segment is not None and seconds - self._begin >= segment
            other = shape != self._shape or kind != self._kind
            if full or other or self._is_gone(seconds):
                self._close()
        if self._file is None:
            self._file = self._open()
        if self._shape is None:
            self._shape, self._begin, self._looked = shape, seconds, seconds
            self._kind = kind
        if frame.pts is not None and frame.time_base is not None:
            frame = replace(frame, pts=frame.pts - round(self._begin / frame.time_base))
        self._file.write(frame)

    def _is_gone(self, seconds: float) -> bool:
        """Whether the file is not there any more; looked at now and then."""
        if self._file is None or seconds - self._looked < _LOOK:
            return False
        self._looked = seconds
        gone = not Path(self._file.name).exists()
        if gone:
            log.warning("%s was removed or renamed: going on in another file", self._file.name)
        return gone

    def _close(self, *error: object) -> None:
        file, self._file, self._shape = self._file, None, None
        if file is not None:
            file.__exit__(*(error or (None, None, None)))

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._close(*error)
        finally:
            if self._sound is not None:
                self._sound.close()


def open_sink(spec: str, settings: SinkSettings) -> Recording | None:
    """Open a recording; None where the frames of a file go into one video."""
    path = Path(spec)
    if names_folder(spec) or not (settings.source.live or settings.segment is not None):
        return None
    return Recording(path, settings)
