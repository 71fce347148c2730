"""Atomic writes: a file is there whole, or as it was before.

The content goes to a temporary file in the same folder, whose name is random: nobody can have put
a file or a symbolic link there before. It is flushed to the disk (unless ``durable`` is false), and
then gets its own name in one step. Whoever reads meanwhile sees the old file or the new one. A
process that is killed leaves the old file, and a hidden one, ``.STEM.RANDOM.tmp.SUFFIX``.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgecae.errors import EdgecaeError, SinkError

__all__ = ["check", "temporary_name", "write_bytes", "write_text", "writing"]

MAX_STEM, MAX_SUFFIX = 40, 10
"""Characters of a file's name in that of its temporary file: names have at most 255 bytes."""

RANDOM_DIGITS = 12
"""Hexadecimal digits in the name of a temporary file."""


def temporary_name(path: Path, random: str) -> str:
    """Name of the temporary file of a file, with the suffix of that file."""
    return f".{path.stem[:MAX_STEM]}.{random}.tmp{path.suffix[:MAX_SUFFIX]}"


def check(path: Path, overwrite: bool) -> None:
    """Find out before the work whether a file can be written.

    Raises:
        SinkError: it exists, it is no regular file, or its folder does not exist.
    """
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")
    if path.exists() and not path.is_file():
        raise SinkError(f"{path} can't be written: it is no regular file")
    if not path.absolute().parent.is_dir():
        raise SinkError(f"{path} can't be written: there is no folder {path.parent}")


def write_text(path: Path, text: str, overwrite: bool = True) -> None:
    """Write a file as UTF-8; see :func:`writing`."""
    write_bytes(path, text.encode(), overwrite)


def write_bytes(
    path: Path, content: bytes, overwrite: bool = True, mode: int | None = None
) -> None:
    """Write a file; see :func:`writing`."""
    with writing(path, overwrite, mode=mode) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def writing(
    path: Path, overwrite: bool = True, durable: bool = True, mode: int | None = None
) -> Iterator[Path]:
    """Write a file under a temporary name, which becomes ``path`` when the block ends well.

    A symbolic link at ``path`` is followed. The file keeps the permissions of the one that it
    replaces; a new file has those that the umask leaves. Nobody else can read it before that.
    Missing folders are made.

    Args:
        path: the file to make.
        overwrite: replace a file that exists; else the block may end in an error even where the
            file did not exist at its begin.
        durable: flush the file to the disk before it gets its name, so that it is whole after a
            power cut as well. A flush may take longer than the write; False is for files that come
            many times a second.
        mode: permissions of the file that the content is made of. The new file has no others, also
            where it replaces one that has, and none that the umask takes away.

    Yields:
        The temporary file, which is there and empty: write it, and close it before the block ends.

    Raises:
        SinkError: the file can't be written, or exists and ``overwrite`` is false. Every
            ``OSError`` of the block becomes one.
    """
    temporary: Path | None = None
    try:
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        check(path, overwrite)
        allowed = 0o777 if mode is None else stat.S_IMODE(mode) & 0o777
        temporary = target.with_name(temporary_name(target, os.urandom(RANDOM_DIGITS // 2).hex()))
        _create(temporary, allowed & _mode_of(target, 0o666))
        yield temporary
        if durable:
            _flush(temporary)
        with contextlib.suppress(OSError):  # a file system without permissions
            wanted = _mode_of(target, _mode_of(temporary, 0o666))
            temporary.chmod(wanted & (allowed | ~0o777))
        if overwrite:
            temporary.replace(target)
        elif not _rename_to_new(temporary, target):
            raise SinkError(f"{path} exists; --overwrite replaces it")
        if durable:
            _flush_folder(target.parent)
    except EdgecaeError:
        raise
    except OSError as error:
        raise SinkError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _mode_of(file: Path, default: int) -> int:
    """Permissions of a file; ``default`` where there is none."""
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return default


def _create(file: Path, mode: int) -> None:
    """Make an empty file with the permissions that the umask leaves of ``mode``.

    Its owner can read and write it until it is whole, whatever ``mode`` says.

    Raises:
        FileExistsError: the name is taken, be it by a symbolic link that leads nowhere.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(file, flags, mode & 0o666 | 0o600))


def _flush(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    """Flush the folder, which holds the name; Windows and some file systems can't."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename_to_new(temporary: Path, target: Path) -> bool:
    """Give a file a name that no file has; return whether the name was free.

    Unlike a rename, a link never replaces a file. Where there are no links (FAT, some network file
    systems), an empty file takes the name first, which one process alone can do.
    """
    try:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except (AttributeError, OSError):
            target.touch(exist_ok=False)
            temporary.replace(target)
    except FileExistsError:
        return False
    return True
