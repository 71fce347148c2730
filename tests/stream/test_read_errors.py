"""Files that can't be read to their end, and files that end early: a disk that fails for real.

A library between a process and its files makes reads fail behind an offset, as a damaged sector or
a share that goes away does.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import frames_of, make_clip
from PIL import Image

from edgecae import Denoiser
from edgecae.errors import SinkError
from edgecae.stream import batch

FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many of `count` bytes at `offset` can be read from a file; -1: none, since they are bad. */
static ssize_t readable(int file, off_t offset, size_t count) {
    const char *bad = getenv("BAD_PATH"), *behind = getenv("BAD_BEHIND");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!bad || !behind || length < 0) return count;
    path[length] = 0;
    if (strcmp(path, bad)) return count;
    if (offset < 0) offset = lseek(file, 0, SEEK_CUR);
    long left = atol(behind) - offset;
    if (left <= 0) { errno = EIO; return -1; }
    return (size_t)left < count ? left : (ssize_t)count;
}

ssize_t read(int file, void *buffer, size_t count) {
    ssize_t (*next)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    ssize_t most = readable(file, -1, count);
    return most < 0 ? most : next(file, buffer, most);
}

ssize_t pread(int file, void *buffer, size_t count, off_t offset) {
    ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    ssize_t most = readable(file, offset, count);
    return most < 0 ? most : next(file, buffer, most, offset);
}

ssize_t pread64(int file, void *buffer, size_t count, off_t offset) {
    return pread(file, buffer, count, offset);
}
"""

PICTURES = [np.full((48, 64, 3), 10 + 4 * i, np.uint8) for i in range(60)]
"""Two seconds."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to load before all others."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("library")
    (folder / "failing.c").write_text(FAILING)
    build = ["cc", "-shared", "-fPIC", "-o", "failing.so", "failing.c", "-ldl"]
    subprocess.run(build, cwd=folder, check=True)
    return folder / "failing.so"


def edgecae(*arguments: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecae", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **settings)


def with_bad_disk(library: Path, path: Path, share: float = 0.5) -> dict[str, str]:
    """The environment of a process that can't read a file behind this share of its bytes."""
    behind = str(int(share * path.stat().st_size))
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "BAD_PATH": str(path.resolve()),
        "BAD_BEHIND": behind,
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


SOUND: dict[str, Any] = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound": True}


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi", "ts"])
def test_a_video_behind_a_read_error_is_not_done(
    suffix: str, library: Path, tmp_path: Path
) -> None:
    settings = SOUND if suffix != "ts" else {**SOUND, "codec": "mpeg2video", "pix_fmt": "yuv420p"}
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    clip = make_clip(tmp_path / f"clip.{suffix}", list(noise), **settings)
    if suffix == "mp4":  # what FFmpeg writes has its index at the end, which is read first
        clip = faststart(clip)
    out = tmp_path / "out" / "result.mkv"
    command = ("denoise", clip, "-o", out, "--model", "nano")
    failed = edgecae(*command, env=with_bad_disk(library, clip))
    assert failed.returncode == 1, failed.stderr
    assert "can't be read any further: Input/output error" in failed.stderr
    assert names(out.parent) == [".result.part.json", ".result.part.mkv"]
    assert 10 < len(frames_of(out.parent / ".result.part.mkv")[0]) < 50
    again = edgecae(*command)
    assert again.returncode == 0, again.stderr
    assert names(out.parent) == ["result.mkv"]
    assert len(frames_of(out)[0]) == len(frames_of(clip)[0])


def faststart(clip: Path) -> Path:
    """The same MP4 with its index at the start."""
    copy = clip.with_name(f"start-{clip.name}")
    with av.open(str(clip)) as old:
        with av.open(str(copy), "w", container_options={"movflags": "faststart"}) as new:
            streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
            for packet in old.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    new.mux(packet)
    return copy


@pytest.mark.faults
def test_a_batch_passes_over_what_can_not_be_read(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    """A folder, then a list of files: one of them lies on bad sectors, one is missing."""
    folder = tmp_path / "in"
    folder.mkdir()
    bad = make_clip(folder / "a.mkv", PICTURES, **SOUND)
    make_clip(folder / "b.mkv", PICTURES[:5], **SOUND)
    shutil.copy(photos / "face.png", folder / "c.png")
    for inputs, failing in [
        ([folder], 1),
        ([*sorted(folder.iterdir()), folder / "none.png"], 2),
    ]:
        out = tmp_path / f"out{failing}"
        done = edgecae(
            "denoise", *inputs, "-o", out, "--model", "nano", env=with_bad_disk(library, bad)
        )
        assert done.returncode == 1, done.stderr
        assert f"{failing} of {2 + failing} files could not be denoised" in done.stderr
        assert names(out) == [".a.part.json", ".a.part.mkv", "b.mkv", "c.png"]
        again = edgecae("denoise", *inputs, "-o", out, "--model", "nano")
        assert again.returncode == failing - 1, again.stderr
        assert "2 were there already" in again.stderr
        assert names(out) == ["a.mkv", "b.mkv", "c.png"]
        assert len(frames_of(out / "a.mkv")[0]) == 60


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "ppm"])
def test_an_image_behind_a_read_error_is_not_done(
    suffix: str, library: Path, photos: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / f"in.{suffix}", tmp_path / "out"
    with Image.open(photos / "face.png") as face:
        face.convert("RGB").save(source)
    failed = edgecae("denoise", source, "-o", out, env=with_bad_disk(library, source))
    assert failed.returncode == 1
    assert "can't be read any further: Input/output error" in failed.stderr
    assert names(out) == []
    assert edgecae("denoise", source, "-o", out).returncode == 0


@pytest.mark.faults
@pytest.mark.parametrize("spec", ["-", "raw:64x48"])
def test_standard_input_that_can_not_be_read_fails(
    spec: str, library: Path, tmp_path: Path
) -> None:
    head = b"YUV4MPEG2 W64 H48 F30:1 C444\n" if spec == "-" else b""
    frame = b"FRAME\n" if spec == "-" else b""
    source = tmp_path / "frames"
    source.write_bytes(head + (frame + bytes(3 * 64 * 48)) * 20)
    command = ("stream", "--source", spec, "--sink", "null:", "--model", "nano")
    with source.open("rb") as file:
        failed = edgecae(*command, stdin=file, env=with_bad_disk(library, source))
    assert failed.returncode == 1, failed.stderr
    assert "standard input can't be read any further: Input/output error" in failed.stderr
    with source.open("rb") as file:
        assert "20 out" in edgecae(*command, stdin=file).stderr


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi"])
def test_a_video_that_ends_early_is_denoised_as_far_as_it_goes(suffix: str, tmp_path: Path) -> None:
    settings = {**SOUND, "codec": "libx264", "pix_fmt": "yuv420p"}
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    clip = make_clip(tmp_path / f"clip.{suffix}", list(noise), **settings)
    whole = (faststart(clip) if suffix == "mp4" else clip).read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "result.mkv"
    done = edgecae("denoise", clip, "-o", out, "--model", "nano")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "ends early" in line]
    came, announced = (float(word) for word in line.split() if word.replace(".", "").isdigit())
    assert announced == pytest.approx(2, abs=0.15)
    count = len(frames_of(out)[0])
    assert 15 < count < 45
    assert came == pytest.approx(count / 30, abs=0.25)
    # Every frame whose packet is there, also those that the decoder held back.
    with av.open(str(clip)) as container:
        sizes = [p.size for p in container.demux(video=0) if p.size] if suffix != "mp4" else []
    assert suffix == "mp4" or count >= len(sizes) - 1


@pytest.mark.slow
def test_a_whole_video_does_not_end_early(tmp_path: Path) -> None:
    """Nor one whose sound is longer or shorter than its picture."""
    lengths = {"same": (60, 0), "longer": (20, 40)}
    for name, (count, more) in lengths.items():
        for suffix in ("mkv", "mp4", "avi", "ts"):
            settings = {**SOUND, "codec": "mpeg4", "pix_fmt": "yuv420p"}
            clip = make_clip(
                tmp_path / f"{name}.{suffix}", PICTURES[:count], **settings, more_sound=more
            )
            done = edgecae("stream", "--source", clip, "--sink", "null:", "--model", "nano")
            assert done.returncode == 0, done.stderr
            assert "ends early" not in done.stderr, (name, suffix)


def test_a_full_disk_ends_a_batch(
    photos: Path, tmp_path: Path, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that can't be made only fails for itself."""
    inputs = [photos / "face.png", photos / "hat.png"]
    out = tmp_path / "out"
    out.mkdir()

    def full(descriptor: int) -> None:  # some file systems find out when they are to flush
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    jobs = batch.plan_batch(inputs, out)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SinkError, match="No space left"):
            batch.run_batch(jobs, denoiser)
    assert names(out) == []
    (tmp_path / "file").write_text("")
    jobs = [
        batch.Job(inputs[0], tmp_path / "file" / "x.png", True),
        batch.Job(inputs[1], out / "y.png", True),
    ]
    outcome = batch.run_batch(jobs, denoiser)
    assert (outcome.done, len(outcome.failed)) == (1, 1)
