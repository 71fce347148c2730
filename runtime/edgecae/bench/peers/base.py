"""The contract of a peer: a denoiser of another project."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import SettingError

__all__ = [
    "EXTRA",
    "Grid",
    "Package",
    "Peer",
    "Pixels",
    "Process",
    "Stream",
    "frame_by_frame",
    "frame_filter",
]

EXTRA = "peers"

Pixels = NDArray[np.uint8]
"""A frame: uint8, H×W×3, RGB."""

Stream = Callable[[Iterable[Pixels]], Iterator[Pixels]]
"""Frames of one size to as many denoised ones; each is valid until the next one is asked for."""

Grid = Mapping[str, Sequence[float]]
"""Settings by name, and the values that tuning tries, the strength first. A strength is a multiple
of σ, so that a level of noise that was not tuned for has settings too."""


class Process(Protocol):
    """``Denoiser.process`` and its like."""

    def __call__(self, frame: Pixels, out: Pixels | None = None, /) -> Pixels:
        """Denoise a frame into ``out``, which is returned."""


@dataclass(frozen=True)
class Package:
    """A package that a peer needs.

    Attributes:
        module: name of the module to import.
        distribution: the package on PyPI that has the module.
        extra: the extra of edgecae that installs it.
        licence: what its licence forbids, as ``for non-commercial use only``; empty for a free one.
    """

    module: str
    distribution: str
    extra: str = EXTRA
    licence: str = ""

    def require(self, peer: str) -> str:
        """Import the package, and return its name and version.

        Raises:
            SettingError: it can't be imported.
        """
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            licence = f", which is licensed {self.licence}" if self.licence else ""
            raise SettingError(
                f"{peer} needs {self.distribution}{licence}: pip install 'edgecae[{self.extra}]'"
            ) from error
        for name in importlib.metadata.packages_distributions().get(self.module, []):
            return f"{name} {importlib.metadata.version(name)}"
        return self.module


@dataclass(frozen=True)
class Peer:
    """A denoiser of another project.

    Attributes:
        name: its name on the command line and in tables.
        package: the package that it needs.
        about: what it calls, and who described the method.
        open: takes σ on the 0–255 scale, threads and the settings of ``grid``; returns a context
            that gives a :data:`Stream`.
        grid: settings that are tuned; empty for one that needs σ alone.
        temporal: whether it looks at several frames, so that it is measured on clips alone.
        check: raises SettingError where the package lacks the method.
        fallback: returns name and version of another program that computes where the package
            can't; None: the package does.
    """

    name: str
    package: Package
    about: str
    open: Callable[..., AbstractContextManager[Stream]]
    grid: Grid
    temporal: bool = False
    check: Callable[[], object] = lambda: None
    fallback: Callable[[], str | None] = lambda: None

    def require(self) -> str:
        """Check that the peer can run, and return name and version of what computes.

        Raises:
            SettingError: the package is not installed, or lacks this one.
        """
        if (other := self.fallback()) is not None:
            return other
        version = self.package.require(self.name)
        self.check()
        return version


def frame_by_frame(process: Process) -> Stream:
    """Make a stream that denoises frame by frame into one buffer."""

    def stream(frames: Iterable[Pixels]) -> Iterator[Pixels]:
        out: Pixels | None = None
        for frame in frames:
            if out is None or out.shape != frame.shape:
                out = np.empty_like(frame)
            yield process(frame, out)

    return stream


def frame_filter(
    filter_: Callable[..., Pixels], threads: Callable[[int], None] = lambda _: None
) -> Callable[..., AbstractContextManager[Stream]]:
    """Make ``open`` of a peer from a function that filters a frame.

    Args:
        filter_: takes a frame, σ and settings; returns a new frame.
        threads: sets how many threads the package uses, in the whole process.
    """

    @contextlib.contextmanager
    def opened(sigma: float, count: int, **settings: float) -> Iterator[Stream]:
        threads(count)
        denoise = functools.partial(filter_, sigma=sigma, **settings)
        yield lambda frames: (denoise(frame) for frame in frames)

    return opened
