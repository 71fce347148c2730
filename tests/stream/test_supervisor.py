"""Several cameras in one process: what one does is no matter of the others."""

from __future__ import annotations

import datetime
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from live import Network
from ports import free_port

from edgecae.denoise.denoiser import Denoiser
from edgecae.errors import EdgecaeError, SinkError, SourceError
from edgecae.stream import HungError, Stop, StreamHooks
from edgecae.stream.cameras import camera as camera_module
from edgecae.stream.cameras import settings, supervisor
from edgecae.stream.cameras.supervisor import Budget, Supervisor
from edgecae.tflite import model_file

LIVE = "test:32x24@25?live=yes"
DEFAULTS = "[defaults]\nmodel = 'nano'\nsink = 'null:'\n"


def cameras(**sources: str) -> str:
    return DEFAULTS + "".join(
        f"[cameras.{name}]\nsource = '{source}'\n" for name, source in sources.items()
    )


class Running:
    """A supervisor in a thread of its own, whose file a test may write anew."""

    def __init__(self, folder: Path, text: str, **given: Any) -> None:
        self.file = folder / "cameras.toml"
        self.file.write_text(text)
        self.supervisor = Supervisor(settings.read(self.file), **given)
        self.stop = Stop()
        self.error: BaseException | None = None
        self._changed = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.supervisor.run(self.stop, changes=self._changes)
        except EdgecaeError as error:
            self.error = error

    def _changes(self) -> settings.Cameras | None:
        if not self._changed:
            return None
        self._changed = False
        return settings.read(self.file)

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self._changed = True

    def now(self, name: str) -> dict[str, Any]:
        return self.supervisor.snapshots().get(name, {"state": "none", "frames": -1})

    def wait(self, condition: Callable[[], object], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.supervisor.snapshots()
            assert self._thread.is_alive(), self.error
            time.sleep(0.02)

    def join(self, seconds: float = 20) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()


@contextmanager
def running(folder: Path, text: str, **given: Any) -> Iterator[Running]:
    made = Running(folder, text, **given)
    try:
        yield made
    finally:
        made.stop.requested = True
        made.join()


def test_all_end_by_themselves_and_share_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    original = model_file.read
    monkeypatch.setattr(model_file, "read", lambda path: read.append(path) or original(path))
    names = ("a", "b", "c")
    with running(tmp_path, cameras(**dict.fromkeys(names, f"{LIVE}&frames=5"))) as made:
        made.join()
        assert made.error is None
        for name in names:
            now = made.now(name)
            assert (now["state"], now["frames_in"], now["camera"]) == ("ended", 5, name)
            assert now["frames_out"] + now["dropped"] == 5
            assert (now["restarts"], now["error"]) == (0, None)
    assert len(read) == 1
    assert "0 of 3 cameras" in made.supervisor.summary()


def test_a_camera_that_fails_is_tried_again_and_counts_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "BACKOFF", (0.1, 30.0))
    original, calls = Denoiser.process, [0]

    def process(self: Denoiser, frame: Any, out: Any = None) -> Any:
        if frame.shape[0] == 16:
            calls[0] += 1
            if calls[0] in (3, 4):
                raise ValueError("a bug")
        return original(self, frame, out)

    monkeypatch.setattr(Denoiser, "process", process)
    with running(tmp_path, cameras(good=LIVE, bad="test:32x16@25?live=yes")) as made:
        made.wait(lambda: made.now("bad")["state"] == "waiting")
        assert made.now("bad")["error"] == "unexpected ValueError: a bug"
        made.wait(lambda: made.now("bad")["state"] == "running")
        made.wait(lambda: made.now("bad")["frames"] > 4)
        bad, good = made.now("bad"), made.now("good")
        assert (bad["restarts"], bad["error"]) == (2, None)
        assert (good["restarts"], good["state"], good["error"]) == (0, "running", None)


@pytest.mark.slow
def test_a_model_that_is_damaged_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mine.tflite").write_bytes(b"no model")
    text = cameras(good=LIVE, bad=LIVE) + f"model = '{tmp_path}/mine.tflite'\n"
    with running(tmp_path, text) as made:
        made.wait(lambda: made.now("good")["frames"] > 3 and made.now("bad")["restarts"] > 1)
        assert "mine.tflite" in made.now("bad")["error"]
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert line.startswith("camera bad: model ")
    assert line.endswith("trying again, the others go on")


@pytest.mark.slow
def test_a_password_that_is_wrong_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Network(monkeypatch, tmp_path)
    server.start()
    try:
        wrong = server.http.replace("//", "//user:wrong@") + "/private/mjpeg"
        text = cameras(good=f"{LIVE}&frames=50", bad=wrong)
        with running(tmp_path, text) as made:
            made.wait(lambda: made.now("bad")["state"] == "refused")
            assert "wrong" not in str(made.now("bad"))
            made.write(text)  # somebody mended the camera
            made.wait(lambda: made.now("bad")["state"] != "refused")
            made.wait(lambda: made.now("bad")["state"] == "refused")
            assert made.now("good")["restarts"] == 0
            made.join()
            assert "camera bad: " in str(made.error)
    finally:
        server.close()


def test_changes_are_taken_up_and_leave_the_others_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    stays = cameras(stays=LIVE)
    with running(
        tmp_path,
        stays + f"[cameras.changes]\nsource = '{LIVE}'\n[cameras.goes]\nsource = '{LIVE}'\n",
        announce=said.append,
    ) as made:
        made.wait(lambda: all(made.now(n)["frames"] > 2 for n in ("stays", "changes", "goes")))
        before = made.supervisor.cameras
        made.write(
            stays
            + f"[cameras.comes]\nsource = '{LIVE}'\n"
            + "[cameras.changes]\nsource = 'test:48x32@25?live=yes'\n"
        )
        made.wait(lambda: made.now("comes")["frames"] > 2)
        made.wait(lambda: made.now("changes")["frames"] > 2)
        assert list(made.supervisor.snapshots()) == ["stays", "comes", "changes"]
        assert made.now("changes")["source"] == "test scene, 48×32"
        assert made.supervisor.cameras[0] is before[0]
        assert made.now("stays")["state"] == "running"
        made.wait(lambda: not before[2].busy)
        assert sum(line.startswith("stays: test scene") for line in said) == 1
        assert "file read anew: goes on: stays; begins: comes, changes; ends: goes" in said

        frames = made.now("stays")["frames"]
        made.write("[cameras.stays]\nsuorce = 'test:'")
        made.wait(lambda: any("stay as they are" in r.getMessage() for r in caplog.records))
        made.wait(lambda: made.now("stays")["frames"] > frames + 2)
        assert list(made.supervisor.snapshots()) == ["stays", "comes", "changes"]
    assert any("suorce" in r.getMessage() for r in caplog.records)


@pytest.mark.slow
def test_a_camera_that_goes_leaves_nothing_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At once: the garbage collector comes the later, the more objects a process has."""
    caplog.set_level(logging.CRITICAL, "edgecae")  # pytest keeps the errors that are logged
    away = f"http://127.0.0.1:{free_port()}/"
    stays = cameras(stays=LIVE) + "[cameras.{}]\nsource = '{}'\n"
    with running(tmp_path, stays.format("first", LIVE)) as made:
        made.wait(lambda: made.now("first")["frames"] > 2)
        gc.collect()
        gc.disable()
        try:
            for source in (LIVE, away, str(tmp_path / "none.mkv")):
                made.write(stays.format("comes", source))
                made.wait(lambda: made.now("comes")["state"] != "none")
                if source == LIVE:
                    made.wait(lambda: made.now("comes")["frames"] > 2)
                else:
                    made.wait(lambda: made.now("comes")["offline_seconds"])
                    time.sleep(1)  # a few attempts
                left = made.supervisor.cameras[1]
                gone = weakref.ref(left), weakref.ref(left.settings.session.camera.buffers)
                del left
                made.write(cameras(stays=LIVE))
                made.wait(lambda: made.now("comes")["state"] == "none")
                made.wait(lambda: all(each() is None for each in gone))  # noqa: B023
        finally:
            gc.enable()


@pytest.mark.slow
def test_lines_name_their_camera(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those about its source and its sinks as well, whichever thread they come from."""
    pytest.importorskip("av")
    caplog.set_level(logging.INFO, "edgecae")
    url = f"127.0.0.1:{free_port()}/x"
    text = cameras(good=LIVE, away=f"http://{url}", sends=LIVE) + f"sink = 'rtsp://{url}'\n"
    expected = (
        f"camera away: offline: http://{url} can't be opened: Connection refused; trying again",
        f"camera sends: rtsp://{url}: Connection refused; trying again",
    )
    with running(tmp_path, text, announce=lambda line: None) as made:
        made.wait(lambda: all(caplog.messages.count(line) > 1 for line in expected))
    named = [line for line in caplog.messages if not line.startswith("camera ")]
    assert named == []


def test_what_takes_a_restart_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path, cameras(a=LIVE)) as made:
        made.write("threads = 1\n" + cameras(a=LIVE))
        made.wait(lambda: caplog.records)
    assert caplog.records[0].getMessage() == "threads changed: that is taken up at the next start"


def test_a_camera_sleeps_outside_of_its_hours(tmp_path: Path) -> None:
    text = cameras(a=LIVE) + "active = ['06:00-22:00']\ntimezone = 'Europe/Berlin'\n"
    (tmp_path / "cameras.toml").write_text(text)
    (one,) = settings.read(tmp_path / "cameras.toml").cameras.values()
    said: list[str] = []
    stream = camera_module.CameraStream(one, one.session, said.append)
    noon = datetime.datetime(2026, 3, 3, 11, tzinfo=datetime.UTC)
    night = noon.replace(hour=23)

    def until(state: str, moment: datetime.datetime) -> None:
        end = time.monotonic() + 20
        while stream.state != state:
            assert time.monotonic() < end, stream.state
            stream.tend(moment)
            time.sleep(0.02)

    until("asleep", night)
    assert not stream.busy
    until("running", noon)
    until("asleep", night)
    frames = stream.snapshot()["frames"]
    assert frames
    assert stream.snapshot()["offline_seconds"] < 20
    until("running", noon)
    assert stream.snapshot()["frames"] > frames
    assert stream.snapshot()["restarts"] == 0
    assert "a: asleep" in said
    stream.stop()
    end = time.monotonic() + 20
    while stream.busy:
        assert time.monotonic() < end


@pytest.mark.parametrize(
    ("cameras", "threads", "each", "bound"),
    [(1, 4, 4, 0), (2, 4, 2, 0), (3, 4, 1, 0), (4, 4, 1, 0), (5, 4, 1, 0), (3, 2, 1, 2),
     (2, 2, 1, 0), (1, None, 4, 0), (9, None, 1, 0), (2, 64, 2, 0)],
)  # fmt: skip
def test_how_threads_are_shared_out(
    cameras: int, threads: int | None, each: int, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "cores", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3, 5, 7})
    budget = Budget.of(cameras, threads)
    assert budget.threads == each
    assert budget.bound == (frozenset((5, 7)) if bound else None)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core alone")
def test_threads_that_denoise_keep_to_their_cores_and_the_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = Denoiser.process

    def process(self: Denoiser, frame: Any, out: Any = None) -> Any:
        seen.append(len(os.sched_getaffinity(0)))
        return original(self, frame, out)

    monkeypatch.setattr(Denoiser, "process", process)
    every = os.sched_getaffinity(0)
    with running(tmp_path, "threads = 1\n" + cameras(a=LIVE, b=LIVE)) as made:
        made.wait(lambda: all(made.now(name)["frames"] > 2 for name in "ab"))
        others = [t for t in threading.enumerate() if t.name == "capture" or "sink" in t.name]
        assert len(others) == 4
        for thread in others:
            assert os.sched_getaffinity(thread.native_id or 0) == every
    assert set(seen) == {1}


def hanging(monkeypatch: pytest.MonkeyPatch, times: int) -> threading.Event:
    """Make inference on frames of 16 lines hang so often, until the event is set."""
    end, left, original = threading.Event(), [times], Denoiser.process

    def process(self: Denoiser, frame: Any, out: Any = None) -> Any:
        if frame.shape[0] == 16 and left[0]:
            left[0] -= 1
            end.wait(60)
        return original(self, frame, out)

    monkeypatch.setattr(Denoiser, "process", process)
    return end


@pytest.mark.slow
def test_inference_that_hangs_begins_anew_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = hanging(monkeypatch, 1)
    text = cameras(good=LIVE, bad="test:32x16@25?live=yes") + "hang = 0.6\n"
    alive: list[str] = []
    hooks = StreamHooks(on_alive=alive.append, interval=0.3)
    with running(tmp_path, text, hooks=hooks) as made:
        made.wait(lambda: made.now("bad")["state"] == "waiting")
        assert "inference has hung for" in made.now("bad")["error"]
        frames = made.now("good")["frames"]
        made.wait(lambda: made.now("bad")["state"] == "running")
        assert made.now("good")["frames"] > frames
        assert made.now("good")["restarts"] == 0
        assert made.supervisor.left_behind
        counted = made.now("bad")["frames"]
        end.set()  # the thread that was left behind comes back, and counts for nothing
        made.wait(lambda: made.now("bad")["frames"] > counted)
        assert made.now("bad")["frames"] < made.now("good")["frames"]
    assert alive
    assert "2 cameras" in alive[0]


@pytest.mark.slow
def test_inference_that_hangs_on_and_on_needs_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MAX_HANGS", 2)
    end = hanging(monkeypatch, 9)
    recording = f"sink = '{tmp_path}/good.mkv'\n"
    text = DEFAULTS.replace("sink = 'null:'\n", "") + (
        f"[cameras.good]\nsource = '{LIVE}'\n{recording}"
        "[cameras.bad]\nsource = 'test:32x16@25?live=yes'\nsink = 'null:'\nhang = 0.6\n"
    )
    with running(tmp_path, text) as made:
        made.join()
        assert isinstance(made.error, HungError)
    end.set()
    with av.open(str(tmp_path / "good.mkv")) as container:  # finished all the same
        assert len(list(container.decode(video=0))) > 3


def test_recordings_go_on_beside_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = cameras(a=f"{LIVE}&frames=8", b=f"{LIVE}&frames=8")
    text = text.replace("'null:'", "['{camera}.mkv', '{camera}/']")
    for expected in (["a.mkv", "b.mkv"], ["a-0002.mkv", "a.mkv", "b-0002.mkv", "b.mkv"]):
        with running(tmp_path, text) as made:
            made.join()
        assert sorted(path.name for path in tmp_path.glob("*.mkv")) == expected
        pictures = sorted(path.name for path in (tmp_path / "a").iterdir())
        assert pictures == [f"frame{n:06}.png" for n in range(len(pictures))]
    assert len(pictures) > 9


def test_what_can_not_be_written_is_one_cameras_matter(tmp_path: Path) -> None:
    text = cameras(good=LIVE, bad=LIVE) + "sink = '/proc/nowhere/a.mkv'\n"
    with running(tmp_path, text) as made:
        made.wait(lambda: made.now("good")["frames"] > 3)
        made.wait(lambda: "/proc/nowhere" in (made.now("bad")["error"] or ""))


def test_a_strength_that_was_set_holds(tmp_path: Path) -> None:
    with running(tmp_path, cameras(a=LIVE, b=LIVE)) as made:
        made.wait(lambda: all(made.now(name)["frames"] > 2 for name in "ab"))
        made.supervisor.cameras[0].set_strength(0.25)
        made.wait(lambda: made.now("a")["strength"] == 0.25)
        assert made.now("b")["strength"] == 1
        with pytest.raises(EdgecaeError, match="between 0 and 1"):
            made.supervisor.cameras[0].set_strength(2)


def test_a_port_that_is_taken_fails_at_once(tmp_path: Path) -> None:
    with running(tmp_path, "view = '0'\n" + cameras(a=LIVE)) as made:
        made.wait(lambda: made.now("a")["frames"] > 1)
        port = made.supervisor._gallery.name.rpartition(":")[2].strip("/")
        second = Supervisor(settings.Cameras(dict(made.supervisor._file.cameras), view=port))
        with pytest.raises(SinkError, match="can't be opened"):
            second.run(Stop())


def test_a_source_without_frames_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with running(tmp_path, cameras(a=LIVE, b=str(tmp_path / "broken.png"))) as made:
        made.wait(lambda: made.now("b")["error"])
        assert isinstance(made.supervisor.cameras[1]._failure, SourceError)
