"""The TFLite interpreter: LiteRT's, or that of tflite-runtime.

The boundary where whatever an interpreter raises becomes a :class:`BackendError`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import native
from edgecae.errors import BackendError

__all__ = ["BACKENDS", "Backend", "Interpreter", "find_backend"]

BACKENDS = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}
"""Module and package of each, the preferred one first."""


@dataclass(frozen=True)
class Backend:
    """An interpreter that is installed.

    Attributes:
        name: as ``--backend`` takes it.
        version: of its package.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_backend(name: str = "auto") -> Backend:
    """Find an interpreter that can be imported.

    Args:
        name: one of :data:`BACKENDS`, or ``auto`` for the first that is there.

    Raises:
        BackendError: it is unknown or not installed.
    """
    if name != "auto" and name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; there are {', '.join(BACKENDS)}")
    problems = []
    for candidate in BACKENDS if name == "auto" else [name]:
        module, package = BACKENDS[candidate]
        try:
            importlib.import_module(module)
            top = importlib.import_module(module.partition(".")[0])
            return Backend(
                candidate, top.__version__
            )  # quicker to have than the package's metadata
        except ImportError as error:
            problems.append(f"{package}: {error}")
    raise BackendError(f"no TFLite interpreter can be imported ({'; '.join(problems)})")


class Interpreter:
    """One TFLite interpreter over one model, its frame size changeable.

    Args:
        content: the model file.
        threads: of the interpreter, fixed for its life.
        backend: from :func:`find`.

    Raises:
        BackendError: the interpreter does not take the model.
    """

    def __init__(self, content: bytes, threads: int, backend: Backend) -> None:
        module = importlib.import_module(BACKENDS[backend.name][0])
        self.backend = backend
        # XNNPACK announces itself when it is first used: at construction or allocation.
        with native.quiet():
            try:
                self._interpreter: Any = module.Interpreter(
                    model_content=content, num_threads=threads
                )
            except (ValueError, RuntimeError) as error:
                raise BackendError(f"{backend} does not take the model: {error}") from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._input_view = self._interpreter.tensor(self._input["index"])
        self._output_view = self._interpreter.tensor(self._output["index"])

    def resize(self, height: int, width: int) -> None:
        """Plan for an input of this size.

        Raises:
            BackendError: the interpreter refuses it, for lack of memory for example.
        """
        with native.quiet():
            try:
                self._interpreter.resize_tensor_input(
                    self._input["index"],
                    [1, height, width, int(self._input["shape"][3])],
                    strict=True,
                )
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise BackendError(f"no plan for {width}×{height} frames: {error}") from error

    def input(self) -> NDArray[Any]:
        """A view of the input tensor, 1×H×W×C; drop it before :meth:`invoke`."""
        view: NDArray[Any] = self._input_view()
        return view

    def output(self) -> NDArray[Any]:
        """A view of the output tensor, 1×H×W×C; drop it before the next :meth:`invoke`."""
        view: NDArray[Any] = self._output_view()
        return view

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of input and output."""
        dtype: np.dtype[Any] = np.dtype(self._input["dtype"])
        return dtype

    def invoke(self) -> None:
        """Run the network on what is in the input tensor.

        Raises:
            BackendError: the interpreter failed.
        """
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"inference failed: {error}") from error
