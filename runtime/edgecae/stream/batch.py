"""Denoise files: an image to an image, a folder to a folder, a video to a video."""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from edgecae import atomic, stream
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import EdgecaeError, SinkError, SourceError
from edgecae.media import images
from edgecae.media.buffers import Buffers
from edgecae.media.frame import MAX_PIXELS
from edgecae.media.sinks.base import DEFAULT_CODEC, Encoding
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile
from edgecae.stream.batch_plan import MOVING, Job, is_still, plan_batch
from edgecae.stream.batch_progress import BatchClock, BatchProgress
from edgecae.stream.capture import closing
from edgecae.stream.pictures import denoise_picture, permissions
from edgecae.stream.resume import Leftover
from edgecae.stream.watchdog import HungError, StreamHooks

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Done", "Job", "Outcome", "denoise_file", "plan_batch", "run_batch"]

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes:
        done: files written.
        present: files left out because their results are there already.
        failed: what went wrong with files of a batch that were passed over.
        frames: how many pictures were denoised.
        stopped: whether a signal ended it before the last job.
    """

    done: int = 0
    present: int = 0
    failed: tuple[str, ...] = ()
    frames: int = 0
    stopped: bool = False


@dataclass(frozen=True)
class Done:
    """What became of one file.

    Attributes:
        frames: how many pictures were denoised.
        whole: whether the result is there; false where it was asked to stop before the end.
    """

    frames: int
    whole: bool = True


_NO_CODING = images.Coding()


def denoise_file(
    job: Job,
    denoiser: Denoiser,
    *,
    overwrite: bool = False,
    codec: str = DEFAULT_CODEC,
    coding: images.Coding = _NO_CODING,
    encoding: Encoding | None = None,
    rate: Fraction | None = None,
    deinterlace: bool = False,
    max_pixels: int = MAX_PIXELS,
    stop: stream.Stop | None = None,
    report: Callable[[stream.Stats], None] = lambda stats: None,
    hooks: StreamHooks | None = None,
) -> Done:
    """Denoise one file; see :func:`run_batch`.

    The result has the permissions of its source, see :func:`edgecae.atomic.writing`. Where a video
    is interrupted, or its source can't be read to its end, what came of it stays beside the target,
    as ``.NAME.part.SUFFIX``; another attempt goes on after it.

    Raises:
        SourceError: the file is neither an image nor a video, or can't be read to its end.
        SinkError: the result can't be written, or another process is writing it.
    """
    if job.target.exists() and not overwrite:
        raise SinkError(f"{job.target} exists; --overwrite replaces it")
    if is_still(job):
        denoise_picture(job.source, job.target, denoiser, coding=coding, max_pixels=max_pixels)
        return Done(1)
    if job.target.suffix.lower() in images.SUFFIXES - MOVING:
        raise SinkError(f"{job.source} is no image; {job.target} would be one")
    source = partial(VideoFile, max_pixels=max_pixels, rate=rate, deinterlace=deinterlace)
    sink = partial(VideoSink, codec=codec, encoding=encoding, overwrite=True)
    stats, whole = _denoise_video(job, denoiser, overwrite, source, sink, stop, report, hooks)
    if stats.broken:
        log.warning("%s: %d packets could not be decoded", job.source, stats.broken)
    return Done(stats.frames, whole)


@contextlib.contextmanager
def _alone(part: Path, target: Path, adopt: Callable[[Path], bool]) -> Iterator[None]:
    """Hold a lock on the temporary file of a target, and clear away those that others left behind.

    What ``adopt`` does not take is removed.

    A lock goes away with its process, however that ends. Where the system has no such locks
    (Windows, some network file systems), nothing keeps two processes apart but that the second one
    finds the target there.

    Raises:
        SinkError: another process is writing the target.
    """
    if fcntl is None:
        yield
        return
    with part.open("rb") as own:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            log.debug("%s: no lock: %s", part, error.strerror)
        else:
            for other in part.parent.glob(_temporaries_of(target)):
                if other != part and not _clear_unlocked(other, adopt):
                    raise SinkError(f"{target} can't be written: another process is writing it")
        yield


def _temporaries_of(target: Path) -> str:
    """Pattern of the names that :mod:`edgecae.atomic` gives to the temporary files of a target."""
    before, after = atomic.temporary_name(target, "\0").split("\0")
    return f"{glob.escape(before)}{'[0-9a-f]' * atomic.RANDOM_DIGITS}{glob.escape(after)}"


def _clear_unlocked(file: Path, adopt: Callable[[Path], bool]) -> bool:
    """Adopt or remove a file that no process holds a lock on; return whether none does."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone already, or something that edgecae has not made
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not adopt(file):
            file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    except OSError as error:
        log.debug("%s can't be removed: %s", file, error.strerror)
    finally:
        os.close(descriptor)
    return True


class _StoppedError(Exception):
    """A job that was asked to stop."""


def _denoise_video(
    job: Job,
    denoiser: Denoiser,
    overwrite: bool,
    open_source: partial[VideoFile],
    open_sink: partial[VideoSink],
    stop: stream.Stop | None,
    report: Callable[[stream.Stats], None],
    hooks: StreamHooks | None,
) -> tuple[stream.Stats, bool]:
    """Denoise a video; see :func:`denoise_file`. Return whether the result is there as well."""
    stats, whole = stream.Stats(), False
    settings = open_source.keywords, open_sink.keywords
    leftover = Leftover(job.target.resolve(), job.source, denoiser, settings)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(_StoppedError))
        buffers = Buffers()
        video = open_source(job.source, buffers=buffers)
        source = stack.enter_context(closing(video, stats))
        mode = permissions(job.source)
        part = stack.enter_context(atomic.writing(job.target, overwrite, mode=mode))
        stack.enter_context(_alone(part, job.target.resolve(), leftover.adopt))
        before = leftover.part()
        had = before.count if before is not None else 0
        if not had:
            leftover.announce()
        sink = open_sink(part, source, source.rate, name=str(job.target))
        try:
            denoiser.reset()
            with sink:
                if before is not None:
                    taken = sink.go_on_from(before, lambda: stop is not None and stop.requested)
                    fresh = "; its model begins anew there" if denoiser.metadata.states else ""
                    log.info("%s: going on after %d frames%s", job.target, taken, fresh)
                stream.run(
                    source, denoiser, [sink], stop, report,
                    stats=stats, buffers=buffers, hooks=hooks,
                )  # fmt: skip
            if stop is not None and stop.requested:
                raise _StoppedError
            if not sink.count:
                raise SourceError(f"{job.source} holds no frame that can be decoded")
        except (_StoppedError, SourceError):
            if sink.count > had and part.stat().st_size:
                leftover.keep(part, sink.count)
                log.warning(
                    "%s: %d frames are in %s; the same command goes on after them",
                    *(job.target, sink.count, leftover.path.name),
                )
            raise
        finally:
            leftover.tidy()
        leftover.remove()
        whole = True
    return stats, whole


_TARGET_ERRORS = {
    getattr(errno, name, 0)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENODEV", "ENXIO", "ESTALE",
                 "ENOTCONN", "EHOSTDOWN")
}  # fmt: skip
"""What the system says where no other file could be written either."""


def _ends_batch(error: EdgecaeError) -> bool:
    """Whether the target as a whole can't be written: the disk is full, or read-only."""
    cause = error.__cause__
    return isinstance(error, SinkError) and getattr(cause, "errno", None) in _TARGET_ERRORS


def run_batch(
    jobs: Sequence[Job],
    denoiser: Denoiser,
    *,
    overwrite: bool = False,
    codec: str = DEFAULT_CODEC,
    coding: images.Coding = _NO_CODING,
    encoding: Encoding | None = None,
    rate: Fraction | None = None,
    deinterlace: bool = False,
    max_pixels: int = MAX_PIXELS,
    stop: stream.Stop | None = None,
    report: Callable[[stream.Stats], None] = lambda stats: None,
    hooks: StreamHooks | None = None,
    progress: Callable[[BatchProgress], None] = lambda progress: None,
) -> Outcome:
    """Denoise files one after the other.

    In a batch, which is a folder or a list of files, results that are there already are left
    alone, so that an interrupted run goes on where it stopped: a result is only there when it is
    whole. A file that can't be denoised is named and passed over.

    Args:
        jobs: from :func:`plan`.
        denoiser: opened.
        overwrite: make results again that are there already.
        codec: of videos.
        coding: of pictures.
        encoding: what else is asked of their encoder.
        rate: frames a second of videos without timestamps; None: what they say.
        deinterlace: make one whole picture of the two fields of each interlaced frame.
        max_pixels: of a picture or frame, see :class:`edgecae.media.sources.SourceSettings`.
        stop: looked at between frames.
        report: told after each frame of a video.
        hooks: what the process does for the stream of a video, see :func:`edgecae.stream.run`.
        progress: told before each file.

    Raises:
        EdgecaeError: what went wrong with the only file.
        SinkError: in a batch, the target as a whole can't be written.
    """
    if coding != _NO_CODING:
        coding.check(images.kind_to_write(job.target) for job in jobs if is_still(job))
    outcome = Outcome()
    clock = BatchClock([job.source for job in jobs])
    for job in jobs:
        progress(clock.progress())
        if stop is not None and stop.requested:
            outcome.stopped = True
            break
        if job.in_batch and job.target.exists() and not overwrite:
            outcome.present += 1
            clock.next(worked=False)
            continue
        try:
            done = denoise_file(
                job,
                denoiser,
                overwrite=overwrite,
                codec=codec,
                coding=coding,
                encoding=encoding,
                rate=rate,
                deinterlace=deinterlace,
                max_pixels=max_pixels,
                stop=stop,
                report=report,
                hooks=hooks,
            )
        except HungError:
            raise
        except EdgecaeError as error:
            if not job.in_batch or _ends_batch(error):
                raise
            log.warning("passed over: %s", error)
            outcome.failed += (str(error),)
            clock.next(worked=True)
            continue
        outcome.frames += done.frames
        if not done.whole:
            outcome.stopped = True
            break
        outcome.done += 1
        clock.next(worked=True)
    return outcome
