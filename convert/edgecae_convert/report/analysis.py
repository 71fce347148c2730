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
from edgecae.tflite import model_file

__all__ = ["Analysis", "TensorError", "analyse", "dequantized"]

CLIPS = ("MINIMUM", "MAXIMUM", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
WEIGHED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")

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
        frame: the last frame, uint8 H×W×3.
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
    """A model file of any format, its graph and an interpreter that keeps every tensor."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import interpreter as litert

        self.model = model_file.parse_flatbuffer(content)
        self.graph = self.model.subgraphs[0]
        self.ops = [op.op for op in model_file.op_list(self.model)]
        self.names = [(tensor.name or b"").decode() for tensor in self.graph.tensors]
        self.writer = {int(op.outputs[0]): n for n, op in enumerate(self.graph.operators)}
        with native.quiet():
            self._interpreter: Any = litert.Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )

    def run(self, frame: NDArray[np.uint8]) -> None:
        (given,) = self._interpreter.get_input_details()
        self._interpreter.resize_tensor_input(given["index"], [1, *frame.shape], strict=True)
        self._interpreter.allocate_tensors()
        values = frame[None] / np.float32(255)
        scale, zero = given["quantization"]
        if scale:
            limits = np.iinfo(given["dtype"])
            values = np.clip(np.rint(values / scale + zero), limits.min, limits.max)
        self._interpreter.set_tensor(given["index"], values.astype(given["dtype"]))
        self._interpreter.invoke()

    def values(self, tensor: int) -> Floats:
        return dequantized(self.graph.tensors[tensor], self._interpreter.get_tensor(tensor))

    def constant(self, tensor: int) -> Floats | None:
        """Values of a constant, also of one that is stored as float16 and turned to float32."""
        given = self.graph.tensors[tensor]
        data = self.model.buffers[given.buffer].data
        if data is not None and len(data):
            kind = np.dtype(model_file.dtype_name(given.type)).newbyteorder("<")
            return dequantized(given, np.asarray(data).view(kind).reshape(given.shape))
        if self.ops[self.writer.get(tensor, 0)] == "DEQUANTIZE":
            return self.constant(int(self.graph.operators[self.writer[tensor]].inputs[0]))
        return None

    def limits(self, tensor: int) -> tuple[float, float] | None:
        given = self.graph.tensors[tensor]
        if given.quantization is None or given.quantization.scale is None:
            return None
        kind = np.iinfo(model_file.dtype_name(given.type))
        scale, zero = float(given.quantization.scale[0]), int(given.quantization.zeroPoint[0])
        return (kind.min - zero) * scale, (kind.max - zero) * scale


def dequantized(tensor: Any, values: NDArray[Any]) -> Floats:
    """The numbers that a tensor stands for.

    Args:
        tensor: of the schema, with its quantization, perhaps one scale for each channel.
        values: as stored, of its shape.
    """
    given = tensor.quantization
    if given is None or given.scale is None or not len(given.scale):
        return np.asarray(values, np.float64)
    shape = [1] * values.ndim
    if len(given.scale) > 1:
        shape[given.quantizedDimension] = -1
    scale, zero = (np.reshape(each, shape) for each in (given.scale, given.zeroPoint))
    result: Floats = (np.asarray(values, np.float64) - zero) * np.asarray(scale, np.float64)
    return result


def _layer(name: str) -> str:
    """Name of the layer that a tensor belongs to: ``NETWORK/LAYER/Op;…`` has it in the middle."""
    path = name.split(";")[0].split("/")
    return "/".join(path[:-1]) or name


def _pairs(rounded: _File, exact: _File) -> Iterator[tuple[int, int]]:
    """Operations of the two files that stand for one another, by the tensors that they make."""
    by_name = {exact.names[output]: output for output in exact.writer}
    by_layer = {_layer(exact.names[output]): output for output in exact.writer}
    readers: dict[int, list[int]] = {}
    for number, op in enumerate(exact.graph.operators):
        for tensor in op.inputs:
            readers.setdefault(int(tensor), []).append(number)
    for output, number in rounded.writer.items():
        name = rounded.names[output]
        if model_file.dtype_name(rounded.graph.tensors[output].type) in ("int32", "bool"):
            continue
        found = by_name.get(name, by_layer.get(_layer(name)))
        if found is not None:
            yield number, exact.writer[found]


def _after_clips(exact: _File, number: int, named: set[str]) -> int:
    """The tensor that stands for the int8 one: a clip of its own is part of int8's rounding."""
    while True:
        output = int(exact.graph.operators[number].outputs[0])
        readers = [n for n, op in enumerate(exact.graph.operators) if output in op.inputs]
        if len(readers) != 1 or exact.ops[readers[0]] not in CLIPS:
            return output
        following = int(exact.graph.operators[readers[0]].outputs[0])
        if exact.names[following] in named:
            return output
        number = readers[0]


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


def analyse(content: bytes, exact: bytes, frames: Sequence[NDArray[np.uint8]]) -> Analysis:
    """Compare a file with its float twin, tensor by tensor.

    Args:
        content: the file.
        exact: a float32 file of the same network, its channels scaled as those of ``content``.
        frames: noisy pictures, uint8 H×W×3, of a size that both take.

    Returns:
        Errors of the convolutions' weights and of all activations that have a counterpart.
    """
    files = _File(content), _File(exact)
    rounded, floats = files
    named = set(rounded.names)
    pairs = {
        number: (other, _after_clips(floats, other, named))
        for number, other in _pairs(rounded, floats)
    }
    errors = []
    for number, (other, _) in pairs.items():
        if rounded.ops[number] in WEIGHED and floats.ops[other] in WEIGHED:
            weights, dtype = _weights(rounded, number), _weights_type(rounded, number)
            reference = _weights(floats, other)
            if weights is not None and reference is not None and weights.shape == reference.shape:
                sums = _Sums()
                sums.add(reference, weights, None)
                name = _layer(_output_name(rounded, number))
                errors.append(_error(name, "weights", dtype, sums, None))
    found: dict[int, _Sums] = {number: _Sums() for number in pairs}
    for frame in frames:
        for file in files:
            file.run(frame)
        for number, (_, tensor) in pairs.items():
            output = int(rounded.graph.operators[number].outputs[0])
            one, two = rounded.values(output), floats.values(tensor)
            if one.shape == two.shape:
                found[number].add(two, one, _with_rounding(rounded, output))
    maps = {}
    for number, sums in found.items():
        if sums.count:
            output = int(rounded.graph.operators[number].outputs[0])
            name = f"{_layer(rounded.names[output])} ({rounded.ops[number]})"
            dtype = model_file.dtype_name(rounded.graph.tensors[output].type)
            errors.append(_error(name, "activations", dtype, sums, rounded.limits(output)))
            maps[name] = sums.last
    results = [
        file.values(int(file.graph.outputs[0]))[0].astype(np.float32) for file in (floats, rounded)
    ]
    return Analysis(
        tuple(sorted(errors, key=lambda each: each.sqnr)), maps, frames[-1], results[0], results[1]
    )


def _output_name(file: _File, number: int) -> str:
    return file.names[int(file.graph.operators[number].outputs[0])]


def _weights(file: _File, number: int) -> Floats | None:
    return file.constant(int(file.graph.operators[number].inputs[1]))


def _weights_type(file: _File, number: int) -> str:
    tensor = int(file.graph.operators[number].inputs[1])
    source = file.writer.get(tensor)
    if source is not None:
        tensor = int(file.graph.operators[source].inputs[0])
    return model_file.dtype_name(file.graph.tensors[tensor].type)


def _with_rounding(file: _File, tensor: int) -> tuple[float, float] | None:
    """What is rounded into the range counts as inside."""
    limits = file.limits(tensor)
    if limits is None:
        return None
    half = float(file.graph.tensors[tensor].quantization.scale[0]) / 2
    return limits[0] - half, limits[1] + half
