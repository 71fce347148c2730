"""The stream in one process: what it keeps, what it drops, what it reports."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import frames_of, make_clip
from live import PiCamera, StandIn, UsbCamera

from edgecae import Denoiser, models, stream
from edgecae.errors import OfflineError, RefusedError, SettingError, SinkError, SourceError
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.video import decode_errors
from edgecae.stream import capture, metrics, overload, pipeline, sink_worker
from edgecae.stream import threads as tune
from edgecae.stream.capture import Reconnecting, open_lasting
from edgecae.stream.channel import ClosedError, FrameQueue
from edgecae.stream.control import StreamControl
from edgecae.stream.slate import slate


class Keep(sinks.null.Null):
    """Keeps a copy of every frame; may be slow, or fail after some."""

    def __init__(
        self, pause: float = 0.0, fail_after: int | None = None, recovers: bool = False
    ) -> None:
        self.frames: list[Frame] = []
        self.pause, self.fail_after, self.recovers = pause, fail_after, recovers
        self.failed = 0

    def write(self, frame: Frame) -> None:
        time.sleep(self.pause)
        if self.fail_after is not None and len(self.frames) >= self.fail_after:
            self.failed += 1
            raise SinkError("no space left")
        before = None if frame.before is None else frame.before.copy()
        self.frames.append(replace(frame, pixels=frame.pixels.copy(), before=before))


class Camera:
    """A live source in memory: plays one list of events after the other, one for each opening.

    An event is a frame's size, ``"offline"``, or a number of seconds to wait.
    """

    live, name, rate, broken = True, "a camera", None, 0

    def __init__(self, events: list[object]) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Frame]:
        for event in self.events:
            if event == "offline":
                raise OfflineError("a camera: unplugged")
            if isinstance(event, float):
                time.sleep(event)
            else:
                yield Frame(np.full((*event, 3), 99, np.uint8), time.monotonic())

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""


AWAY = OfflineError("a camera: there is none")
BOOTS = SourceError("a camera holds no video")


def reconnecting(*openings: list[object] | Exception) -> Reconnecting:
    """The source that a stream makes of such a camera; an error is what comes of an opening."""
    left = list(openings)

    def opener() -> Camera:
        events = left.pop(0)
        if isinstance(events, Exception):
            raise events
        return Camera(events)

    return Reconnecting("a camera", opener, stream.Stop(), backoff=(0.01, 0.02))


@pytest.fixture(scope="module")
def nano() -> Iterator[Denoiser]:
    with Denoiser("nano") as denoiser:
        yield denoiser


@pytest.mark.parametrize("newest", [True, False])
def test_a_channel_is_bounded_and_keeps_the_order(newest: bool) -> None:
    gone: list[int] = []
    channel: FrameQueue[int] = FrameQueue(2, newest)

    def send() -> None:
        for number in range(50):
            gone.extend(channel.put(number))
        channel.close()

    thread = threading.Thread(target=send)
    thread.start()
    got: list[int] = []
    with contextlib.suppress(ClosedError):
        while True:
            if (item := channel.get(1.0)) is not None:
                got.append(item)
            time.sleep(0.001)
    thread.join()
    assert got == sorted(got)
    assert sorted(got + gone) == list(range(50))
    assert got[-1] == 49
    assert bool(gone) == newest


def test_a_channel_that_is_closed_lets_the_sender_go() -> None:
    gone: list[int] = []
    channel: FrameQueue[int] = FrameQueue(1, False)
    assert channel.put(1) == []
    sender = threading.Thread(target=lambda: gone.extend(channel.put(2)))
    sender.start()
    gone.extend(channel.close(drain=False))
    sender.join(5)
    assert not sender.is_alive()
    assert sorted(gone) == [1, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order_from_any_number_of_denoisers(count: int) -> None:
    spec = "test:48x40?frames=30&noise=gaussian:25"
    keep = Keep()
    with Denoiser("nano") as one, sources.open_source(spec) as source:
        expected = [one.process(frame.pixels.copy()) for frame in source]
    denoisers = [Denoiser("nano") for _ in range(count)]
    with sources.open_source(spec) as source:
        stats = stream.run(source, denoisers, [keep])
    np.testing.assert_array_equal([f.pixels for f in keep.frames], expected)
    assert stats.frames == stats.frames_in == 30
    assert stats.dropped == 0


def test_a_live_source_gives_its_newest_frame() -> None:
    class Slow(Denoiser):
        def process(self, frame, out=None):  # type: ignore[no-untyped-def]
            time.sleep(0.1)
            return super().process(frame, out)

    keep = Keep()
    with Slow("nano") as slow, sources.open_source("test:32x32@50?live=yes&frames=50") as source:
        stats = stream.run(source, slow, [keep])
    assert stats.frames_in == 50
    assert stats.frames + stats.dropped == 50
    assert 5 <= stats.frames <= 20
    # Whatever was dropped, nobody waited for long: at most a frame being denoised and one more.
    assert max(stats.latency) < 400
    times = [float(f.pts * f.time_base) for f in keep.frames]
    assert times == sorted(times)
    assert times[-1] > 0.9


def test_a_file_waits_for_a_slow_sink(nano: Denoiser) -> None:
    slow, fast = Keep(pause=0.02), Keep()
    with sources.open_source("test:16x16?frames=25") as source:
        stats = stream.run(source, nano, [slow, fast])
    assert len(slow.frames) == len(fast.frames) == 25
    assert stats.sink_dropped == 0


@pytest.mark.slow
def test_a_slow_sink_of_a_live_source_loses_only_its_own(nano: Denoiser) -> None:
    slow, fast = Keep(pause=0.3), Keep()
    with sources.open_source("test:16x16@40?live=yes&frames=60") as source:
        stats = stream.run(source, nano, [slow, fast])
    assert len(fast.frames) == stats.frames
    assert len(slow.frames) < 12
    assert stats.sink_dropped == stats.frames - len(slow.frames)


def test_a_sink_that_fails_ends_a_file(nano: Denoiser) -> None:
    with (
        sources.open_source("test:16x16?frames=1000000") as source,
        pytest.raises(SinkError, match="no space"),
    ):
        stream.run(source, nano, [Keep(fail_after=3), Keep()])
    assert "capture" not in [thread.name for thread in threading.enumerate()]


def test_a_live_stream_goes_on_without_a_sink_that_failed(
    nano: Denoiser, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    monkeypatch.setattr(logging.getLogger("edgecae"), "propagate", True)
    good = Keep()
    with sources.open_source("test:16x16@50?live=yes&frames=40") as source:
        stats = stream.run(source, nano, [Keep(fail_after=2), good])
    assert len(good.frames) == stats.frames > 20
    assert "no space left; the stream goes on without it" in caplog.text
    with (
        sources.open_source("test:16x16@50?live=yes") as source,
        pytest.raises(SinkError, match="no space"),
    ):
        stream.run(source, nano, [Keep(fail_after=2)])


@pytest.mark.slow
def test_a_sink_that_recovers_is_tried_again_and_the_others_miss_nothing(
    nano: Denoiser, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    class Full(Keep):
        """Full from the third frame on, until the third attempt."""

        def write(self, frame: Frame) -> None:
            self.fail_after = 2 if self.failed < 3 else None
            super().write(frame)

    monkeypatch.setattr(logging.getLogger("edgecae"), "propagate", True)
    monkeypatch.setattr(sink_worker, "BACKOFF", (0.1, 0.2))
    full, good = Full(recovers=True), Keep()
    with sources.open_source("test:16x16@50?live=yes&frames=100") as source:
        stats = stream.run(source, nano, [full, good])
    assert len(good.frames) == stats.frames > 50
    assert full.failed == 3
    assert 2 + 10 < len(full.frames) < len(good.frames)
    assert full.frames[-1].pts == good.frames[-1].pts
    # Each record once, however many loggers pytest listens to.
    said = [each.getMessage() for each in {id(each): each for each in caplog.records}.values()]
    assert sum("trying again, the stream goes on meanwhile" in each for each in said) == 1
    assert sum("works again" in each for each in said) == 1


def test_a_live_stream_ends_when_no_sink_works(
    nano: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor may know better; of those that fail one after the other, none counts."""
    monkeypatch.setattr(sink_worker, "BACKOFF", (30.0, 30.0))
    first, second = (Keep(fail_after=count, recovers=True) for count in (2, 20))
    with (
        sources.open_source("test:16x16@50?live=yes") as source,
        pytest.raises(SinkError, match="no space"),
    ):
        stream.run(source, nano, [first, second])
    assert (first.failed, second.failed) == (1, 1)
    assert len(second.frames) == 20


def test_what_is_a_bug_in_a_sink_is_not_tried_again(nano: Denoiser) -> None:
    class Buggy(Keep):
        def write(self, frame: Frame) -> None:
            self.failed += 1
            raise ZeroDivisionError

    buggy, good = Buggy(recovers=True), Keep()
    with sources.open_source("test:16x16@50?live=yes&frames=60") as source:
        stats = stream.run(source, nano, [buggy, good])
    assert buggy.failed == 1
    assert len(good.frames) == stats.frames


def test_the_picture_before_goes_to_those_who_ask(nano: Denoiser) -> None:
    class Both(Keep):
        needs_original = True

    both, plain = Both(), Keep()
    spec = "test:48x32?frames=8&noise=gaussian:25"
    with sources.open_source(spec) as source:
        expected = [frame.pixels.copy() for frame in source]
    with sources.open_source(spec) as source:
        stream.run(source, nano, [both, plain])
    np.testing.assert_array_equal([f.before for f in both.frames], expected)
    assert not np.array_equal(both.frames[0].pixels, both.frames[0].before)
    np.testing.assert_array_equal([f.pixels for f in both.frames], [f.pixels for f in plain.frames])


def test_a_camera_that_goes_away_comes_back(nano: Denoiser) -> None:
    source = reconnecting(AWAY, AWAY, [(16, 16), "offline"], AWAY, [(16, 16), (16, 16)])
    keep = Keep(pause=0.001)
    stats = stream.run(source, nano, [keep])
    assert stats.frames_in == 3
    assert stats.reconnects == source.reconnects == 1
    assert source.offline_since is None


def lasting(
    camera: type[StandIn], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stall: float
) -> tuple[Any, Reconnecting]:
    """A stand-in for a camera, which is there, and the source that a stream makes of it."""
    there = camera(monkeypatch, tmp_path)  # type: ignore[call-arg]
    there.start()
    settings, spec = sources.SourceSettings(stall=stall), there.spec  # type: ignore[attr-defined]
    return there, Reconnecting(
        "camera",
        lambda: sources.open_source(spec, settings),
        stream.Stop(),
        backoff=(0.01, 0.02),
    )


def test_broken_packets_of_a_camera_are_counted_and_passed_over(
    nano: Denoiser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    camera, source = lasting(UsbCamera, monkeypatch, tmp_path, stall=5.0)
    camera.damaged = lambda number: number in (3, 4, 6)
    stop, keep = source._stop, Keep()

    def report(stats: stream.Stats) -> None:
        stop.requested = stats.frames >= 10

    stats = stream.run(source, nano, [keep], stop, report)
    assert stats.broken == 3
    assert stats.reconnects == 0
    assert len(keep.frames) + stats.sink_dropped == stats.frames, stats.figures()


def test_a_camera_whose_every_frame_is_broken_shows_how_many(
    nano: Denoiser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While it runs, to a viewer as well as to those that are told; and it is no live camera."""
    camera, source = lasting(UsbCamera, monkeypatch, tmp_path, stall=0.6)
    camera.damaged = lambda number: True
    stop, stats = source._stop, stream.Stats()
    control = StreamControl(source, stats, [nano])
    seen: list[tuple[int, int]] = []
    begin = time.monotonic()

    def report(stats: stream.Stats) -> None:
        seen.append((stats.broken, control.snapshot()["broken"]))
        late = time.monotonic() > begin + 20
        stop.requested = late or stats.broken > 25  # 25 a second: it was opened again

    stream.run(source, nano, [Keep()], stop, report, stats=stats)
    assert stats.frames == stats.frames_in == 0
    assert 0 < seen[1][0] < 15
    assert seen == sorted(seen)
    assert seen[-1][0] > 25
    assert all(abs(a - b) <= 1 for a, b in seen)


@pytest.mark.parametrize("kind", ["file", "camera"])
def test_a_frame_that_can_not_be_made_rgb_is_counted_and_passed_over(
    kind: str, nano: Denoiser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, calls = decode_errors.to_rgb, [0]

    def to_rgb(*given: Any) -> np.ndarray:
        calls[0] += 1
        if calls[0] in (3, 5):
            raise SourceError("frames of pixel format xyz can't be made RGB")
        return real(*given)

    monkeypatch.setattr(decode_errors, "to_rgb", to_rgb)
    keep, stop = Keep(), stream.Stop()
    if kind == "file":
        pictures = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(8)]
        opened = sources.open_source(str(make_clip(tmp_path / "in.mkv", pictures)))
    else:
        _, opened = lasting(UsbCamera, monkeypatch, tmp_path, stall=5.0)
        stop = opened._stop

    def report(stats: stream.Stats) -> None:
        stop.requested = kind == "camera" and stats.frames >= 6

    with opened as source:
        stats = stream.run(source, nano, [keep], stop, report)
    assert stats.broken == 2
    assert len(keep.frames) == stats.frames >= 6


def test_a_camera_that_has_worked_may_take_its_time_to_boot(nano: Denoiser) -> None:
    source = reconnecting([(16, 16), "offline"], AWAY, BOOTS, BOOTS, BOOTS, [(16, 16)] * 2)
    keep = Keep()
    stats = stream.run(source, nano, [keep])
    assert stats.frames_in == 3
    assert stats.reconnects == 1


@pytest.mark.parametrize(
    "openings",
    [
        (BOOTS,),
        (AWAY, BOOTS),
        ([(16, 16), "offline"], RefusedError("401; check user and password"), [(16, 16)]),
    ],
    ids=["first", "never worked", "wrong password"],
)
def test_what_no_waiting_helps_ends_a_live_stream(
    openings: tuple[Any, ...], nano: Denoiser
) -> None:
    with pytest.raises(SourceError, match=r"holds no video|check user") as caught:
        stream.run(reconnecting(*openings), nano, [Keep()])
    assert not isinstance(caught.value, OfflineError)


def test_a_camera_that_was_just_plugged_in_again(
    nano: Denoiser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    camera, source = lasting(UsbCamera, monkeypatch, tmp_path, stall=2.0)
    stop, begin = source._stop, time.monotonic()

    def report(stats: stream.Stats) -> None:
        if stats.frames == 3 and camera.state == "there" and not stats.reconnects:
            camera.die()
            threading.Timer(0.3, lambda: setattr(camera, "state", "boots")).start()
            threading.Timer(0.8, camera.start).start()
        stop.requested = stats.frames >= 10 or time.monotonic() > begin + 30

    stats = stream.run(source, nano, [Keep()], stop, report)
    assert stats.frames >= 10
    assert stats.reconnects == 1


def test_a_camera_that_can_not_be_closed_is_opened_again(nano: Denoiser) -> None:
    class Stiff(Camera):
        def __exit__(self, *error: object) -> None:
            raise OfflineError("a camera can't be closed")

    openings = [Stiff([(16, 16), "offline"]), Camera([(16, 16)])]
    source = Reconnecting("a camera", lambda: openings.pop(0), stream.Stop(), backoff=(0.01, 0.02))
    assert stream.run(source, nano, [Keep()]).frames_in == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", [UsbCamera, PiCamera])
def test_a_camera_that_hangs_when_opened_leaves_one_thread_behind_not_one_an_attempt(
    kind: type[StandIn], nano: Denoiser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    camera, source = lasting(kind, monkeypatch, tmp_path, stall=0.2)
    camera.hang()
    attempts: list[float] = []
    opener, stop = source._opener, source._stop

    def counted() -> sources.Source:
        attempts.append(time.monotonic())
        return opener()

    source._opener = counted
    held: list[tuple[int, int]] = []
    begin = time.monotonic()

    def hold() -> None:
        held.append((threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))))

    def report(stats: stream.Stats) -> None:
        hold()
        if len(attempts) > 50:
            camera.start()
        stop.requested = stats.frames >= 5 or time.monotonic() > begin + 30

    hold()
    stats = stream.run(source, nano, [Keep()], stop, report)
    assert stats.frames >= 5, "it did not recover when the device did"
    assert len(attempts) > 50
    assert camera.tried == 2
    threads, files = (np.array(each) for each in zip(*held, strict=True))
    # The loop, capture, sink, watchdog, and the one that hangs.
    assert threads.max() <= threads[0] + 5
    assert files.max() <= files[0] + 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_after_a_reconnect_the_denoisers_begin_anew(count: int) -> None:
    """Each one before the first frame that it gets, and at no other."""

    class Noting(Denoiser):
        def __init__(self) -> None:
            super().__init__("nano")
            self.done: list[str] = []

        def reset(self) -> None:
            self.done.append("reset")
            super().reset()

        def process(self, frame, out=None):  # type: ignore[no-untyped-def]
            self.done.append("frame")
            return super().process(frame, out)

    shown: list[object] = [(16, 16), 0.1] * 6
    source = reconnecting(AWAY, [*shown, "offline"], AWAY, [*shown, "offline"], shown)
    denoisers = [Noting() for _ in range(count)]
    stats = stream.run(source, denoisers, [Keep()])
    assert stats.reconnects == 2
    for denoiser in denoisers:
        parts = "".join(each[0] for each in denoiser.done).split("r")
        assert len(parts) == 3
        assert all(set(part) == {"f"} for part in parts)


@pytest.mark.slow
def test_while_it_is_away_a_recording_says_so(nano: Denoiser) -> None:
    class Wanting(Keep):
        wants_slates = True

    source = reconnecting([(48, 320), 0.3, "offline"], [2.5, (48, 320)])
    wanting, other = Wanting(), Keep()
    stream.run(source, nano, [wanting, other])
    assert len(other.frames) == 2
    assert 3 <= len(wanting.frames) <= 6
    shown = wanting.frames[1]
    assert shown.pixels.shape == (48, 320, 3)
    assert shown.pixels.max() > 150  # letters
    assert np.median(shown.pixels) < 40
    times = [f.pts for f in wanting.frames]
    assert times == sorted(times)


@pytest.mark.parametrize("count", [1, 2])
def test_what_came_before_it_went_is_recorded_before_that_is_said(count: int) -> None:
    class Slow(Denoiser):
        def process(self, frame, out=None):  # type: ignore[no-untyped-def]
            time.sleep(0.5)
            return super().process(frame, out)

    class Wanting(Keep):
        wants_slates = True

    source = reconnecting([(48, 320), 0.2, (48, 320), "offline"], [2.5, (48, 320)])
    wanting = Wanting()
    stream.run(source, [Slow("nano") for _ in range(count)], [wanting])
    dark = [bool(np.median(frame.pixels) < 40) for frame in wanting.frames]
    assert dark == [False] * 2 + [True] * (len(dark) - 3) + [False]
    assert len(dark) > 3


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 30), (480, 640, 3)])
def test_a_slate_has_any_shape(shape: tuple[int, ...]) -> None:
    picture = slate(shape, time.monotonic())
    assert picture.shape == shape
    assert picture.dtype == np.uint8


def test_another_size_goes_on_in_another_file(nano: Denoiser, tmp_path: Path) -> None:
    source = reconnecting([(32, 48), 0.05, (32, 48), 0.05, (64, 48), 0.05])
    settings = sinks.SinkSettings(source, codec="ffv1")
    with sinks.open_sink(str(tmp_path / "a.mkv"), settings) as sink:
        stream.run(source, nano, [sink])
    shapes = {p.name: [f.shape for f in frames_of(p)[0]] for p in sorted(tmp_path.iterdir())}
    assert shapes == {"a.mkv": [(32, 48, 3)] * 2, "a-0002.mkv": [(64, 48, 3)]}


def test_segments_are_numbered_from_the_first_free_one(nano: Denoiser, tmp_path: Path) -> None:
    (tmp_path / "a-0001.mkv").write_text("precious")
    with sources.open_source("test:32x32@10?frames=25") as source:
        settings = sinks.SinkSettings(source, segment=1.0)
        with sinks.open_sink(str(tmp_path / "a.mkv"), settings) as sink:
            stream.run(source, nano, [sink])
    assert (tmp_path / "a-0001.mkv").read_text() == "precious"
    lengths = [len(frames_of(tmp_path / f"a-000{n}.mkv")[0]) for n in (2, 3, 4)]
    assert lengths == [10, 10, 5]
    assert frames_of(tmp_path / "a-0003.mkv")[1][0] == 0


def test_segments_can_be_named_by_the_time(nano: Denoiser, tmp_path: Path) -> None:
    with sources.open_source("test:32x32@10?frames=3") as source:
        settings = sinks.SinkSettings(source, segment=60.0)
        with sinks.open_sink(str(tmp_path / "door-%Y.mkv"), settings) as sink:
            stream.run(source, nano, [sink])
    (written,) = tmp_path.iterdir()
    assert written.name == time.strftime("door-%Y.mkv")


@pytest.mark.slow
def test_memory_and_threads_stay_as_they_are(nano: Denoiser) -> None:
    import tracemalloc

    threads = threading.active_count()
    peaks: list[int] = []

    class Watch(sinks.null.Null):
        count = 0

        def write(self, frame: Frame) -> None:
            self.count += 1
            if self.count in (1500, 2500):
                peaks.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        # Longer than the window of the percentiles, which fills up first.
        settings = sources.SourceSettings()
        with sources.open_source("test:48x48?frames=2500", settings) as source:
            stream.run(source, nano, [Watch()], buffers=settings.buffers)
    finally:
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 20_000  # three frames' pixels are more
    # Threads that earlier tests left to their end may end meanwhile.
    assert threading.active_count() <= threads


def test_buffers_are_used_again(nano: Denoiser) -> None:
    settings = sources.SourceSettings()
    seen: set[int] = set()

    class Watch(sinks.null.Null):
        needs_original = True

        def write(self, frame: Frame) -> None:
            assert frame.before is not None
            seen.update((frame.pixels.ctypes.data, frame.before.ctypes.data))

    with sources.open_source("test:64x64?frames=200", settings) as source:
        stream.run(source, nano, [Watch()], buffers=settings.buffers)
    assert len(seen) <= 20


@pytest.mark.slow
def test_a_stop_ends_a_stream_that_waits(nano: Denoiser) -> None:
    source, stop = reconnecting([30.0]), stream.Stop()
    threading.Timer(0.3, lambda: setattr(stop, "requested", True)).start()
    before = time.monotonic()
    stream.run(source, nano, [Keep()], stop)
    assert time.monotonic() - before < 10


def test_a_stream_without_a_sink_is_refused(nano: Denoiser) -> None:
    with sources.open_source("test:8x8?frames=1") as source, pytest.raises(SinkError):
        stream.run(source, nano, [])


def test_what_goes_wrong_in_a_source_is_raised(nano: Denoiser) -> None:
    class Broken(Camera):
        live = False

        def __iter__(self) -> Iterator[Frame]:
            yield Frame(np.zeros((8, 8, 3), np.uint8), time.monotonic())
            raise SourceError("worn out")

    keep = Keep()
    with pytest.raises(SourceError, match="worn out"):
        stream.run(Broken([]), nano, [keep])
    assert len(keep.frames) == 1


def test_only_live_sources_are_opened_again() -> None:
    stop = stream.Stop()
    with pytest.raises(SourceError):
        open_lasting("none.mp4", sources.SourceSettings(), stop, "none.mp4")
    settings = sources.SourceSettings()
    with open_lasting("test:8x8?frames=1", settings, stop, "test") as source:
        assert not source.live
    with open_lasting("test:8x8?frames=1&live=yes", settings, stop, "test") as source:
        assert isinstance(source, Reconnecting)


class Opened(Camera):
    """A live source that remembers whether it was closed."""

    closed = False

    def __exit__(self, *error: object) -> None:
        self.closed = True


def wait_until_closed(source: Opened) -> bool:
    end = time.monotonic() + 10
    while not source.closed and time.monotonic() < end:
        time.sleep(0.01)
    return source.closed


def test_a_stop_while_a_source_is_opened_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    release, late, stop = threading.Event(), Opened([]), stream.Stop()

    def open_slowly(spec: str, settings: sources.SourceSettings) -> Opened:
        stop.requested = True
        release.wait(30)
        return late

    monkeypatch.setattr(capture, "open_source", open_slowly)
    with open_lasting("slow", sources.SourceSettings(), stop, "slow") as source:
        assert list(source) == []
    assert not late.closed
    release.set()
    assert wait_until_closed(late)


def test_a_stop_while_a_source_is_opened_again_closes_it(
    monkeypatch: pytest.MonkeyPatch, nano: Denoiser
) -> None:
    """The stream does not wait for it; the thread that opens it closes it."""
    monkeypatch.setattr(pipeline, "_PATIENCE", 0.1)
    release, late, stop = threading.Event(), Opened([]), stream.Stop()

    def open_slowly() -> Opened:
        stop.requested = True
        release.wait(30)
        return late

    stats = stream.Stats()
    with capture.closing(capture.Reconnecting("slow", open_slowly, stop), stats) as source:
        stream.run(source, nano, [sinks.null.Null()], stop, stats=stats)
    assert stats.stuck
    assert not late.closed
    release.set()
    assert wait_until_closed(late)


@pytest.mark.slow
def test_the_choice_of_threads() -> None:
    fast = tune.Choice(1, 4, 40.0, 100.0)
    short = tune.Choice(4, 1, 30.0, 33.0)
    single = tune.Choice(1, 1, 11.0, 90.0)
    every = [fast, short, single]
    assert tune.best(every) is fast
    assert tune.best(every, max_latency=50) is short
    assert tune.best(every, max_latency=10) is short  # none does; this comes closest
    assert tune.best(every, rate=20) is short  # holds it with room, and is shorter
    assert tune.best(every, rate=32) is fast
    measured = tune.measure_threads(lambda threads: Denoiser("nano", threads), (48, 64, 3), 2)
    assert {(c.threads, c.interpreters) for c in measured} == {(1, 1), (1, 2), (2, 1)}
    assert all(c.rate > 0 and c.milliseconds > 0 for c in measured)


def test_overload_is_said_once_with_a_model_that_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(overload.time, "monotonic", lambda: clock[0])
    stats = stream.Stats()
    watch = overload.Overload(Camera([]), stats, "base")
    said = []
    for _ in range(20):
        clock[0] += 1
        stats.frames_in += 30
        stats.frames += 10
        stats.dropped += 20
        stats.ended.extend(clock[0] + n / 10 for n in range(-9, 1))
        said.append(watch.notice())
    (only,) = [text for text in said if text]
    assert "10.0 of 30.0 frames/s with base" in only
    assert "nano would hold about" in only or "small would hold about" in only


def test_a_stream_that_keeps_up_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(overload.time, "monotonic", lambda: clock[0])
    stats = stream.Stats()
    watch = overload.Overload(Camera([]), stats, "base")
    for _ in range(20):
        clock[0] += 1
        stats.frames_in += 30
        stats.dropped += 2
        assert watch.notice() is None


def test_what_a_server_had_kept_is_no_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes at once at the begin, and after that the stream keeps up."""
    clock = [100.0]
    monkeypatch.setattr(overload.time, "monotonic", lambda: clock[0])
    stats = stream.Stats()
    watch = overload.Overload(Camera([]), stats, "base")
    assert watch.notice() is None
    stats.frames_in, stats.dropped = 40, 20
    for _ in range(40):
        assert watch.notice() is None
        clock[0] += 0.5
        stats.frames_in += 8


def test_the_model_that_would_do_is_the_best_that_does() -> None:
    times = models.figures()["milliseconds"]
    base, nano = times["base"]["1"], times["nano"]["1"]
    name, rate = overload.faster_model("base", 10.0, 10.0 * base / nano * 0.99) or ("", 0.0)
    assert name == "nano"
    assert rate == pytest.approx(10.0 * base / nano)
    assert overload.faster_model("base", 10.0, 1e9) is None
    assert overload.faster_model("my own", 10.0, 11.0) is None


def test_metrics_are_those_of_the_stream(nano: Denoiser) -> None:
    stats = stream.Stats()
    with sources.open_source("test:48x48?frames=12") as source:
        control = StreamControl(source, stats, [nano])
        stream.run(source, nano, [Keep()], stats=stats)
        with metrics.serve("0", control.snapshot) as url, urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["edgecae_frames_out_total"]) == 12
    assert float(lines["edgecae_dropped_total"]) == 0
    assert float(lines['edgecae_process_seconds{quantile="0.50"}']) > 0
    json.dumps(control.snapshot())


@pytest.mark.parametrize("address", ["", "x", "localhost:", "1:2:x", "99999"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(SettingError):
        metrics.address(address)


def test_the_strength_changes_while_it_runs(nano: Denoiser) -> None:
    with sources.open_source("test:8x8?frames=1") as source:
        control = StreamControl(source, stream.Stats(), [nano])
        control.set_strength(0.25)
        assert nano.strength == 0.25
        assert control.snapshot()["strength_auto"] is False
        control.set_strength(None)
        assert nano.strength is None
        assert control.snapshot()["strength_auto"] is True
        with pytest.raises(SettingError):
            control.set_strength(2.0)
        control.set_strength(1.0)
