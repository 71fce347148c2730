"""All cameras of a process: starts, stops and watches them, and takes up changes of their file."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecae import models
from edgecae.errors import EdgecaeError
from edgecae.stream import metrics
from edgecae.stream.cameras.camera import CameraStream
from edgecae.stream.cameras.settings import Cameras, CameraSettings
from edgecae.stream.stop import Stop
from edgecae.stream.threads import cores
from edgecae.stream.watchdog import HungError, StreamHooks
from edgecae.tflite import model_file
from edgecae.tflite.model_file import ModelFile

if TYPE_CHECKING:
    from edgecae.media.sinks.view.gallery import Gallery

__all__ = ["Budget", "Supervisor"]

log = logging.getLogger(__name__)

MAX_HANGS = 4
"""Threads that hang in an interpreter, of all cameras: each keeps its memory, and may keep a core
busy. Another process helps."""

_PERIOD = 0.2
"""Seconds between two looks at the cameras."""

_PATIENCE = 12.0
"""Seconds that cameras get to come to an end; a stream takes up to ten."""


class _Models:
    """Model files, each read once; safe for use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, ModelFile] = {}

    def read(self, model: str) -> ModelFile:
        """Read a model; see :func:`edgecae.models.find_model` and :func:`.model_file.read`."""
        with self._lock:
            if model not in self._files:
                self._files[model] = model_file.read(models.find_model(model))
            return self._files[model]

    def forget(self) -> None:
        """Read all anew from now on: under a name may be another file."""
        with self._lock:
            self._files.clear()


@dataclasses.dataclass(frozen=True)
class Budget:
    """How cameras share the cores that their networks may use.

    Where there are cores enough, each camera's interpreter has as many threads as the others'.
    Where there are more cameras, each has one thread, and all these threads are bound to as many
    cores as may be used: the system shares the cores among them as it does among programs, so that
    a camera that never has enough takes nothing from those that ask for little.

    Attributes:
        threads: of each camera's interpreter.
        bound: cores that threads which denoise are bound to; None: none are.
    """

    threads: int
    bound: frozenset[int] | None = None

    @classmethod
    def of(cls, cameras: int, threads: int | None) -> Budget:
        """Share out.

        Args:
            cameras: how many there are.
            threads: cores that may be used; None: all that this process may use.
        """
        usable = cores()
        threads = min(threads or usable, usable)
        bound = None
        if cameras > threads and hasattr(os, "sched_getaffinity"):
            there = sorted(os.sched_getaffinity(0))
            bound = frozenset(there[-threads:]) if threads < len(there) else None
        return cls(max(1, threads // cameras), bound)

    def bind(self) -> None:
        """Bind the calling thread, where that is asked."""
        if self.bound is not None:
            with contextlib.suppress(OSError):  # such as a core that went away: then it is not
                os.sched_setaffinity(0, self.bound)


class Supervisor:
    """Runs the cameras of a file.

    What fails, hangs or changes in one camera is no matter of the others. Cameras read a model file
    once between them.

    Args:
        file: what to run.
        token: that opens the view where its address has none.
        announce: told in a line what is opened.
        hooks: what the process does; ``on_hang`` and ``on_denoise`` are not used.
        measure_noise: see :class:`.session.Session`.
    """

    def __init__(
        self,
        file: Cameras,
        token: str | None = None,
        announce: Callable[[str], None] = log.info,
        hooks: StreamHooks | None = None,
        measure_noise: bool = False,
    ) -> None:
        self._file, self._token, self._announce = file, token, announce
        self._hooks = hooks or StreamHooks()
        self._measure_noise = measure_noise or bool(file.view or file.metrics)
        self._budget = Budget.of(len(file.cameras), file.threads)
        self._streams: dict[str, CameraStream] = {}
        self._ending: list[CameraStream] = []
        self._hangs = 0  # of cameras that are gone
        self._left_behind = False
        self._gallery: Gallery | None = None
        self._models = _Models()
        self._fresh = True

    @property
    def cameras(self) -> tuple[CameraStream, ...]:
        """Those of the file, in its order."""
        return tuple(self._streams.values())

    @property
    def left_behind(self) -> bool:
        """Whether a thread can't be ended, so that the process has to end without it."""
        return self._left_behind or any(stream.left_behind for stream in self.cameras)

    def snapshots(self) -> dict[str, dict[str, Any]]:
        """Figures of each camera by name, see :meth:`.camera.CameraStream.snapshot`."""
        return {stream.name: stream.snapshot() for stream in self.cameras}

    def summary(self) -> str:
        """One line for people."""
        now = list(self.snapshots().values())
        running = sum(each["state"] == "running" for each in now)
        dropped = sum(each["dropped"] for each in now)
        rate = sum(each["fps"] for each in now if each["state"] == "running")
        lost = f", {dropped} dropped" if dropped else ""
        others = "".join(
            f", {each['camera']} {each['state']}" for each in now if each["state"] != "running"
        )
        frames = sum(each["frames"] for each in now)
        return (
            f"{running} of {len(now)} cameras, {frames} frames, {rate:.1f} frames/s{lost}{others}"
        )

    def run(
        self,
        stop: Stop,
        report: Callable[[], None] = lambda: None,
        changes: Callable[[], Cameras | None] = lambda: None,
    ) -> None:
        """Run the cameras until all have ended or somebody asks to stop.

        Args:
            stop: ends all of them.
            report: called a few times a second.
            changes: likewise; returns the file where it is to be read anew, else None.

        Raises:
            EdgecaeError: the view or the metrics can't be opened; or every camera came to an end,
                one of them because it was refused.
            HungError: inference hung so often that only another process helps.
        """
        with contextlib.ExitStack() as stack:
            if self._file.view is not None:
                self._gallery = stack.enter_context(self._open_view(self._file.view))
            if self._file.metrics is not None:
                url = stack.enter_context(metrics.serve_cameras(self._file.metrics, self.snapshots))
                self._announce(f"metrics at {url}")
            stack.callback(self._end)
            self._take_up(self._file)
            self._hooks.on_ready()
            stack.callback(self._hooks.on_stopping)
            told = time.monotonic()
            while not stop.requested and not self._over:
                self._reread(changes)
                self._tend()
                report()
                if time.monotonic() - told >= self._hooks.interval and not self._stands_still:
                    told = time.monotonic()
                    self._hooks.on_alive(self.summary())
                stop.sleep(_PERIOD)
        refused = [stream for stream in self.cameras if stream.state == "refused"]
        if refused and not stop.requested:
            raise EdgecaeError(f"camera {refused[0].name}: {refused[0].error}")

    def _open_view(self, where: str) -> Gallery:
        from edgecae.media.sinks.view import open_gallery

        gallery = open_gallery(where, self._token)
        self._announce(f"view at {gallery.name}")
        return gallery

    @property
    def _over(self) -> bool:
        return not self._ending and all(
            stream.state in ("ended", "refused") for stream in self.cameras
        )

    @property
    def _stands_still(self) -> bool:
        """Whether no camera that should stream does anything: then only another process helps."""
        busy = [stream for stream in self.cameras if stream.busy]
        return bool(busy) and all(stream.stuck for stream in busy)

    # Changes of the file

    def _reread(self, changes: Callable[[], Cameras | None]) -> None:
        try:
            file = changes()
        except EdgecaeError as error:
            log.error("%s; the cameras stay as they are", error)
            return
        if file is not None:
            self._take_up(file)

    def _take_up(self, file: Cameras) -> None:
        """Stop what went or changed, leave alone what stays; :meth:`_tend` starts the rest."""
        for what in ("threads", "view", "metrics"):
            if getattr(file, what) != getattr(self._file, what):
                log.warning("%s changed: that is taken up at the next start", what)
        self._models.forget()  # a model may be another file by now
        before, self._streams, kept = self._streams, {}, []
        for name, settings in file.cameras.items():
            stream = before.get(name)
            # One that ended or was refused begins anew: its reason may lie outside of the file.
            stays = stream is not None and stream.settings == settings
            if stream is not None and stays and stream.state not in ("ended", "refused"):
                self._streams[name] = before.pop(name)
                kept.append(name)
            else:
                self._streams[name] = self._make(settings)
        for stream in before.values():
            stream.stop()
            self._ending.append(stream)
        if not self._fresh:
            begun = [name for name in self._streams if name not in kept]
            gone = [name for name in before if name not in self._streams]
            lists = (("goes on", kept), ("begins", begun), ("ends", gone))
            told = (f"{what}: {', '.join(names)}" for what, names in lists if names)
            self._announce(f"file read anew: {'; '.join(told)}")
        if self._gallery is not None:
            self._gallery.show({stream.name: stream for stream in self.cameras})
        self._fresh = False

    def _make(self, settings: CameraSettings) -> CameraStream:
        session = dataclasses.replace(
            settings.session,
            threads=self._budget.threads,
            # What a camera wrote before it changed is nothing that was there at the start.
            overwrite=settings.session.overwrite and self._fresh,
            measure_noise=self._measure_noise,
            goes_on=True,
            name=f"camera {settings.name}",
            read_model=self._models.read,
        )
        gallery, name = self._gallery, settings.name
        more = () if gallery is None else (lambda control: gallery.sink(name),)
        return CameraStream(settings, session, self._announce, more, self._budget.bind)

    # The cameras

    def _tend(self) -> None:
        moment = datetime.datetime.now(datetime.UTC)
        for stream in list(self._ending):
            if not stream.busy:
                self._ending.remove(stream)
                self._hangs += stream.hangs
                self._left_behind |= stream.left_behind
        leaving = {stream.name for stream in self._ending}
        for stream in self.cameras:
            if stream.name not in leaving:  # its device may still be in use
                stream.tend(moment)
        hangs = self._hangs + sum(stream.hangs for stream in self.cameras)
        if hangs >= MAX_HANGS:
            raise HungError(f"inference has hung {hangs} times, each thread is left behind")

    def _end(self) -> None:
        """End all cameras, with every file finished; those that hang are left behind."""
        every = [*self.cameras, *self._ending]
        over = [stream.state for stream in every]
        for stream in every:
            stream.stop()
        until = time.monotonic() + _PATIENCE
        while any(stream.busy for stream in every) and time.monotonic() < until:
            time.sleep(_PERIOD / 4)
        for stream, state in zip(every, over, strict=True):
            if state in ("ended", "refused"):
                stream.state = state
            if stream.busy:
                log.warning("camera %s takes too long to end: left behind", stream.name)
        self._left_behind |= any(stream.left_behind for stream in every)
