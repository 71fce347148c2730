"""What goes wrong where a stream lives, done for real: to real processes, files and pipes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import frames_of, make_clip
from live import Network

from edgecae import Denoiser, stream
from edgecae.commands import process
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame

pytestmark = pytest.mark.faults

EDGECAE = [sys.executable, "-m", "edgecae"]
LIVE = "test:320x240@25?live=yes&noise=gaussian:20"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Network]:
    """A camera in a process of its own, which can be killed, stopped and started again."""
    (tmp_path / "camera").mkdir()
    made = Network(monkeypatch, tmp_path / "camera")
    made.start()
    yield made
    made.close()


def small_disk() -> None:
    """For ``preexec_fn``: files end at 60 kB, until the limit is lifted."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, most))


class Streaming:
    """``edgecae stream --json`` in a process of its own; ``before`` goes before ``stream``."""

    def __init__(self, *arguments: str, before: tuple[str, ...] = (), **settings: Any) -> None:
        command = [*EDGECAE, *before, "stream", "--json", "--model", "nano", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
        )
        self.lines: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, keep), daemon=True)
            for pipe, keep in (
                (self.process.stdout, lambda line: self.lines.append(json.loads(line))),
                (self.process.stderr, self.errors.append),
            )
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe: Any, keep: Callable[[str], None]) -> None:
        with pipe:
            for line in pipe:
                keep(line)

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.lines and condition(self.lines[-1]):
                return
            assert self.process.poll() is None, self.errors
            time.sleep(0.05)
        raise AssertionError(f"never came to it: {self.lines[-3:]}")

    def threads_now(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        status = ended(self.process, 20)
        return status, self.rest()

    def rest(self) -> str:
        """What an ended process said on standard error; afterwards its lines are all there."""
        for reader in self._readers:
            reader.join(10)
        return "".join(self.errors)


def ended(process: subprocess.Popen[str], seconds: float) -> int:
    try:
        return process.wait(seconds)
    finally:
        process.kill()


def test_a_source_that_dies_and_returns(server: Network) -> None:
    running = Streaming("--source", server.spec, "--sink", "null:", "--stall", "2")
    running.wait_for(lambda now: now["frames_out"] > 10)
    threads = running.threads_now()
    for round_ in (1, 2, 3):
        server.die()
        running.wait_for(lambda now: now["offline_seconds"] is not None)
        server.start()
        running.wait_for(lambda now, want=round_: now["reconnects"] == want)  # type: ignore[misc]
        seen = running.lines[-1]["frames_out"]
        running.wait_for(lambda now, seen=seen: now["frames_out"] > seen + 10)  # type: ignore[misc]
        end = time.monotonic() + 10  # those that opened the source need a moment to end
        while running.threads_now() > threads and time.monotonic() < end:
            time.sleep(0.1)
        assert running.threads_now() <= threads
    status, errors = running.end()
    assert status == 0
    assert errors.count("offline: ") == 3


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_recording_says_that_its_source_is_away(
    server: Network, suffix: str, tmp_path: Path
) -> None:
    """Decoded: pictures, a second apart a dark one with letters in its middle, pictures again."""
    target = tmp_path / f"rec.{suffix}"
    server.die()
    server.show(240, 320)
    server.start()
    running = Streaming("--source", server.spec, "--sink", str(target), "--stall", "3")
    running.wait_for(lambda now: now["frames_out"] > 10)
    server.die()
    running.wait_for(lambda now: (now["offline_seconds"] or 0) > 2.5)
    server.start()
    seen = running.lines[-1]["frames_out"]
    running.wait_for(lambda now: now["frames_out"] > seen + 10)
    assert running.end()[0] == 0
    frames, times = frames_of(target)
    dark = [bool(np.median(frame) < 40) for frame in frames]
    assert any(dark)
    first, last = dark.index(True), len(dark) - dark[::-1].index(True)
    assert first > 5
    assert last < len(dark) - 5
    assert all(dark[first:last])
    assert last - first >= 3
    assert max(np.diff(times[first - 1 : last + 1])) < 4
    for frame in frames[first:last]:
        letters = frame.mean(axis=2) > 120
        assert 0.002 < letters.mean() < 0.05
        rows, columns = np.nonzero(letters)
        assert 100 < rows.min() < rows.max() < 140
        assert columns.max() - columns.min() > 150
        assert abs(columns.mean() - 160) < 20
    assert list(tmp_path.glob("rec*")) == [target]


def test_a_source_that_hangs(server: Network) -> None:
    running = Streaming("--source", server.spec, "--sink", "null:", "--stall", "1")
    running.wait_for(lambda now: now["frames_out"] > 10)
    server.hang()
    running.wait_for(lambda now: now["offline_seconds"] is not None, 10)
    server.wake()
    running.wait_for(lambda now: now["offline_seconds"] is None)
    assert running.lines[-1]["reconnects"] == 1
    assert running.end()[0] == 0


def test_a_source_that_hangs_does_not_hold_up_the_end(server: Network) -> None:
    running = Streaming("--source", server.spec, "--sink", "null:", "--stall", "300")
    running.wait_for(lambda now: now["frames_out"] > 10)
    server.hang()
    time.sleep(0.5)
    before = time.monotonic()
    assert running.end()[0] == 0
    assert time.monotonic() - before < 15


def test_a_source_that_is_not_there_yet(server: Network) -> None:
    server.die()
    running = Streaming("--source", server.spec, "--sink", "null:")
    time.sleep(3)
    assert running.process.poll() is None
    server.start()
    running.wait_for(lambda now: now["frames_out"] > 5)
    assert running.lines[-1]["reconnects"] == 0
    assert running.end()[0] == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_a_password_in_the_source_gets_nowhere(server: Network) -> None:
    """Not while the source is there, nor while it is away, nor however much is logged."""
    running = Streaming(
        *("--source", f"{server.rtsp}?token=hush", "--stall", "1"),
        *("--sink", "view:0", "--sink", "null:", "--metrics", "0"),
        before=("-vv",),
    )
    running.wait_for(lambda now: now["frames_out"] > 5)
    pages = re.findall(r"http://127\.0\.0\.1:\d+/(?:metrics)?", "".join(running.errors))
    assert len(pages) == 2
    said = [fetch(page) for page in (*pages, f"{pages[-1]}status")]
    server.die()
    running.wait_for(lambda now: now["offline_seconds"] is not None)
    status = fetch(f"{pages[-1]}status")
    assert json.loads(status)["offline_seconds"] is not None
    assert "rtsp://…@127.0.0.1" in json.loads(status)["source"]
    said += [status, *map(fetch, pages)]
    assert "offline: " in "".join(running.errors)
    assert running.end()[0] == 0
    said += [*running.errors, *map(json.dumps, running.lines)]
    assert not [text for text in said if "sesame" in text or "hush" in text]


def test_a_source_whose_size_changes(server: Network, tmp_path: Path) -> None:
    target = tmp_path / "rec.mkv"
    running = Streaming("--source", server.spec, "--sink", str(target), "--stall", "2")
    running.wait_for(lambda now: now["frames_out"] > 10)
    server.die()
    server.show(96, 80)
    server.start()
    seen = running.lines[-1]["frames_out"]
    running.wait_for(lambda now: now["reconnects"] == 1 and now["frames_out"] > seen + 10)
    assert running.end()[0] == 0
    assert frames_of(target)[0][0].shape == (48, 64, 3)
    assert frames_of(tmp_path / "rec-0002.mkv")[0][0].shape == (96, 80, 3)


def test_a_folder_with_a_bad_image(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(photos, folder)
    count = len(sorted(folder.glob("*.png")))
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n this is none")
    running = Streaming("--source", str(folder), "--sink", str(tmp_path / "out"))
    assert ended(running.process, 60) == 0
    errors = running.rest()
    last = running.lines[-1]
    assert (last["frames_out"], last["broken"]) == (count, 1)
    (named,) = [line for line in errors.splitlines() if "bad.png" in line]
    assert "passed over" in named
    assert len(list((tmp_path / "out").iterdir())) == count


def test_a_folder_of_nothing_but_bad_images_fails_and_says_how_many(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"none")
    running = Streaming("--source", str(tmp_path), "--sink", "null:")
    assert ended(running.process, 60) == 1
    assert "holds no frame that can be decoded" in running.rest()
    last = running.lines[-1]
    assert (last["end"], last["frames_out"], last["broken"]) == (True, 0, 2)


def test_a_video_with_a_damaged_packet(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(10)]
    clip = make_clip(tmp_path / "in.mkv", pictures, codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(clip)) as container:
        data = next(itertools.islice(container.demux(video=0), 4, None))
        whole, content = bytes(data), clip.read_bytes()
    assert content.count(whole) == 1
    clip.write_bytes(content.replace(whole, bytes(len(whole))))
    running = Streaming("--source", str(clip), "--sink", str(tmp_path / "out.mkv"))
    assert ended(running.process, 60) == 0
    running.rest()
    last = running.lines[-1]
    assert (last["frames_out"], last["broken"]) == (9, 1)
    assert len(frames_of(tmp_path / "out.mkv")[0]) == 9


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    target = tmp_path / "rec.mkv"
    running = Streaming(
        *("--source", LIVE, "--sink", str(target), "--sink", "null:"), preexec_fn=small_disk
    )
    running.wait_for(lambda now: target.exists() and target.stat().st_size > 50_000)
    seen = running.lines[-1]["frames_out"]
    running.wait_for(lambda now: now["frames_out"] > seen + 50)
    status, errors = running.end()
    # Each new file has as much room as the first: the last one may be full while it is finished.
    assert status == (1 if "can't be finished" in errors else 0), errors
    assert "trying again, the stream goes on meanwhile" in errors
    assert len(frames_of(target)[0]) >= 3


def test_a_disk_that_has_room_again(tmp_path: Path) -> None:
    target, other = tmp_path / "rec.mkv", tmp_path / "rec-0002.mkv"
    target.write_text("to be replaced")
    running = Streaming(
        *("--source", LIVE, "--sink", str(target), "--sink", "null:", "--overwrite"),
        preexec_fn=small_disk,
    )
    running.wait_for(lambda now: "trying again" in "".join(running.errors))
    most = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
    running.wait_for(lambda now: other.exists() and other.stat().st_size > 300_000)
    assert "rec.mkv works again" in "".join(running.errors)
    status, errors = running.end()
    assert status == 0
    assert errors.count("works again") == 1
    assert {path.name for path in tmp_path.iterdir()} == {target.name, other.name}
    assert len(frames_of(target)[0]) >= 3
    assert len(frames_of(other)[0]) > len(frames_of(target)[0])


def test_a_full_disk_under_the_only_sink_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [*EDGECAE, "stream", "--source", LIVE, "--sink", str(tmp_path / "rec.mkv")],
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_recording_that_is_killed_plays_up_to_the_last_second(
    suffix: str, tmp_path: Path
) -> None:
    target = tmp_path / f"rec.{suffix}"
    running = Streaming("--source", LIVE, "--sink", str(target))
    running.wait_for(lambda now: now["frames_out"] > 100)
    seconds = len(running.lines) * 1.0
    running.process.kill()
    running.process.wait()
    times = frames_of(target)[1]
    # The figures come once a second: the last ones are up to a second old themselves.
    first, last = running.lines[0], running.lines[-1]
    assert len(times) > 50
    rate = (last["frames_out"] - first["frames_out"]) / (len(running.lines) - 1)
    assert len(times) >= last["frames_out"] - last["sink_dropped"] - 1.5 * rate
    assert times[-1] <= seconds + 30


def test_a_pipe_that_nobody_reads_any_more() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(EDGECAE)} stream --source '{LIVE}' --model nano --sink - | "
         "head -c 400000 > /dev/null; exit ${PIPESTATUS[0]}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "standard output" in done.stderr


def test_a_pipe_whose_reader_sleeps_does_not_hold_up_the_end() -> None:
    reader, writer = os.pipe()
    command = [*EDGECAE, "stream", "--source", LIVE, "--model", "nano", "--sink", "-"]
    process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.terminate()
    assert ended(process, 15) == 0
    os.close(reader)
    os.close(writer)


def test_a_standard_input_that_says_nothing_does_not_hold_up_the_end() -> None:
    reader, writer = os.pipe()
    command = [*EDGECAE, "stream", "--source", "-", "--sink", "null:"]
    process = subprocess.Popen(command, stdin=reader, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    process.terminate()
    assert ended(process, 10) == 0
    os.close(reader)
    os.close(writer)


def streaming(denoiser: str, *then: str) -> subprocess.CompletedProcess[str]:
    """A process in which a class of this body takes the denoiser's place, and then these lines."""
    begin = """
        import time
        from edgecae import Denoiser, stream
        from edgecae.commands import process
        from edgecae.media import sinks, sources
        from edgecae.stream import session, threads
        from edgecae.stream.session import Session
    """
    lines = ["class Other(Denoiser):", textwrap.indent(textwrap.dedent(denoiser), "    "), *then]
    code = textwrap.dedent(begin) + "\n".join(lines)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


HANGS = """
def process(self, frame, out=None):
    time.sleep(600)
"""
CANT_BE_MADE_TWICE = """
made = 0
def __init__(self, *given):
    super().__init__(*given)
    Other.made += 1
    if Other.made > 1:
        time.sleep(600)
"""
AUTO = (
    "session.Denoiser = Other",
    "threads.cores = lambda: 2",
    "Session('test:16x16?frames=5', ['null:'], 'nano', threads=None, hang=1.0).run("
    "announce=print, hooks=process.hooks())",
)


@pytest.mark.parametrize(
    ("denoiser", "then"),
    [
        (HANGS, ("with Other('nano') as denoiser, sources.open_source('test:16x16') as source:",
                 "    stream.run(source, denoiser, [sinks.null.Null()], hang=1.0,",
                 "        hooks=process.hooks())")),
        (HANGS, AUTO),
        (CANT_BE_MADE_TWICE, AUTO),
        (HANGS, ("def choose(frame):",
                 "    Other('nano').process(frame.pixels)",
                 "with sources.open_source('test:16x16') as source:",
                 "    stream.run(source, choose, [sinks.null.Null()], hang=1.0,",
                 "        hooks=process.hooks())")),
    ],
    ids=["threads given", "threads chosen", "making a denoiser", "a function that chooses"],
)  # fmt: skip
def test_inference_that_hangs_ends_the_process(denoiser: str, then: tuple[str, ...]) -> None:
    done = streaming(denoiser, *then)
    assert done.returncode == 70, done.stderr
    assert "inference has hung" in done.stderr


LIBRARY = (
    "from edgecae.errors import BackendError",
    "try: Session('test:16x16?frames=5', ['null:'], 'nano', threads=1, hang=1.0).run()",
    "except BackendError as error: print(error)",
)


def test_a_library_call_that_hangs_leaves_its_process_alone() -> None:
    done = streaming(HANGS, "session.Denoiser = Other", *LIBRARY, "print('alive')")
    assert done.returncode == 0, done.stderr
    hung, alive = done.stdout.splitlines()
    assert "inference has hung" in hung
    assert alive == "alive"


def test_a_library_call_says_nothing_to_systemd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        with Denoiser("nano") as denoiser, sources.open_source("test:16x16?frames=5") as source:
            assert stream.run(source, denoiser, [sinks.null.Null()]).frames == 5
        with pytest.raises(BlockingIOError):
            listener.recv(4096)


def test_to_choose_threads_may_take_longer_than_a_frame() -> None:
    slow = """
    def process(self, frame, out=None):
        time.sleep(0.3)
        return super().process(frame, out)
    """
    done = streaming(slow, "begin = time.monotonic()", *AUTO, "print(time.monotonic() - begin)")
    assert done.returncode == 0, done.stderr
    *chosen, seconds = done.stdout.splitlines()
    assert "chosen: " in chosen[-1]
    assert float(seconds) > 2


def test_systemd_hears_that_all_is_well(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(30)
        running = Streaming(
            *("--source", LIVE, "--sink", "null:"),
            env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"},
        )
        assert listener.recv(4096) == b"READY=1"
        beats = [listener.recv(4096).decode() for _ in range(3)]
        assert all("WATCHDOG=1" in beat and "frames/s" in beat for beat in beats)
        assert running.end()[0] == 0
        while (last := listener.recv(4096)) != b"STOPPING=1":
            assert b"WATCHDOG=1" in last


@contextlib.contextmanager
def heard_by_systemd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], int]]:
    """Stand in for systemd; yields what counts the WATCHDOG=1 since it was asked last."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "500000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)

        def count() -> int:
            said = b""
            with contextlib.suppress(BlockingIOError):
                while True:
                    said += listener.recv(4096)
            return said.count(b"WATCHDOG=1")

        yield count


def test_systemd_hears_nothing_while_the_loop_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stop, counts = stream.Stop(), []
    with heard_by_systemd(monkeypatch, tmp_path) as count:

        def report(stats: stream.Stats) -> None:
            if stats.frames == 40 and not counts:
                counts.append(count())
                time.sleep(1.2)  # what was on its way, and what came before the next look
                count()
                time.sleep(3)
                counts.append(count())
            elif stats.frames == 80:
                counts.append(count())
                stop.requested = True

        with Denoiser("nano") as denoiser, sources.open_source(LIVE) as source:
            stream.run(source, denoiser, [sinks.null.Null()], stop, report, hooks=process.hooks())
    before, meanwhile, after = counts
    assert before >= 2
    assert meanwhile == 0
    assert after >= 2


def test_systemd_hears_of_a_file_that_waits_for_its_sink(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Slow(sinks.null.Null):
        counts: tuple[int, ...] = ()

        def write(self, frame: Frame) -> None:
            if not self.counts:
                time.sleep(1.2)
                count()
                time.sleep(3)
                self.counts = (count(),)

    slow = Slow()
    with heard_by_systemd(monkeypatch, tmp_path) as count:
        with Denoiser("nano") as denoiser, sources.open_source("test:16x16?frames=20") as source:
            stream.run(source, denoiser, [slow], hooks=process.hooks())
    assert slow.counts[0] >= 4


JUMPING = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("JUMP"), "r") : NULL;
    long seconds = 0;
    if (file) {
        if (fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
        fclose(file);
    }
    return status;
}
"""
"""A library between a process and its clock: the time of day is off by what a file says."""


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_a_clock_that_jumps(tmp_path: Path) -> None:
    jump, target = tmp_path / "jump", tmp_path / "rec.mkv"
    jump.write_text("0")
    (tmp_path / "jump.c").write_text(JUMPING)
    library = tmp_path / "jump.so"
    build = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "jump.c")]
    subprocess.run(build, check=True)
    running = Streaming(
        *("--source", LIVE, "--sink", str(target)),
        env={**os.environ, "LD_PRELOAD": str(library), "JUMP": str(jump)},
    )
    running.wait_for(lambda now: now["frames_out"] > 10)
    for days in (10, -5, 0):
        jump.write_text(str(days * 86400))
        seen = running.lines[-1]["frames_out"]
        running.wait_for(lambda now, seen=seen: now["frames_out"] > seen + 20)  # type: ignore[misc]
    assert running.end()[0] == 0
    times = np.array(frames_of(target)[1])
    assert (np.diff(times) > 0).all()
    assert np.diff(times).max() < 5
    assert running.lines[-1]["reconnects"] == 0


TWENTY_THOUSAND_FRAMES = """
import json, resource, threading
from pathlib import Path

from edgecae import Denoiser, stream
from edgecae.media import sinks, sources

frames, marks = 20_000, []


class Watch(sinks.null.Null):
    count = 0

    def write(self, frame):
        self.count += 1
        if self.count in (frames // 5, frames - 10):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            marks.append((pages * resource.getpagesize(), threading.active_count()))


settings = sources.SourceSettings()
with (
    Denoiser("nano") as denoiser,
    sources.open_source(f"test:16x16?frames={frames}", settings) as source,
):
    stats = stream.run(source, denoiser, [Watch()], buffers=settings.buffers)
print(json.dumps([stats.frames, marks]))
"""


def test_twenty_thousand_frames() -> None:
    # In a process of its own: what earlier tests left in this one would be counted, too.
    done = subprocess.run([sys.executable, "-c", TWENTY_THOUSAND_FRAMES], stdout=subprocess.PIPE)
    frames, ((early, threads), (late, threads_late)) = json.loads(done.stdout)
    assert frames == 20_000
    assert late - early < 320_000  # under 20 bytes a frame
    assert threads_late <= threads


class Starved:
    """A sink that lacks something for some frames, as a real one does; then it has it again."""

    needs_original = wants_slates = recovers = False
    name = "starved"

    def __init__(self, errors: list[Exception]) -> None:
        self.errors, self.frames = errors, 0

    def write(self, frame: Frame) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.frames += 1

    def __enter__(self) -> Starved:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "no more memory"),
        (OSError(errno.ENOMEM, "x"), "no more memory"),
        (OSError(errno.EMFILE, "x"), "no more file descriptors"),
        (BlockingIOError(errno.EAGAIN, "x"), "no more threads or memory"),
        (RuntimeError("can't start new thread"), "no more threads or memory"),
        (av.error.MemoryError(errno.ENOMEM, "x"), "no more memory"),
    ],
)
def test_a_sink_that_lacks_something_is_tried_again(
    error: Exception, word: str, alone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    starved, stop = Starved([error, error]), stream.Stop()
    with contextlib.ExitStack() as stack:
        nano = stack.enter_context(Denoiser("nano"))
        source = stack.enter_context(sources.open_source("test:64x48@25?live=yes"))
        opened: list[Any] = [starved]
        if not alone:
            opened.append(stack.enter_context(sinks.open_sink("null:", sinks.SinkSettings(source))))

        def until(stats: stream.Stats) -> None:
            stop.requested = starved.frames > 5

        stream.run(source, nano, opened, stop, until)
    assert starved.frames > 5
    said = [record.getMessage() for record in caplog.records if "trying again" in record.message]
    assert len(said) == 1
    assert word in said[0]


@pytest.mark.slow
def test_a_recording_goes_on_after_a_time_without_descriptors(tmp_path: Path) -> None:
    """Nobody can open a file for two seconds; the recording is the only sink."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    running = Streaming(*("--source", LIVE, "--sink", "rec.mkv", "--segment", "1"), cwd=tmp_path)
    running.wait_for(lambda now: now["frames_out"] > 10)
    open_now = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (open_now - 3, limit))
    end = time.monotonic() + 20
    while not any("descriptors" in line for line in running.errors):
        assert running.process.poll() is None, running.errors
        assert time.monotonic() < end, running.errors
        time.sleep(0.1)
    time.sleep(1)
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    end = time.monotonic() + 20
    while not any("works again" in line for line in running.errors):
        assert time.monotonic() < end, running.errors
        time.sleep(0.1)
    time.sleep(1)
    status, errors = running.end()
    assert status == 0, errors
    assert "Traceback" not in errors
    frames = {part.name: len(frames_of(part)[0]) for part in sorted(tmp_path.glob("rec-*.mkv"))}
    print(frames, errors)
    assert sum(frames.values()) > 40
