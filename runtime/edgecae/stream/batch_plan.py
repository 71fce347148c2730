"""Which file of a batch becomes which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.redact import is_url, redacted
from edgecae.stream.folder_files import files_below

__all__ = ["MOVING", "Job", "is_still", "plan_batch"]


MOVING = {".gif"}
"""Suffixes of files that are a video to a video, and a picture to a picture."""


@dataclass(frozen=True)
class Job:
    """One file to read and the one to write.

    Attributes:
        source: image or video.
        target: file that the result becomes.
        in_batch: whether it is one of a folder or of a list of files.
    """

    source: Path
    target: Path
    in_batch: bool


def is_still(job: Job) -> bool:
    """Whether a job makes a picture of a picture."""
    if job.source.suffix.lower() in MOVING:
        return job.target.suffix.lower() in images.WRITTEN_SUFFIXES
    return images.is_picture_name(job.source)


def _named(source: Path, target: Path, in_batch: bool) -> Job:
    """A job of a batch; what can't be written in its own format becomes PNG.

    Raises:
        SinkError: of a single file, its format can't be written.
    """
    job = Job(source, target, in_batch)
    if is_still(job) and target.suffix.lower() not in images.WRITTEN_SUFFIXES:
        if not in_batch:
            images.kind_to_write(target)
        return Job(source, target.with_suffix(".png"), in_batch)
    return job


def _jobs_of_folder(folder: Path, output: Path) -> Iterator[Job]:
    """A job for each file in a folder, and for each folder below that can't be listed."""
    inside, outside = folder.resolve(), output.resolve()
    if outside == inside or inside in outside.parents:
        raise SinkError(f"the output {output} lies in the input folder {folder}")
    for path in files_below(folder, output):  # what can't be read fails when its turn comes
        yield _named(path, output / path.relative_to(folder), True)


def plan_batch(inputs: Sequence[Path], output: Path) -> list[Job]:
    """Say which file each input becomes.

    Args:
        inputs: files and folders. A single file may become a file; several files, and what is in
            folders, go into a folder, with the same names below it. There, a picture of a format
            that is not written becomes ``NAME.png``.
        output: file or folder; a path without a suffix is a folder.

    Raises:
        SourceError: the only input does not exist; among several, its job fails.
        SinkError: several files for one, two for the same name, a folder into itself, a URL, or a
            picture into a format that is not written.
    """
    several = len(inputs) > 1
    if is_url(str(output)):
        raise SinkError(f"{redacted(str(output))}: a result is a file or a folder, not a URL")
    jobs: list[Job] = []
    for path in inputs:
        if path.is_dir():
            if output.is_file():
                raise SinkError(f"{path} is a folder, but {output} is a file")
            jobs.extend(_jobs_of_folder(path, output))
        elif not several and not path.exists():
            raise SourceError(f"{redacted(str(path))} does not exist")
        elif several or output.is_dir() or not output.suffix:
            if output.is_file():
                raise SinkError(f"{len(inputs)} inputs need a folder, but {output} is a file")
            jobs.append(_named(path, output / path.name, several))
        else:
            jobs.append(_named(path, output, False))
    if not jobs:
        raise SourceError(f"there are no files in {', '.join(str(p) for p in inputs)}")
    taken = Counter(job.target for job in jobs)
    jobs = [
        replace(job, target=job.target.with_name(f"{job.source.name}.png"))
        if taken[job.target] > 1 and job.source.suffix.lower() not in images.WRITTEN_SUFFIXES
        else job
        for job in jobs
    ]  # a.heic beside a.png
    targets = [job.target for job in jobs]
    if len(set(targets)) < len(targets):
        double = next(target for target in targets if targets.count(target) > 1)
        raise SinkError(f"two inputs would become {double}; denoise them one at a time")
    return jobs
