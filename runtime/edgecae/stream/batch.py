"""Denoise files: an image to an image, a folder to a folder, a video to a video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecae import stream
from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.media.redact import is_url, redacted
from edgecae.media.sinks.base import DEFAULT_CODEC
from edgecae.media.sinks.video_file import VideoSink
from edgecae.media.sources.video_file import VideoFile
from edgecae.stream.capture import closing

__all__ = ["Job", "Outcome", "denoise_file", "plan", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One file to read and the one to write."""

    source: Path
    target: Path
    in_folder: bool


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes:
        done: files written.
        present: files left out because their results are there already.
        failed: files of a folder that could not be read, and why.
        frames: how many pictures were denoised.
        stopped: whether a signal ended it before the last job.
    """

    done: int = 0
    present: int = 0
    failed: tuple[str, ...] = ()
    frames: int = 0
    stopped: bool = False


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES


def _of_folder(folder: Path, output: Path) -> Iterator[Job]:
    inside, outside = folder.resolve(), output.resolve()
    if outside == inside or inside in outside.parents:
        raise SinkError(f"the output {output} lies in the input folder {folder}")
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield Job(path, output / path.relative_to(folder), True)


def plan(inputs: Sequence[Path], output: Path) -> list[Job]:
    """Say which file each input becomes.

    Args:
        inputs: files and folders. A single file may become a file; several files, and what is in
            folders, go into a folder, with the same names below it.
        output: file or folder; a path without a suffix is a folder.

    Raises:
        SourceError: an input does not exist.
        SinkError: several files for one, two for the same name, a folder into itself, or a URL.
    """
    if is_url(str(output)):
        raise SinkError(f"{redacted(str(output))}: a result is a file or a folder, not a URL")
    jobs: list[Job] = []
    for path in inputs:
        if path.is_dir():
            if output.is_file():
                raise SinkError(f"{path} is a folder, but {output} is a file")
            jobs.extend(_of_folder(path, output))
        elif not path.exists():
            raise SourceError(f"{redacted(str(path))} does not exist")
        elif len(inputs) > 1 or output.is_dir() or not output.suffix:
            if output.is_file():
                raise SinkError(f"{len(inputs)} inputs need a folder, but {output} is a file")
            jobs.append(Job(path, output / path.name, False))
        else:
            jobs.append(Job(path, output, False))
    if not jobs:
        raise SourceError(f"there are no files in {', '.join(str(p) for p in inputs)}")
    targets = [job.target for job in jobs]
    if len(set(targets)) < len(targets):
        double = next(target for target in targets if targets.count(target) > 1)
        raise SinkError(f"two inputs would become {double}; denoise them one at a time")
    return jobs


def denoise_file(
    job: Job,
    denoiser: Denoiser,
    *,
    overwrite: bool = False,
    codec: str = DEFAULT_CODEC,
    stop: stream.Stop | None = None,
    report: Callable[[stream.Stats], None] = lambda stats: None,
) -> int:
    """Denoise one file; see :func:`run`.

    Returns:
        How many pictures were denoised.

    Raises:
        SourceError: the file is neither an image nor a video.
        SinkError: the result can't be written.
    """
    if job.target.exists() and not overwrite:
        raise SinkError(f"{job.target} exists; --overwrite replaces it")
    if _is_image(job.source):
        picture = images.read(job.source)
        denoiser.reset()
        clean = denoiser.process(picture.pixels)
        images.write(job.target, images.Picture(clean, picture.alpha, picture.info))
        return 1
    if _is_image(job.target):
        raise SinkError(f"{job.source} is no image; {job.target} would be one")
    if job.in_folder:
        # A result must be whole to be there, or a later run would leave it as it is.
        part = job.target.with_name(f".{job.target.stem}.part{job.target.suffix}")
        try:
            stats = _denoise_video(job.source, part, denoiser, True, codec, stop, report)
            if not (stop and stop.requested):
                part.replace(job.target)
        finally:
            part.unlink(missing_ok=True)
    else:
        stats = _denoise_video(job.source, job.target, denoiser, overwrite, codec, stop, report)
    if stats.broken:
        log.warning("%s: %d packets could not be decoded", job.source, stats.broken)
    return stats.frames


def _denoise_video(
    path: Path,
    target: Path,
    denoiser: Denoiser,
    overwrite: bool,
    codec: str,
    stop: stream.Stop | None,
    report: Callable[[stream.Stats], None],
) -> stream.Stats:
    stats = stream.Stats()
    with closing(VideoFile(path), stats) as source:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"{target} can't be written: {error.strerror}") from error
        denoiser.reset()
        with VideoSink(target, source, source.rate, codec, overwrite) as sink:
            stream.run(source, denoiser, [sink], stop, report, stats=stats)
    if not stats.frames and not (stop and stop.requested):
        raise SourceError(f"{path} holds no frame that can be decoded")
    return stats


def run(
    jobs: Sequence[Job],
    denoiser: Denoiser,
    *,
    overwrite: bool = False,
    codec: str = DEFAULT_CODEC,
    stop: stream.Stop | None = None,
    report: Callable[[stream.Stats], None] = lambda stats: None,
) -> Outcome:
    """Denoise files one after the other.

    In a folder, results that are there already are left alone, so that an interrupted run goes
    on where it stopped (a result of a folder is only there when it is whole), and a file that is
    no picture, or a video that can't be written as one, is named and passed over.

    Args:
        jobs: from :func:`plan`.
        denoiser: opened.
        overwrite: make results again that are there already.
        codec: of videos.
        stop: looked at between frames.
        report: told after each frame of a video.

    Raises:
        SourceError, SinkError: as they come up for a file that was named itself.
    """
    outcome = Outcome()
    for job in jobs:
        if stop is not None and stop.requested:
            outcome.stopped = True
            break
        if job.in_folder and job.target.exists() and not overwrite:
            outcome.present += 1
            continue
        try:
            outcome.frames += denoise_file(
                job, denoiser, overwrite=overwrite, codec=codec, stop=stop, report=report
            )
        except (SourceError, SinkError) as error:
            if not job.in_folder or (isinstance(error, SinkError) and _is_image(job.source)):
                raise
            log.warning("passed over: %s", error)
            outcome.failed += (str(error),)
            continue
        if stop is not None and stop.requested and not _is_image(job.source):
            outcome.stopped = True
            break
        outcome.done += 1
    return outcome
