"""A whole stream from descriptions: what ``edgecae stream`` does, for Python."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgecae import models, naming
from edgecae.denoise.denoiser import Denoiser
from edgecae.media import sinks, sources
from edgecae.media.frame import Frame
from edgecae.media.sinks.base import DEFAULT_CODEC, Encoding, Sink
from edgecae.media.sound import Sound
from edgecae.redact import redacted
from edgecae.stream import metrics
from edgecae.stream.capture import closing, open_lasting
from edgecae.stream.control import StreamControl
from edgecae.stream.overload import Overload
from edgecae.stream.pipeline import run
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop
from edgecae.stream.watchdog import MAX_HANG_SECONDS, StreamHooks, Watchdog
from edgecae.tflite import model_file
from edgecae.tflite.model_file import ModelFile

if TYPE_CHECKING:
    from edgecae.stream import threads as tune

__all__ = ["Session"]

log = naming.logger(__name__)


def _read_model(model: str) -> ModelFile:
    return model_file.read(models.find_model(model))


@dataclass(frozen=True)
class Session:
    """Which source goes through which model to which sinks, and how.

    The metadata of a field are those of its option on the command line.

    Attributes:
        source: description, see :mod:`edgecae.media.sources`.
        sinks: descriptions, see :mod:`edgecae.media.sinks`.
        model: name of a shipped model, path of a model file, or ``auto``: see :mod:`.model_choice`.
        backend: see :class:`edgecae.Denoiser`.
        strength: likewise.
        threads: of one interpreter; None: chosen by measuring, see :mod:`.threads`.
        camera: what is asked of the source.
        max_latency: milliseconds that a frame may take in the network, where threads are chosen.
        segment: seconds after which a recording goes on in another file; None: never.
        hang: seconds that a frame may take.
        metrics: where to answer Prometheus, ``PORT`` or ``HOST:PORT``; None: nowhere.
        codec: of recordings.
        encoding: what else is asked of their encoder.
        overwrite: whether sinks may replace what is there.
        token: that opens a view whose description has none; None: where other machines reach it,
            one is made.
        measure_noise: whether figures shall have the noise where nothing else needs it.
        goes_on: whether what an earlier stream wrote is no obstacle, see
            :class:`edgecae.media.sinks.SinkSettings`.
        name: of the stream, for people who have several: log lines begin with it; without ``%``.
            Empty: it needs none.
        read_model: reads ``model``; streams of one process may share what it returns.
    """

    source: str = field(
        metadata={
            "metavar": "S",
            "help": "Camera (0, /dev/video0, picamera2:), stream (rtsp://, http://), video file, "
            "folder or glob of images, - (standard input), raw:640x480:rgb24@30 (the same, no "
            "header) or test:640x480@30?noise=gaussian:25&live=yes.",
        }
    )
    sinks: Sequence[str] = field(
        metadata={
            "flag": "--sink",
            "multiple": True,
            "metavar": "S",
            "help": "Video file, folder for PNG files, - (Y4M to standard output), raw:rgb24 (the "
            "same, no header), mpegts:- (the same, H.264), rtsp://HOST:8554/NAME (published to a "
            "server), view: (a web page), camera:/dev/video9 or null:. May be given several times.",
        }
    )
    model: str = field(
        default=models.DEFAULT,
        metadata={
            "metavar": "NAME|FILE",
            "help": "Shipped model, or a file that edgecae convert --int8 made. For edgecae stream "
            "also auto: the best model for video that this device holds.",
        },
    )
    backend: str = field(default="auto", metadata={"help": "TFLite interpreter."})
    strength: float | None = field(
        default=1.0,
        metadata={
            "metavar": "0…1|auto",
            "help": "Share of the denoised picture in the result; the rest is the noisy one. auto: "
            "by the noise of each frame.",
        },
    )
    threads: int | None = field(
        default=2,
        metadata={
            "metavar": "N|auto",
            "help": "Threads of the interpreter; auto: measure, on the first frame's size, what is "
            "best on this device: threads in one interpreter, or several interpreters over "
            "successive frames.",
        },
    )
    camera: sources.SourceSettings = field(default_factory=sources.SourceSettings)
    max_latency: float | None = field(
        default=None,
        metadata={
            "metavar": "MS",
            "help": "Milliseconds that a frame may take in the network; for --threads auto.",
        },
    )
    segment: float | None = field(
        default=None,
        metadata={
            "metavar": "SECONDS",
            "help": "Go on in another file after so long; files are numbered, or named by strftime "
            "patterns.",
        },
    )
    hang: float = field(
        default=MAX_HANG_SECONDS,
        metadata={
            "metavar": "SECONDS",
            "help": "End with status 70 when one frame takes longer.",
        },
    )
    metrics: str | None = field(
        default=None,
        metadata={
            "metavar": "[HOST:]PORT",
            "help": "Answer Prometheus at http://HOST:PORT/metrics; HOST is 127.0.0.1 unless "
            "given.",
        },
    )
    codec: str = field(
        default=DEFAULT_CODEC,
        metadata={"help": "Codec of a video, as FFmpeg names it; ffv1 is lossless."},
    )
    encoding: Encoding = field(default_factory=Encoding)
    overwrite: bool = False
    token: str | None = field(default=None, repr=False)
    measure_noise: bool = False
    goes_on: bool = False
    name: str = ""
    read_model: Callable[[str], ModelFile] = field(default=_read_model, repr=False)

    def run(
        self,
        stop: Stop | None = None,
        announce: Callable[[str], None] = log.info,
        report: Callable[[StreamControl], None] = lambda control: None,
        hooks: StreamHooks | None = None,
        more_sinks: Sequence[Callable[[StreamControl], Sink]] = (),
    ) -> StreamControl:
        """Open everything, stream, close everything.

        Args:
            stop: ends it, see :func:`edgecae.stream.stop_on_signals`.
            announce: told in a line what is opened, and what is chosen.
            report: told after each frame, and now and then while none comes.
            hooks: what the process does for its stream, see :func:`run`.
            more_sinks: each opens a sink beside those of the descriptions; called with what that
                sink may know of the stream.

        Returns:
            The stream's figures: ``snapshot()``, ``stats``.

        Raises:
            EdgecaeError: as :func:`run` and whatever is opened raise it.
        """
        stop, stats = stop or Stop(), Stats()
        camera = replace(self.camera, sound=Sound() if self.encoding.audio else None)
        with naming.named(self.name), contextlib.ExitStack() as stack:
            # First the model: a wrong one is found before a camera is waited for.
            auto = self.model == models.AUTO
            first = None if auto else stack.enter_context(self._denoiser(self.threads or 1))
            source = stack.enter_context(
                closing(open_lasting(self.source, camera, stop, redacted(self.source)), stats)
            )
            control = StreamControl(source, stats, [], self.strength)
            settings = sinks.SinkSettings(
                source,
                self.overwrite,
                self.codec,
                self.segment,
                control,
                self.token,
                self.encoding,
                camera.sound,
                self.goes_on,
            )
            opened = [
                stack.enter_context(sinks.open_sink(spec, settings))
                for spec in dict.fromkeys(self.sinks)
            ]
            opened += [stack.enter_context(open_one(control)) for open_one in more_sinks]
            if self.metrics is not None:
                url = stack.enter_context(metrics.serve(self.metrics, control.snapshot))
                announce(f"metrics at {url}")
            how = "threads by measuring" if self.threads is None else f"{self.threads} threads"
            model = (
                f"{first.metadata.name} ({first.backend}, {how})" if first else "a model to choose"
            )
            announce(f"{source.name} → {model} → {', '.join(sink.name for sink in opened)}")
            watchdog = Watchdog(self.hang, stats.summary, hooks)
            overload = Overload(source, stats, first.metadata.name if first else "")

            def each(stats: Stats) -> None:  # noqa: ARG001 - the same that control has
                report(control)
                if (said := overload.notice()) is not None:
                    log.warning("%s", said)

            def choose(frame: Frame) -> list[Denoiser]:
                if first is not None and self.threads is not None:
                    chosen = [first]
                else:
                    session = self
                    if auto:
                        session = self._with_model(frame, source, announce, watchdog)
                        overload.model = session.model
                    chosen = session._interpreters(frame, source, announce, watchdog, stack)
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

    def _with_model(
        self,
        frame: Frame,
        source: sources.Source,
        announce: Callable[[str], None],
        watchdog: Watchdog,
    ) -> Session:
        """Choose a model on the first frame's size, and say which."""
        from edgecae.stream import threads as tune
        from edgecae.stream.model_choice import choose_model

        height, width = frame.pixels.shape[:2]
        rate = float(source.rate) if source.live and source.rate else None
        threads = self.threads or tune.cores()
        with watchdog.watching():
            name, why = choose_model(
                (width, height), rate, threads, lambda n, t: replace(self, model=n)._denoiser(t)
            )
        announce(f"chosen: {name} ({why})")
        return replace(self, model=name)

    def _interpreters(
        self,
        frame: Frame,
        source: sources.Source,
        announce: Callable[[str], None],
        watchdog: Watchdog,
        stack: contextlib.ExitStack,
    ) -> list[Denoiser]:
        """Open as many denoisers as successive frames shall have."""
        threads, count = self.threads, 1
        if threads is None:
            choice = self._choose(frame, source, announce, watchdog)
            threads, count = choice.threads, choice.interpreters
        opened = []
        for _ in range(count):
            with watchdog.watching():
                opened.append(stack.enter_context(self._denoiser(threads)))
        return opened

    def _denoiser(self, threads: int) -> Denoiser:
        denoiser = Denoiser(self.read_model(self.model), threads, self.backend, self.strength)
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
