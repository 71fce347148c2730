"""A file is there whole, or as it was before."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgecae import atomic
from edgecae.errors import SinkError
from edgecae.media import images, sinks
from edgecae.media.frame import Frame

WRITE = """
import sys, time
from pathlib import Path
from edgecae import atomic
content, end = sys.argv[2].encode() * 200_000, time.monotonic() + 3
while time.monotonic() < end:
    atomic.write_bytes(Path(sys.argv[1]), content)
"""


@pytest.mark.faults
def test_two_processes_that_write_one_file_leave_one_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, path, letter], stderr=subprocess.PIPE)
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            content = path.read_bytes()
            seen.add(content[:1])
            assert content in (b"a" * 200_000, b"b" * 200_000)
    for writer in writers:
        assert writer.wait() == 0, writer.stderr and writer.stderr.read()
    assert seen == {b"a", b"b"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_is_killed_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from edgecae import atomic\n"
        "with atomic.writing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path])
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    atomic.write_text(path, "new")  # what was left behind is in nobody's way
    assert path.read_text() == "new"


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic.writing(path) as temporary:
        temporary.write_text(str(1 / 0))
    with pytest.raises(SinkError, match="can't be written: No space"), atomic.writing(path):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    flushed = []

    def fsync(descriptor: int) -> None:
        about = os.fstat(descriptor)
        flushed.append((stat.S_ISDIR(about.st_mode), about.st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    images.write(path, images.Picture(np.zeros((4, 4, 3), np.uint8)))
    assert flushed == [
        (False, path.stat().st_ino, False),
        (True, tmp_path.stat().st_ino, True),
    ]


def test_frames_in_a_folder_are_not_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    with sinks.image_folder.ImageFolder(tmp_path / "out") as sink:
        sink.write(Frame(np.full((4, 4, 3), 9, np.uint8), 0.0))
    assert (images.read(tmp_path / "out" / "frame000000.png").pixels == 9).all()
    assert flushed == []


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_may_not_overwrite_one_writes(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:  # as on a FAT file system
        monkeypatch.setattr(os, "link", lambda source, target: (_ for _ in ()).throw(OSError(1)))
    for turn in range(20):
        path = tmp_path / f"file {turn}"
        ready, won, lost = threading.Barrier(4), [], []

        def write(name: str, path: Path = path, ready=ready, won=won, lost=lost) -> None:
            try:
                with atomic.writing(path, overwrite=False) as temporary:
                    temporary.write_text(name)
                    ready.wait(30)
                won.append(name)
            except SinkError as error:
                lost.append(str(error))

        threads = [threading.Thread(target=write, args=[str(n)]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [path.read_text()] == won
        assert lost == [f"{path} exists; --overwrite replaces it"] * 3
    assert len(list(tmp_path.iterdir())) == 20


def test_permissions_are_those_of_a_file_that_is_opened(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("")
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        atomic.write_text(old, "text")
        atomic.write_text(new, "text")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, new)] == [0o640, 0o640]
    old.chmod(0o604)
    atomic.write_text(old, "again")
    assert stat.S_IMODE(old.stat().st_mode) == 0o604


def test_a_link_goes_on_leading_to_its_file(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    link.symlink_to(path)
    atomic.write_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_long_names_folders_and_devices(tmp_path: Path) -> None:
    long = tmp_path / "made" / ("ä" * 120 + ".toml")
    atomic.write_text(long, "text", overwrite=False)
    assert long.read_text() == "text"
    with pytest.raises(SinkError, match="no regular file"):
        atomic.write_text(tmp_path, "text")
    with pytest.raises(SinkError, match="no regular file"):
        atomic.write_text(Path(os.devnull), "text")
    assert not Path(os.devnull).is_file()
    with pytest.raises(SinkError, match="can't be written"):
        atomic.write_text(long / "below", "text")
