"""Open a network that was trained elsewhere, in a process of its own unless the user trusts it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import QualityError, RecipeError
from edgecae_convert.foreign import messages

__all__ = ["ForeignModel", "ForeignNetwork", "open_model", "weights_copy"]

log = logging.getLogger(__name__)

MAX_SECONDS_TO_OPEN = 300.0
MAX_SECONDS_TO_RUN = 600.0
"""For one frame."""
MAX_SECONDS_TO_CONVERT = 3600.0
MAX_ANSWER = 2 * 2**30
"""Bytes that the worker may hand back at once."""
MAX_MESSAGE = 500


@dataclass(frozen=True)
class ForeignModel:
    """A network that was trained elsewhere.

    Attributes:
        network: a :class:`ForeignNetwork`; where the user trusts the file, a Keras model or the
            like, called with N×H×W×3, RGB in [0, 1], and ``training``, which gives the same.
        stride: height and width must be multiples of this.
        size: height and width, where it takes no others.
        channels: 3, or 1 of a network of gray frames, which colour ones go through channel by
            channel.
    """

    network: Any
    stride: int
    size: tuple[int, int] | None
    channels: int = 3

    def __enter__(self) -> ForeignModel:
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self.network, ForeignNetwork):
            self.network.close()


def open_model(
    path: Path,
    trust: bool,
    signature: str = "",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> ForeignModel:
    """Open a SavedModel directory, or a Keras file with its architecture.

    Args:
        path: of it.
        trust: load it in this process, and run whatever code it names.
        signature: of a SavedModel, ``NAME`` or ``NAME:OUTPUT``; empty: ``serving_default``.
        value_range: what black and white are to the network.

    Returns:
        The network; close it, or use it in a ``with``.

    Raises:
        RecipeError: it can't be read, holds what is not allowed, or is no network of images to
            images.
    """
    if trust:
        from edgecae_convert.foreign import reading

        network, shape = reading.load(path, None, signature, value_range)
        stride, size = reading.stride_and_size(path, network, shape)
        return ForeignModel(network, stride, size, network.channels)
    worker = ForeignNetwork(path)
    try:
        return ForeignModel(worker, *worker.open(signature, value_range))
    except BaseException:
        worker.close()
        raise


@contextlib.contextmanager
def weights_copy(path: Path) -> Iterator[Path]:
    """Make a copy of an HDF5 file of weights which holds arrays and strings alone.

    Args:
        path: of the file; a :class:`RecipeError` comes where it can't be read, or holds links,
            compressed arrays and the like.

    Yields:
        The copy.
    """
    with _Worker(path) as worker:
        about, _ = worker.ask([messages.pack({"do": "copy weights"})], MAX_SECONDS_TO_OPEN)
        yield worker.scratch / Path(str(about["name"])).name


class _Worker:
    """A process of its own with bounded memory, time and rights, and a folder for it.

    Args:
        path: of the file or folder that it opens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = tempfile.TemporaryDirectory(prefix="edgecae-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name).resolve()
        self._errors = folder / "errors"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self._late = False
        self._connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "edgecae_convert.foreign.worker"]
        with theirs, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - this very Python
                [*command, str(theirs.fileno()), str(self.scratch), str(path.resolve())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self.scratch,
                env=_environment(self.scratch),
            )

    def close(self) -> None:
        """End the process and remove its folder. It can be called twice."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, requests: Sequence[bytes], seconds: float) -> tuple[dict[str, Any], bytes]:
        """Send messages and return what the answer holds.

        Raises:
            RecipeError: the process said so, died or took too long.
            QualityError: the process said so.
        """
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            for each in requests:
                self._connection.send_bytes(each)
            about, payload = messages.unpack(self._connection.recv_bytes(MAX_ANSWER))
        except (OSError, EOFError, ValueError) as error:
            raise RecipeError(self._how_it_ended(seconds)) from error
        finally:
            timer.cancel()
        if "error" in about:
            kind = QualityError if about.get("kind") == "QualityError" else RecipeError
            text = str(about["error"]).replace(str(self.path.resolve()), str(self.path))
            raise kind(_printable(text))
        return about, payload

    def _end(self) -> None:
        self._late = True
        self._process.kill()

    def _how_it_ended(self, seconds: float) -> str:
        self._process.kill()
        status = self._process.wait()
        with contextlib.suppress(OSError):
            log.debug("the worker's last words: %r", self._errors.read_bytes()[-2000:])
        if self._late:
            return f"{self.path} takes more than {seconds:g} s to read, run or convert"
        return (
            f"{self.path} ended the process that opened it (status {status}): it is damaged, or "
            "needs more memory than is allowed"
        )


class ForeignNetwork(_Worker):
    """A network in a process of its own.

    Args:
        path: of the file or folder.
    """

    def open(
        self, signature: str = "", value_range: tuple[float, float] = (0.0, 1.0)
    ) -> tuple[int, tuple[int, int] | None, int]:
        """Load the network.

        Args:
            signature: see :func:`open_model`.
            value_range: likewise.

        Returns:
            Its stride, height and width where it takes no others, and its channels.

        Raises:
            RecipeError: it can't be read, holds what is not allowed, or is no network of images to
                images.
        """
        request = {"do": "open", "signature": signature, "range": value_range}
        about, _ = self.ask([messages.pack(request)], MAX_SECONDS_TO_OPEN)
        size = about["size"] and (int(about["size"][0]), int(about["size"][1]))
        return int(about["stride"]), size or None, int(about["channels"])

    def __call__(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Args:
            frame: 1×H×W×3 in [0, 1].

        Returns:
            The same shape.

        Raises:
            RecipeError: it can't be run at this size.
        """
        answer = self.ask([messages.pack({"do": "run"}, frame)], MAX_SECONDS_TO_RUN)
        result = messages.array(*answer)
        if result.shape != frame.shape:
            raise RecipeError(f"{self.path} makes {result.shape} of {frame.shape}")
        return result

    def to_tflite(
        self,
        precision: str,
        size: tuple[int, int] | None,
        examples: Callable[[], Iterable[NDArray[np.float32]]] | None,
    ) -> bytes:
        """Convert the network; see :func:`edgecae_convert.export.to_tflite`.

        Raises:
            QualityError: TFLite does not have the format for an operation of the network.
            RecipeError: it takes too much memory or time.
        """
        pictures = [] if examples is None else list(examples())
        about = {"do": "convert", "precision": precision, "size": size, "examples": len(pictures)}
        requests = [messages.pack(about), *(messages.pack({}, each) for each in pictures)]
        return self.ask(requests, MAX_SECONDS_TO_CONVERT)[1]


def _environment(scratch: Path) -> dict[str, str]:
    """Make the environment of the worker: no accelerator, no settings and caches of the user."""
    paths = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "XLA_"))}
    return kept | {
        "PYTHONPATH": paths,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "KERAS_HOME": str(scratch),
        "KERAS_BACKEND": "tensorflow",
        "TF_USE_LEGACY_KERAS": "1",  # else TensorFlow loads Keras 3, in seconds, whatever the file
        "CUDA_VISIBLE_DEVICES": "-1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _printable(text: str) -> str:
    """Make one line of what a file may have chosen."""
    return "".join(each if each.isprintable() else "?" for each in text)[:MAX_MESSAGE]
