"""What rounding does to every tensor of a file: its error against the float network.

The file and a float one of the same graph run without a delegate and with every tensor kept. The
error of a tensor includes what it inherits from those before it, and of weights, with QAT, what the
training moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import native
from edgecae.tflite.graph import Graph, Operator, Tensor
from edgecae.tflite.macs import CONVOLUTIONS
from edgecae.tflite.quantization import dequantize, quantize, representable

__all__ = ["Analysis", "TensorError", "analyse"]

CLIPS = ("MINIMUM", "MAXIMUM", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TensorError:
    """Error of one tensor against the float network.

    Attributes:
        name: of the layer that makes it or, for weights, uses it.
        kind: ``weights`` or ``activations``.
        dtype: in the file.
        sqnr: signal to quantization noise ratio, dB: mean square of the float values over that of
            the error; infinite where there is none.
        mse: mean squared error, in the float network's units.
        representable: lowest and highest value of the format; None for floats.
        seen: lowest and highest float value.
        saturated: share of the float values that lie beyond what the format holds.
    """

    name: str
    kind: str
    dtype: str
    sqnr: float
    mse: float
    representable: tuple[float, float] | None
    seen: tuple[float, float]
    saturated: float


@dataclass(frozen=True)
class Analysis:
    """Errors of all tensors.

    Attributes:
        errors: worst first.
        maps: mean error over channels of each activation in the last frame, H×W, by name.
        frame: the last frame, uint8 H×W×3; of a network of gray frames its red, H×W×1.
        exact: result of the float network on it, in [0, 1].
        rounded: result of the file on it, in [0, 1].
    """

    errors: tuple[TensorError, ...]
    maps: dict[str, NDArray[np.float32]]
    frame: NDArray[np.uint8]
    exact: NDArray[np.float32]
    rounded: NDArray[np.float32]


@dataclass
class _Sums:
    """What is added up over frames for one tensor."""

    signal: float = 0.0
    noise: float = 0.0
    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    beyond: int = 0
    last: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def add(self, exact: Floats, rounded: Floats, limits: tuple[float, float] | None) -> None:
        error = rounded - exact
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(error).sum())
        self.count += exact.size
        self.low, self.high = min(self.low, exact.min()), max(self.high, exact.max())
        if limits is not None:
            self.beyond += int(((exact < limits[0]) | (exact > limits[1])).sum())
        if error.ndim == 4:
            self.last = np.abs(error[0]).mean(-1).astype(np.float32)


class _File:
    """A model file of any format, and an interpreter that keeps every tensor."""

    def __init__(self, content: bytes, graph: Graph) -> None:
        from ai_edge_litert import interpreter as litert

        self.graph = graph
        self.makers = {op.output.index: op for op in graph.operators}
        with native.quiet():
            self._interpreter: Any = litert.Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )

    def run(self, frame: NDArray[np.uint8]) -> None:
        given = self.graph.frame
        channels = frame[None, ..., : given.shape[3]]  # red alone, of a network of gray frames
        self._interpreter.resize_tensor_input(given.index, channels.shape, strict=True)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(given.index, quantize(given, channels / np.float32(255)))
        self._interpreter.invoke()

    def values(self, tensor: Tensor) -> Floats:
        return dequantize(tensor, self._interpreter.get_tensor(tensor.index))

    def constant(self, tensor: Tensor) -> Floats | None:
        """Return the values of a constant, also of one that is stored as float16."""
        stored = self.stored(tensor)
        if stored.data is None:
            return None
        return dequantize(stored, stored.data.reshape(stored.shape))

    def stored(self, tensor: Tensor) -> Tensor:
        """Return the constant itself of one that is stored as float16 and turned to float32."""
        maker = self.makers.get(tensor.index)
        return tensor if maker is None or maker.name != "DEQUANTIZE" else maker.inputs[0]


def _layer(name: str) -> str:
    """Name of the layer that a tensor belongs to: ``NETWORK/LAYER/Op;…`` has it in the middle."""
    path = name.split(";")[0].split("/")
    return "/".join(path[:-1]) or name


def _pairs(rounded: Graph, exact: Graph) -> Iterator[tuple[Operator, Operator]]:
    """Find operations of the two that stand for one another, by the tensors that they make."""
    by_name = {op.output.name: op for op in exact.operators}
    by_layer = {_layer(op.output.name): op for op in exact.operators}
    for op in rounded.operators:
        name = op.output.name
        if op.output.dtype in ("int32", "bool"):
            continue
        found = by_name.get(name, by_layer.get(_layer(name)))
        if found is not None:
            yield op, found


def _after_clips(exact: Graph, op: Operator, named: set[str]) -> Tensor:
    """Find the tensor that stands for the int8 one: a clip of its own is part of its rounding."""
    while True:
        readers = [each for each in exact.operators if op.output in each.inputs]
        if len(readers) != 1 or readers[0].name not in CLIPS:
            return op.output
        if readers[0].output.name in named:
            return op.output
        op = readers[0]


def _error(
    name: str, kind: str, dtype: str, sums: _Sums, limits: tuple[float, float] | None
) -> TensorError:
    ratio = sums.signal / sums.noise if sums.noise else math.inf
    return TensorError(
        name=name,
        kind=kind,
        dtype=dtype,
        sqnr=10 * math.log10(ratio) if 0 < ratio < math.inf else (math.inf if ratio else -math.inf),
        mse=sums.noise / sums.count,
        representable=limits,
        seen=(sums.low, sums.high),
        saturated=sums.beyond / sums.count,
    )


def analyse(
    content: bytes,
    graph: Graph,
    exact_content: bytes,
    exact_graph: Graph,
    frames: Sequence[NDArray[np.uint8]],
) -> Analysis:
    """Compare a file with its float twin, tensor by tensor.

    Args:
        content: of the file.
        graph: of the file.
        exact_content: of a float32 file of the same network, its channels scaled as those of the
            file.
        exact_graph: of that one.
        frames: noisy pictures, uint8 H×W×3, of a size that both take.

    Returns:
        Errors of the convolutions' weights and of all activations that have a counterpart.
    """
    rounded, floats = _File(content, graph), _File(exact_content, exact_graph)
    named = {tensor.name for tensor in graph.tensors}
    pairs = list(_pairs(graph, exact_graph))
    errors = list(_weight_errors(rounded, floats, pairs))
    compared = [(op, _after_clips(exact_graph, other, named), _Sums()) for op, other in pairs]
    for frame in frames:
        rounded.run(frame)
        floats.run(frame)
        for op, tensor, sums in compared:
            one, two = rounded.values(op.output), floats.values(tensor)
            if one.shape == two.shape:
                sums.add(two, one, _with_rounding(op.output))
    maps = {}
    for op, _, sums in compared:
        if sums.count:
            name = f"{_layer(op.output.name)} ({op.name})"
            limits = representable(op.output)
            errors.append(_error(name, "activations", op.output.dtype, sums, limits))
            maps[name] = sums.last
    results = [file.values(file.graph.denoised)[0].astype(np.float32) for file in (floats, rounded)]
    frame = frames[-1][..., : graph.frame.shape[3]]
    return Analysis(
        tuple(sorted(errors, key=lambda each: each.sqnr)), maps, frame, results[0], results[1]
    )


def _weight_errors(
    rounded: _File, floats: _File, pairs: Sequence[tuple[Operator, Operator]]
) -> Iterator[TensorError]:
    for op, other in pairs:
        if op.name not in CONVOLUTIONS or other.name not in CONVOLUTIONS:
            continue
        weights, reference = rounded.constant(op.inputs[1]), floats.constant(other.inputs[1])
        if weights is not None and reference is not None and weights.shape == reference.shape:
            sums = _Sums()
            sums.add(reference, weights, None)
            dtype = rounded.stored(op.inputs[1]).dtype
            yield _error(_layer(op.output.name), "weights", dtype, sums, None)


def _with_rounding(tensor: Tensor) -> tuple[float, float] | None:
    """Return what a tensor holds, with what is rounded into its range."""
    limits = representable(tensor)
    if limits is None:
        return None
    half = float(tensor.scale[0]) / 2
    return limits[0] - half, limits[1] + half
