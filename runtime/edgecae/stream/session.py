"""A whole stream from descriptions: what ``edgecae stream`` does, for Python."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecae import models
from edgecae.denoise.denoiser import Denoiser
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.redact import redacted
from edgecae.media.sinks.base import DEFAULT_CODEC
from edgecae.stream import metrics
from edgecae.stream.capture import closing, open_lasting
from edgecae.stream.control import StreamControl
from edgecae.stream.overload import Overload
from edgecae.stream.pipeline import run
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop
from edgecae.stream.watchdog import LIMIT, StreamHooks, Watchdog

if TYPE_CHECKING:
    from edgecae.stream import threads as tune

__all__ = ["Session"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Which source goes through which model to which sinks, and how.

    Attributes:
        source: description, see :mod:`edgecae.media.sources`.
        sinks: descriptions, see :mod:`edgecae.media.sinks`.
        model: name of a shipped model, or path of a model file.
        backend: see :class:`edgecae.Denoiser`.
        strength: likewise.
        threads: of one interpreter; None: chosen by measuring, see :mod:`.tune`.
        max_latency: milliseconds that a frame may take in the network, where threads are chosen.
        camera: what is asked of the source.
        overwrite: whether sinks may replace what is there.
        codec: of recordings.
        segment: seconds after which a recording goes on in another file; None: never.
        metrics: where to answer Prometheus, ``PORT`` or ``HOST:PORT``; None: nowhere.
        measure_noise: whether figures shall have the noise where nothing else needs it.
        hang: seconds that a frame may take.
    """

    source: str
    sinks: Sequence[str]
    model: str = models.DEFAULT
    backend: str = "auto"
    strength: float | None = 1.0
    threads: int | None = 2
    max_latency: float | None = None
    camera: sources.Settings = field(default_factory=sources.Settings)
    overwrite: bool = False
    codec: str = DEFAULT_CODEC
    segment: float | None = None
    metrics: str | None = None
    measure_noise: bool = False
    hang: float = LIMIT

    def run(
        self,
        stop: Stop | None = None,
        announce: Callable[[str], None] = log.info,
        report: Callable[[StreamControl], None] = lambda control: None,
        hooks: StreamHooks | None = None,
    ) -> StreamControl:
        """Open everything, stream, close everything.

        Args:
            stop: ends it, see :func:`edgecae.stream.stop_on_signals`.
            announce: told in a line what is opened, and what is chosen.
            report: told after each frame, and now and then while none comes.
            hooks: what the process does for its stream, see :func:`run`.

        Returns:
            The stream's figures: ``snapshot()``, ``stats``.

        Raises:
            EdgecaeError: as :func:`run` and whatever is opened raise it.
        """
        stop, stats = stop or Stop(), Stats()
        with contextlib.ExitStack() as stack:
            # First the model: a wrong one is found before a camera is waited for.
            first = stack.enter_context(self._denoiser(self.threads or 1))
            source = stack.enter_context(
                closing(open_lasting(self.source, self.camera, stop, redacted(self.source)), stats)
            )
            control = StreamControl(source, stats, [], self.strength)
            settings = sinks.Settings(source, self.overwrite, self.codec, self.segment, control)
            opened = [
                stack.enter_context(sinks.open_sink(spec, settings))
                for spec in dict.fromkeys(self.sinks)
            ]
            if self.metrics is not None:
                url = stack.enter_context(metrics.serve(self.metrics, control.snapshot))
                announce(f"metrics at {url}")
            how = "threads by measuring" if self.threads is None else f"{self.threads} threads"
            announce(
                f"{source.name} → {first.metadata.name} ({first.backend}, {how}) → "
                f"{', '.join(sink.name for sink in opened)}"
            )
            watchdog = Watchdog(self.hang, stats.summary, hooks)
            overload = Overload(source, stats, first.metadata.name)

            def each(stats: Stats) -> None:  # noqa: ARG001 - the same that control has
                report(control)
                if (said := overload.notice()) is not None:
                    log.warning("%s", said)

            def choose(frame: Frame) -> list[Denoiser]:
                if self.threads is not None:
                    chosen = [first]
                else:
                    choice = self._choose(frame, source, announce, watchdog)
                    chosen = []
                    for _ in range(choice.interpreters):
                        with watchdog.watching():
                            chosen.append(stack.enter_context(self._denoiser(choice.threads)))
                for denoiser in chosen:
                    control.adopt(denoiser)
                return chosen

            run(
                source,
                choose,
                opened,
                stop,
                each,
                stats=stats,
                buffers=self.camera.buffers,
                watchdog=watchdog,
            )
        return control

    def _denoiser(self, threads: int) -> Denoiser:
        denoiser = Denoiser(self.model, threads, self.backend, self.strength)
        denoiser.measure_noise = (
            self.measure_noise
            or self.metrics is not None
            or any(spec.startswith("view:") for spec in self.sinks)
        )
        return denoiser

    def _choose(
        self,
        frame: Frame,
        source: sources.Source,
        announce: Callable[[str], None],
        watchdog: Watchdog,
    ) -> tune.Choice:
        """Measure on the first frame's size, and say what came of it."""
        from edgecae.stream import threads as tune

        measured = tune.measure_threads(
            self._denoiser, frame.pixels.shape, watching=watchdog.watching
        )
        rate = float(source.rate) if source.live and source.rate else None
        choice = tune.best(measured, rate, self.max_latency)
        others = "; ".join(str(c) for c in measured if c is not choice)
        announce(f"chosen: {choice} (others: {others or 'none'})")
        if self.max_latency is not None and choice.milliseconds > self.max_latency:
            log.warning(
                "nothing takes less than %g ms for a frame here; a smaller model or picture may",
                self.max_latency,
            )
        return choice
