"""Ways to denoise, by the names that the command line uses.

====================  ======================================================================
``noisy``             nothing is done: what all the others are measured against
a peer                denoisers of other projects, see :mod:`edgecae.bench.peers`
a name or a file      a shipped model or a file of ``edgecae convert``, int8 or float32
``NAME:float``        the float network of a shipped model, a run or a weights file, where
                      ``edgecae[train]`` is installed
====================  ======================================================================
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import models
from edgecae.bench import peers
from edgecae.bench.peers.base import Pixels, Stream, frame_by_frame
from edgecae.denoise.denoiser import Denoiser
from edgecae.denoise.float_runner import file_denoiser
from edgecae.errors import SettingError
from edgecae.tflite import interpreter, model_file
from edgecae.tflite.metadata import Metadata

__all__ = [
    "FLOAT",
    "NOISY",
    "Method",
    "denoise_frames",
    "find_method",
    "float_method_of",
    "float_methods_of",
]

NOISY = "noisy"
FLOAT = ":float"

_FLOAT_NETWORK = "edgecae_train.evaluate", "float_denoiser"
"""Where the float networks are. A name, not an import: this package works without TensorFlow."""


@dataclass(frozen=True)
class Method:
    """A way to denoise.

    Attributes:
        name: as it was asked for.
        made_with: name and version of the package that computes.
        open: takes σ of the noise (0–255 scale; a model doesn't look at it) and a number of
            threads; returns a context that gives a :data:`Stream`.
        macs_per_pixel: multiply-accumulates of the convolutions; None: it has none, or too many
            layers of other people's to count.
        precision: ``int8`` or ``float32`` of a model, empty for others.
        temporal: whether it looks at several frames, so that it is measured on clips alone.
    """

    name: str
    made_with: str
    open: Callable[[float, int], AbstractContextManager[Stream]]
    macs_per_pixel: float | None = None
    precision: str = ""
    temporal: bool = False


def find_method(name: str, backend: str = "auto") -> Method:
    """Look up a way to denoise.

    Args:
        name: see the table at the top of this module.
        backend: the interpreter of models, see :func:`edgecae.tflite.interpreter.find_backend`.

    Raises:
        ModelFileError: there is neither a method nor a model of that name.
        BackendError: no interpreter is installed.
        SettingError: a package that it needs is not installed, or lacks it.
    """
    if name == NOISY:
        return Method(NOISY, "", lambda _sigma, _threads: contextlib.nullcontext(iter))
    if name in peers.PEERS:
        peer = peers.PEERS[name]

        def open_peer(sigma: float, threads: int) -> AbstractContextManager[Stream]:
            return peer.open(sigma, threads, **peers.tuned_settings(name, sigma))

        return Method(name, peer.require(), open_peer, temporal=peer.temporal)
    if name.endswith(FLOAT):
        return _float_network(name)
    file = model_file.read(models.find_model(name))
    made_with = str(interpreter.find_backend(backend))

    @contextlib.contextmanager
    def open_int8(_sigma: float, threads: int) -> Iterator[Stream]:
        with Denoiser(name, threads, backend) as denoiser:
            run = frame_by_frame(denoiser.process)

            def stream(frames: Iterable[Pixels]) -> Iterator[Pixels]:
                denoiser.reset()  # each picture, or clip, is of a scene of its own
                yield from run(frames)

            yield stream

    @contextlib.contextmanager
    def open_float(_sigma: float, threads: int) -> Iterator[Stream]:
        denoise = file_denoiser(file, threads, backend)
        yield lambda frames: (denoise(frame) for frame in frames)

    precision = file.metadata.precision
    opener = open_int8 if precision == "int8" else open_float
    return Method(name, made_with, opener, file.macs_per_pixel, precision)


def _float_network(name: str) -> Method:
    module, attribute = _FLOAT_NETWORK
    try:
        denoiser: Any = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise SettingError(f"{name} needs {error.name}: pip install 'edgecae[train]'") from error
    base = name.removesuffix(FLOAT)

    @functools.cache
    def network() -> Callable[[Pixels], Pixels]:
        denoise: Callable[[Pixels], Pixels] = denoiser(base)
        return denoise

    @contextlib.contextmanager
    def opened(_sigma: float, _threads: int) -> Iterator[Stream]:
        denoise = network()
        yield lambda frames: (denoise(frame) for frame in frames)

    macs = (
        model_file.read(models.find_model(base)).macs_per_pixel if base in models.names() else None
    )
    return Method(name, "tensorflow", opened, macs, "float32")


def float_method_of(name: str, among: Sequence[str]) -> str | None:
    """Name the float network that an int8 model was made of.

    Args:
        name: of a model.
        among: other models that are measured: a float32 file of the same recipe is one.

    Returns:
        A name for :func:`find_method`, whose network may be missing; None where the model is not
        int8 or is recurrent, or where nobody can know.
    """
    about = _metadata(name)
    if about is None or about.precision != "int8":
        return None
    for other in among:
        twin = _metadata(other)
        if twin is not None and twin.precision == "float32" and twin.recipe == about.recipe:
            return other
    return f"{name}{FLOAT}" if name in models.still_names() else None


def float_methods_of(names: Sequence[str]) -> list[str]:
    """Name the float networks of all int8 models that are not among the names."""
    found = [float_method_of(name, names) for name in names]
    return [name for name in dict.fromkeys(found) if name is not None and name not in names]


def _metadata(name: str) -> Metadata | None:
    if name == NOISY or name in peers.PEERS or name.endswith(FLOAT):
        return None
    return model_file.read(models.find_model(name)).metadata


def denoise_frames(
    method: Method, frames: Iterable[Pixels], sigma: float, threads: int
) -> list[Pixels]:
    """Denoise a clip, or a photo, which is one frame.

    Args:
        method: from :func:`find_method`.
        frames: uint8, H×W×3, of one size.
        sigma: σ of their noise, 0–255 scale.
        threads: number that the method computes with.

    Returns:
        As many frames of that shape.
    """
    with method.open(sigma, threads) as stream:
        results: list[NDArray[np.uint8]] = [frame.copy() for frame in stream(frames)]
        return results
