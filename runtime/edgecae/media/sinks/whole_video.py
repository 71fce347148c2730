"""A video of a video: it has its name only when all of the source is in it.

Until then it is written aside; what there is of it when the stream ends early, or fails, stays as
``.NAME.part.SUFFIX``, which plays.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgecae import atomic, naming
from edgecae.errors import SinkError
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import SinkSettings
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile
from edgecae.media.video.part import part_name

__all__ = ["WholeVideo", "open_sink"]

log = naming.logger(__name__)


class _UnfinishedError(Exception):
    """The source was not read to its end."""


class WholeVideo:
    """Writes a :class:`VideoSink` under a temporary name, and renames it when it is whole.

    Args:
        path: of the file.
        source: the video that the frames come from, a file.
        settings: ``codec``, ``encoding`` and ``overwrite`` are used.

    Raises:
        SinkError: as :class:`VideoSink`.
    """

    wants_slates = False
    recovers = False

    def __init__(self, path: Path, source: VideoFile, settings: SinkSettings) -> None:
        if source.path is not None and path.exists() and path.samefile(source.path):
            raise SinkError(f"{path} can't be read and written at once")
        self.name = str(path)
        self._path, self._source = path.resolve(), source
        with contextlib.ExitStack() as stack:
            mode = source.path.stat().st_mode if source.path is not None else None
            self._aside = stack.enter_context(atomic.writing(path, settings.overwrite, mode=mode))
            self._sink = VideoSink(
                self._aside, source, source.rate, settings.codec, True,
                encoding=settings.encoding, name=self.name,
            )  # fmt: skip
            self._stack = stack.pop_all()
        self.needs_original = self._sink.needs_original

    def write(self, frame: Frame) -> None:
        """See :class:`VideoSink`."""
        self._sink.write(frame)

    def __enter__(self) -> WholeVideo:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(_UnfinishedError), self._stack:
            self._sink.__exit__(*error)
            if error[0] is not None or not self._source.ended or self._sink.empty:
                self._keep_part()
                raise _UnfinishedError

    def _keep_part(self) -> None:
        with contextlib.suppress(OSError):
            if self._sink.count and self._aside.stat().st_size:
                part = part_name(self._path)
                self._aside.replace(part)
                log.warning("%s is not whole; what there is of it is %s", self.name, part.name)


def open_sink(spec: str, settings: SinkSettings) -> WholeVideo | None:
    """Open a video for the frames of a video file; None for those of any other source."""
    source = settings.source
    if not isinstance(source, VideoFile) or source.path is None:
        return None
    return WholeVideo(Path(spec), source, settings)
