"""What a peer is: a denoiser of another project."""

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

__all__ = ["EXTRA", "Grid", "Package", "Peer", "Pixels", "Process", "Stream", "one_by_one", "still"]

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
    """What a peer needs.

    Attributes:
        module: that is imported.
        distribution: the package on PyPI that brings it.
        extra: of edgecae.
        licence: what its licence forbids, as ``for non-commercial use only``; empty for a free one.
    """

    module: str
    distribution: str
    extra: str = EXTRA
    licence: str = ""

    def require(self, peer: str) -> str:
        """Name and version of the package.

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
        name: on the command line and in tables.
        package: that it needs.
        about: what it calls, and who described the method.
        open: σ on the 0–255 scale, threads and the settings of ``grid``, to a context that gives a
            :data:`Stream`.
        grid: settings that are tuned; empty for one that only wants σ.
        temporal: whether it looks at several frames, and leaves a single one as it is.
        check: raises SettingError where the package lacks it.
        instead: name and version of what computes where the package can't; None: the package does.
    """

    name: str
    package: Package
    about: str
    open: Callable[..., AbstractContextManager[Stream]]
    grid: Grid
    temporal: bool = False
    check: Callable[[], object] = lambda: None
    instead: Callable[[], str | None] = lambda: None

    def require(self) -> str:
        """Name and version of what computes.

        Raises:
            SettingError: the package is not installed, or lacks this one.
        """
        if (other := self.instead()) is not None:
            return other
        version = self.package.require(self.name)
        self.check()
        return version


def one_by_one(process: Process) -> Stream:
    """A stream of what denoises frame by frame into a buffer, which is used again."""

    def stream(frames: Iterable[Pixels]) -> Iterator[Pixels]:
        out: Pixels | None = None
        for frame in frames:
            if out is None or out.shape != frame.shape:
                out = np.empty_like(frame)
            yield process(frame, out)

    return stream


def still(
    filter_: Callable[..., Pixels], threads: Callable[[int], None] = lambda _: None
) -> Callable[..., AbstractContextManager[Stream]]:
    """An opener over a function of frame, σ and settings.

    Args:
        filter_: returns a new frame.
        threads: sets how many the package may use; it is the package's, for the whole process.
    """

    @contextlib.contextmanager
    def opened(sigma: float, many: int, **settings: float) -> Iterator[Stream]:
        threads(many)
        denoise = functools.partial(filter_, sigma=sigma, **settings)
        yield lambda frames: (denoise(frame) for frame in frames)

    return opened
