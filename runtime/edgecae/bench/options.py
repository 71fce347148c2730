"""What ``edgecae bench`` is asked to measure: the options of the command, and of the call."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import click

from edgecae import models
from edgecae.bench import latency, quality
from edgecae.bench.case import Case
from edgecae.bench.peers import PEERS
from edgecae.bench.peers.base import Peer
from edgecae.device.machine import read_this_machine
from edgecae.errors import SettingError
from edgecae.tflite.interpreter import BACKENDS

__all__ = ["PEER_SIZE", "BenchOptions"]

PEER_SIZE = (640, 480)
"""Peers are timed at this size alone unless sizes are asked for: some take minutes a frame."""

log = logging.getLogger(__name__)


def _missing_licensed_package(peer: Peer) -> str:
    """Say why a peer whose licence forbids some uses can't run; empty if it can, or is free."""
    if peer.package.licence:
        try:
            peer.require()
        except SettingError as error:
            return str(error)
    return ""


@dataclass(frozen=True)
class BenchOptions:
    """What to measure. The metadata of a field are those of its option on the command line.

    Attributes:
        models: names of shipped models, or files, int8 or float32.
        sizes: width and height of frames, pixels; empty: :data:`edgecae.bench.latency.SIZES`.
        threads: of what computes, each in turn; empty: 1, and the cores that this process may use.
        backends: of models, each in turn.
        rounds: how often each latency is measured, each time in a process of its own.
        seconds: that a round of a case takes, about.
        sets: folders of clean images, and clips, to measure quality on.
        sigmas: of the noise on them, 0–255 scale; empty: :data:`edgecae.bench.quality.SIGMAS`.
        peers: whether to measure the denoisers of other projects as well.
        without: names of peers that are left out.
        roofline: whether to measure it.
        against: a Python with another edgecae, which is timed in turn with this one.

    Raises:
        SettingError: a name in ``without`` is no peer.
    """

    models: tuple[str, ...] = field(
        default=(models.DEFAULT,),
        metadata={
            "flag": "--model",
            "metavar": "NAME|FILE",
            "help": "Shipped model or a file, int8 or float32. May be repeated, as all that follow "
            "may up to --backend.",
        },
    )
    sizes: tuple[tuple[int, int], ...] = field(
        default=(),
        metadata={
            "flag": "--size",
            "metavar": "WxH",
            "help": "Frame size.  [default: 320x240 to 3840x2160; peers 640x480]",
        },
    )
    threads: tuple[int, ...] = field(
        default=(),
        metadata={
            "type": click.IntRange(1, 64),
            "help": "Threads of what computes.  [default: 1, and the cores there are]",
        },
    )
    backends: tuple[str, ...] = field(
        default=("auto",),
        metadata={
            "flag": "--backend",
            "type": click.Choice(["auto", *BACKENDS]),
            "help": "TFLite interpreter.",
        },
    )
    rounds: int = field(
        default=3,
        metadata={
            "type": click.IntRange(0),
            "help": "Of each latency, each in a new process; 0: no latencies.",
        },
    )
    seconds: float = field(
        default=2.0,
        metadata={
            "type": click.FloatRange(0, min_open=True),
            "help": "For a round of a case, about.",
        },
    )
    sets: tuple[Path, ...] = field(
        default=(),
        metadata={
            "flag": "--quality",
            "type": click.Path(path_type=Path),
            "help": "Folder of clean images, or a clip. May be repeated.",
        },
    )
    sigmas: tuple[float, ...] = field(
        default=(),
        metadata={
            "flag": "--sigma",
            "type": click.FloatRange(0, 255),
            "help": "Of the noise for --quality. May be repeated.  [default: 5, 15, 25, 50]",
        },
    )
    peers: bool = field(default=False, metadata={"help": "Other denoisers as well."})
    without: tuple[str, ...] = field(
        default=(),
        metadata={
            "type": click.Choice(list(PEERS)),
            "metavar": "PEER",
            "help": "Leave a peer out; cbm3d takes a minute a photo.",
        },
    )
    roofline: bool = field(
        default=False, metadata={"help": "The model beside its convolutions alone."}
    )
    against: str | None = field(
        default=None,
        metadata={
            "metavar": "PYTHON",
            "help": "A Python with another edgecae, timed in turn with this one.",
        },
    )

    def __post_init__(self) -> None:
        """Refuse names that no peer has."""
        for name in self.without:
            if name not in PEERS:
                raise SettingError(f"no peer is called {name!r}; there are {', '.join(PEERS)}")
        for name in self._wanted_peers():
            if why := _missing_licensed_package(PEERS[name]):
                log.warning("%s is left out: %s", name, why)

    def _wanted_peers(self) -> list[str]:
        return [name for name in PEERS if self.peers and name not in self.without]

    @property
    def peer_names(self) -> list[str]:
        """Names of the peers to measure, in the order of tables.

        A peer whose licence forbids some uses is left out where it is not installed.
        """
        return [n for n in self._wanted_peers() if not _missing_licensed_package(PEERS[n])]

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """Numbers of threads to measure with, each in turn."""
        return self.threads or tuple(sorted({1, read_this_machine().cpu.usable}))

    @property
    def noise_levels(self) -> tuple[float, ...]:
        """σ of the noise that quality is measured at, 0–255 scale."""
        return self.sigmas or quality.SIGMAS

    def cases(self) -> list[Case]:
        """Each latency to measure: the models at each size, then the peers."""
        of_models = [
            (name, size, backend)
            for name in self.models
            for size in self.sizes or latency.SIZES
            for backend in self.backends
        ]
        of_peers = [
            (name, size, "auto") for name in self.peer_names for size in self.sizes or (PEER_SIZE,)
        ]
        return [
            Case(name, *size, threads, backend, seconds=self.seconds)
            for name, size, backend in of_models + of_peers
            for threads in self.thread_counts
        ]
