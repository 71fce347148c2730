"""One camera among several: a session in a thread of its own, begun again when it fails."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgecae.errors import (
    EdgecaeError,
    RefusedError,
    SettingError,
    SinkRefusedError,
    SourceError,
    shortage,
)
from edgecae.media.sinks import Sink
from edgecae.redact import redacted
from edgecae.stream.cameras.settings import CameraSettings
from edgecae.stream.capture import BACKOFF
from edgecae.stream.control import StreamControl
from edgecae.stream.session import Session
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop
from edgecae.stream.watchdog import HungError, StreamHooks

__all__ = ["CameraStream"]

log = logging.getLogger(__name__)

MAX_SILENCE = 60.0
"""Seconds without a sign of life after which a stream counts as stuck."""

_COUNTS = ("frames", "frames_in", "frames_out", "dropped", "sink_dropped", "broken", "reconnects")
_INTERVAL = 5.0
"""Seconds between two signs of life of a stream."""


class CameraStream:
    """A camera's session and what became of it; also what a view may see of it and change.

    :meth:`tend` and :meth:`stop` are for the thread that supervises, everything else for any.

    Args:
        settings: of the camera.
        session: what is run, again and again.
        announce: told in a line what is opened.
        more_sinks: see :meth:`.session.Session.run`.
        on_denoise: see :class:`.watchdog.StreamHooks`.

    Attributes:
        state: ``starting``, ``running``, ``waiting`` (it failed and will be tried again),
            ``asleep`` (outside of its hours), ``ended`` (its source has nothing more to give),
            ``refused`` (the user or password is wrong: not tried again) or ``stopped``.
        error: what it failed with last; empty: it works, or has not failed yet.
        restarts: how often it was begun again after a failure.
        hangs: how often inference hung, each time leaving a thread behind.
    """

    def __init__(
        self,
        settings: CameraSettings,
        session: Session,
        announce: Callable[[str], None] = log.info,
        more_sinks: Sequence[Callable[[StreamControl], Sink]] = (),
        on_denoise: Callable[[], object] = lambda: None,
    ) -> None:
        self.settings, self.name = settings, settings.name
        self.state, self.error = "starting", ""
        self.restarts = self.hangs = 0
        self._session, self._announce, self._more_sinks = session, announce, more_sinks
        self._on_denoise = on_denoise
        self._lock = threading.Lock()
        self._control: StreamControl | None = None
        self._before = dict.fromkeys(_COUNTS, 0)
        self._last = Stats().figures()  # of the last session
        self._thread: threading.Thread | None = None
        self._stop = Stop()
        self._failure: BaseException | None = None
        self._begun = self._again = 0.0
        self._wait = BACKOFF[0]
        self._alive: float | None = None
        self._away = time.monotonic()
        self._stuck = False  # a source that never came back from a read

    # For who supervises

    @property
    def busy(self) -> bool:
        """Whether its session has not come to an end yet."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def left_behind(self) -> bool:
        """Whether a thread of it can't be ended."""
        return self.busy or self._stuck or self.hangs > 0

    @property
    def stuck(self) -> bool:
        """Whether its stream stands still, in something else than a source or inference."""
        alive = self._alive
        return self.busy and alive is not None and time.monotonic() - alive > MAX_SILENCE

    def tend(self, moment: datetime.datetime) -> None:
        """Begin, end and begin again what has to be; takes no time.

        Args:
            moment: that it is now, with its time zone.
        """
        now = time.monotonic()
        active = self.settings.hours.active(moment)
        if self.busy:
            if not active and not self._stop.requested:
                self._announce(f"{self.name}: asleep")
                self._stop.requested = True
            return
        if self._thread is not None:
            self._thread = None
            self._judge(now)
        if self.state in ("ended", "refused"):
            return
        if not active:
            self.state = "asleep"
        elif now >= self._again:
            self._start(now)

    def stop(self) -> None:
        """Ask its session to end; see :attr:`busy`."""
        self.state = "stopped"
        self._stop.requested = True

    def _start(self, now: float) -> None:
        if self.state == "waiting":
            self.restarts += 1
        self._stop, self._failure, self._begun, self._alive = Stop(), None, now, None
        self.state = "starting"
        session, self._session = self._session, dataclasses.replace(self._session, overwrite=False)
        # A daemon: what hangs in it must not keep the process from its end.
        self._thread = threading.Thread(
            target=self._work, args=(session, self._stop), name=f"camera {self.name}", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads
            self._thread, self._failure = None, error
            self._judge(now)

    def _judge(self, now: float) -> None:
        """Decide what follows from how the session ended."""
        error = self._failure
        self._away = now
        if error is None:
            self.state, self.error = ("starting" if self._stop.requested else "ended"), ""
            return
        said = str(error)
        if not isinstance(error, EdgecaeError):
            said = shortage(error) or f"unexpected {type(error).__name__}: {error}"
        refused = isinstance(error, (RefusedError, SinkRefusedError))
        what = "not tried again before the file is read anew" if refused else "trying again"
        level = logging.INFO if said == self.error else logging.ERROR
        log.log(level, "camera %s: %s; %s, the others go on", self.name, said, what)
        self.error, self.state = said, "refused" if refused else "waiting"
        worked = self._alive is not None and now - self._begun > BACKOFF[1]
        self._wait = BACKOFF[0] if worked else self._wait
        self._again = now + self._wait
        self._wait = min(2 * self._wait, BACKOFF[1])
        if isinstance(error, HungError):
            self.hangs += 1

    # In the session's thread

    def _work(self, session: Session, stop: Stop) -> None:
        hooks = StreamHooks(
            on_ready=self._sign_of_life,
            on_alive=lambda status: self._sign_of_life(),
            on_denoise=self._on_denoise,
            interval=_INTERVAL,
        )
        try:
            control = session.run(
                stop,
                lambda line: self._announce(f"{self.name}: {line}"),
                lambda control: self._see(control, stop),
                hooks,
                self._more_sinks,
            )
            self._stuck |= control.stats.stuck
            if not control.stats.frames and not stop.requested:
                raise SourceError(f"{redacted(session.source)} holds no frame that can be decoded")
        except BaseException as error:  # told by who supervises
            if not isinstance(error, EdgecaeError):
                log.debug("camera %s", self.name, exc_info=error)
            self._failure = error.with_traceback(None)  # which would keep all that the session had
        finally:
            with self._lock:
                ended, self._control = self._control, None
                if ended is not None:
                    self._last = ended.stats.figures()
                    self._before = {key: self._before[key] + self._last[key] for key in _COUNTS}

    def _see(self, control: StreamControl, stop: Stop) -> None:
        if stop is not self._stop:  # one that hung and was left behind comes back
            return
        if self._control is None:
            self._control = control
        if self.state == "starting" and control.stats.frames:
            self.state, self.error = "running", ""

    def _sign_of_life(self) -> None:
        self._alive = time.monotonic()

    # What a view may see and change

    def snapshot(self) -> dict[str, Any]:
        """See :class:`edgecae.media.sinks.base.Control`; counts are those since the beginning.

        Beside those figures there are ``camera``, its name; ``state``, ``restarts`` and ``error``.
        """
        with self._lock:
            control, before, last = self._control, self._before, self._last
        now = self._while_away(last) if control is None else control.snapshot()
        return {
            **now,
            **{key: now[key] + before[key] for key in _COUNTS},
            "camera": self.name,
            "state": self.state,
            "restarts": self.restarts,
            "error": self.error or None,
        }

    def _while_away(self, last: dict[str, Any]) -> dict[str, Any]:
        """Figures while there is no stream; the times are those of the last one."""
        strength = self._session.strength
        return {
            **last,
            **dict.fromkeys(_COUNTS, 0),
            "fps": 0.0,
            "noise": None,
            "strength": 0.0 if strength is None else strength,
            "strength_auto": strength is None,
            "offline_seconds": round(time.monotonic() - self._away, 1),
            "source": redacted(self._session.source),
            "model": None,
        }

    def set_strength(self, strength: float | None) -> None:
        """See :class:`edgecae.media.sinks.base.Control`; holds until the file is read anew."""
        if strength is not None and not 0 <= strength <= 1:
            raise SettingError(f"a strength lies between 0 and 1 or is None, not {strength}")
        self._session = dataclasses.replace(self._session, strength=strength)
        control = self._control
        if control is not None:
            control.set_strength(strength)
