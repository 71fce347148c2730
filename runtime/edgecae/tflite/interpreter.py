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
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._input_views, self._output_views = (
            [self._interpreter.tensor(each["index"]) for each in ends]
            for ends in (self._inputs, self._outputs)
        )

    def resize(self, height: int, width: int) -> None:
        """Plan for frames of this size, and for states that belong to it.

        Args:
            height: of the first input; the others keep their share of it.
            width: likewise.

        Raises:
            BackendError: the interpreter refuses it, for lack of memory for example.
        """
        with native.quiet():
            try:
                for each in self._inputs:
                    part = int(self._inputs[0]["shape"][1]) // int(each["shape"][1])
                    self._interpreter.resize_tensor_input(
                        each["index"],
                        [1, height // part, width // part, int(each["shape"][3])],
                        strict=True,
                    )
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise BackendError(f"no plan for {width}×{height} frames: {error}") from error

    def input(self, number: int = 0) -> NDArray[Any]:
        """A view of an input tensor, 1×H×W×C; drop it before :meth:`invoke`.

        Args:
            number: 0 is the frame, 1 the first state.
        """
        view: NDArray[Any] = self._input_views[number]()
        return view

    def output(self, number: int = 0) -> NDArray[Any]:
        """A view of an output tensor, 1×H×W×C; drop it before the next :meth:`invoke`.

        What it shows stays until then, whatever is written into inputs.

        Args:
            number: 0 is the denoised frame, 1 the first state after it.
        """
        view: NDArray[Any] = self._output_views[number]()
        return view

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of input and output."""
        dtype: np.dtype[Any] = np.dtype(self._inputs[0]["dtype"])
        return dtype

    def invoke(self) -> None:
        """Run the network on what is in the input tensors.

        Raises:
            BackendError: the interpreter failed.
        """
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"inference failed: {error}") from error
