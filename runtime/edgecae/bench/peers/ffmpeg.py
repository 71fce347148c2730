"""FFmpeg's filters, through the filter graph of PyAV and with the build that it brings; those that
it leaves out through the program ``ffmpeg``, if there is one that has them.

The boundary where what PyAV raises becomes a :class:`SettingError`. A filter works on planar RGB or
on YUV with all of the colour, whichever is better (setting ``yuv``, 0 or 1): the usual quarter of
the colour would cost quality that is not the filter's. The conversion both ways is part of the
time, as in a video pipeline.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from edgecae.bench.peers import ffmpeg_program
from edgecae.bench.peers.base import Grid, Package, Peer, Pixels, Stream
from edgecae.errors import SettingError

__all__ = ["FILTERS", "PEERS", "Filter"]


def _graph(
    av: Any, frame: Any, name: str, arguments: str, threads: int, formats: str
) -> tuple[Any, Any, Any]:
    graph = av.filter.Graph()
    graph.threads = threads
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 30)
    )
    into = graph.add("format", formats)
    filter_ = graph.add(name, arguments)
    back = graph.add("format", "rgb24")
    sink = graph.add("buffersink")
    graph.link_nodes(source, into, filter_, back, sink).configure()
    return graph, source, sink


def _filter(
    name: str, arguments: Callable[..., str]
) -> Callable[..., AbstractContextManager[Stream]]:
    """An opener over a filter; ``arguments`` takes σ and the settings."""

    @contextlib.contextmanager
    def opened(sigma: float, threads: int, yuv: float, **settings: float) -> Iterator[Stream]:
        text, formats = arguments(sigma, **settings), "yuv444p" if yuv else "gbrp"
        if _fallback(name) is not None:
            graph = f"format={formats},{name}={text},format=rgb24"
            yield lambda frames: ffmpeg_program.stream(frames, graph, threads)
            return
        import av

        def stream(frames: Iterable[Pixels]) -> Iterator[Pixels]:
            try:
                source = sink = None
                for number, pixels in enumerate(frames):
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 30)
                    if source is None:
                        kept = _graph(av, frame, name, text, threads, formats)
                        _, source, sink = kept
                    source.push(frame)
                    yield from _pull(av, sink)
                if source is not None:
                    source.push(None)
                    yield from _pull(av, sink)
            except (av.FFmpegError, ValueError) as error:
                raise SettingError(f"FFmpeg's {name}={text}: {error}") from error

        yield stream

    return opened


def _pull(av: Any, sink: Any) -> Iterator[Pixels]:
    """What a filter has ready."""
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _lacks(name: str) -> bool:
    try:
        from av.filter import filters_available
    except ImportError:
        return False  # said elsewhere
    return name not in filters_available


def _fallback(name: str) -> str | None:
    return ffmpeg_program.version(name) if _lacks(name) else None


def _check(name: str) -> None:
    if _lacks(name):
        raise SettingError(
            f"neither PyAV's FFmpeg nor a program ffmpeg has the filter {name}: apt install ffmpeg"
        )


def _nlmeans(sigma: float, strength: float, patch: float) -> str:
    return f"s={min(30.0, max(1.0, strength * sigma)):g}:p={int(patch)}:r=15"


def _bm3d(sigma: float, strength: float) -> str:
    """Of groups, its transform is not normalized: the best σ is many times that of the noise."""
    return f"sigma={strength * sigma:g}:block=8:bstep=4:group=8:range=9:mstep=1:estim=basic"


def _atadenoise(sigma: float, one: float, all_: float) -> str:
    """Thresholds of a frame and of all frames together, in σ; on the scale 0–1."""
    a, b = (min(high, of * sigma / 255) for of, high in ((one, 0.3), (all_, 5.0)))
    planes = ":".join(f"{plane}a={a:g}:{plane}b={b:g}" for plane in "012")
    return f"{planes}:s=9"


def _fftdnoiz(sigma: float, strength: float, overlap: float) -> str:
    return f"sigma={min(100.0, strength * sigma):g}:overlap={overlap:g}"


def _hqdn3d(sigma: float, temporal: float, spatial: float) -> str:
    """The difference that weighs a quarter, in σ: between frames, and in the plane.

    The filter takes 0 for 4 levels, so that nothing at all is a little more.
    """
    a, b = (max(0.01, of * sigma) for of in (spatial, temporal))
    return f"{a:g}:{a:g}:{b:g}:{b:g}"


def _vaguedenoiser(sigma: float, threshold: float) -> str:
    return f"threshold={threshold * sigma:g}"


@dataclass(frozen=True)
class Filter:
    """One of FFmpeg's filters, with its settings as multiples of σ.

    Attributes:
        name: as FFmpeg names it.
        about: who described the method.
        arguments: takes σ and the settings of ``grid``; returns the filter's arguments.
        grid: settings that are tuned.
        temporal: whether it looks at several frames.
    """

    name: str
    about: str
    arguments: Callable[..., str]
    grid: Grid
    temporal: bool = False


FILTERS: dict[str, Filter] = {
    "nlmeans": Filter(
        "nlmeans",
        "Buades, Coll and Morel, 2005",
        _nlmeans,
        {"strength": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), "patch": (3, 5, 7)},
    ),
    "bm3d": Filter(
        "bm3d",
        "Dabov et al., 2007; its first step, on each channel",
        _bm3d,
        {"strength": (8, 12, 16, 20, 24, 32, 48, 64)},
    ),
    "hqdn3d": Filter(
        "hqdn3d",
        "recursive averages in the plane and over time",
        _hqdn3d,
        {
            "temporal": (0.3, 0.5, 0.7, 1, 1.4, 2, 3),
            "spatial": (0, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 4),
        },
        temporal=True,
    ),
    "atadenoise": Filter(
        "atadenoise",
        "adaptive temporal averaging",
        _atadenoise,
        {"one": (0.5, 1, 1.5, 2, 3, 4), "all_": (1, 2, 4, 8, 16)},
        temporal=True,
    ),
    "fftdnoiz": Filter(
        "fftdnoiz",
        "Wiener filter on blocks",
        _fftdnoiz,
        {"strength": (0.7, 1, 1.3, 1.6, 2, 2.5, 3), "overlap": (0.5, 0.8)},
    ),
    "vaguedenoiser": Filter(
        "vaguedenoiser",
        "wavelet thresholds",
        _vaguedenoiser,
        {"threshold": (0.3, 0.5, 0.8, 1, 1.3, 1.6, 2, 3)},
    ),
}
"""By the name of the peer, less ``ffmpeg-``."""

_PYAV = Package("av", "av", extra="video")


def _peer(name: str, of: Filter) -> Peer:
    return Peer(
        f"ffmpeg-{name}",
        _PYAV,
        f"FFmpeg's {of.name} ({of.about})",
        _filter(of.name, of.arguments),
        {**of.grid, "yuv": (0, 1)},
        of.temporal,
        check=lambda: _check(of.name),
        fallback=lambda: _fallback(of.name),
    )


PEERS = tuple(_peer(name, of) for name, of in FILTERS.items())
