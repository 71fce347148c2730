"""How near a model comes to what this machine can do.

Three times, each at most the next: the model's multiply-accumulates at the machine's best rate for
int8; its convolutions, each by itself at its own shape; the whole model. (After the roofline of
Williams, Waterman and Patterson, 2009: what is possible, drawn above what is reached. The roof here
is measured, not computed from a data sheet.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecae.errors import ModelFileError
from edgecae.tflite import inspect, interpreter
from edgecae.tflite.inspect.profiling import load, medians_ms

__all__ = [
    "Convolution",
    "Roofline",
    "Step",
    "best_rate",
    "convolution",
    "measure_roofline",
    "roofline_of_profile",
]

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})


@dataclass(frozen=True)
class Convolution:
    """A convolution with stride 1 and as many channels in as out.

    Attributes:
        side: of its input and output, pixels.
        channels: in and out.
        window: side of the kernel.
    """

    side: int
    channels: int
    window: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.side**2 * self.channels**2 * self.window**2


LARGE = (
    Convolution(64, 64, 3),
    Convolution(48, 128, 3),
    Convolution(128, 128, 3),
    Convolution(64, 256, 3),
    Convolution(128, 128, 1),
    Convolution(64, 512, 1),
)
"""What the machine's best rate is looked for with: full tiles, and much to compute for little to
load."""


@dataclass(frozen=True)
class Step:
    """An operation of a model.

    Attributes:
        op: TFLite's name of it.
        output_shape: at the frame size that was measured.
        macs: multiply-accumulates of a convolution, else 0.
        ms: by itself, median.
        share: of the sum of all operations.
        gmacs: 10⁹ multiply-accumulates a second; 0 for what is no convolution.
    """

    op: str
    output_shape: tuple[int, ...]
    macs: int
    ms: float
    share: float
    gmacs: float


@dataclass(frozen=True)
class Roofline:
    """How near a model comes to what this machine can do.

    Attributes:
        model: its name.
        width: of a frame, padded to the network's stride.
        height: likewise.
        threads: of the interpreter.
        backend: name and version of the interpreter.
        best_gmacs: 10⁹ int8 multiply-accumulates a second, the best of :data:`LARGE`.
        ideal_ms: the model's convolutions at that rate.
        floor_ms: the model's convolutions, each by itself at its own shape.
        model_ms: the whole model; all are medians, measured in turn.
        steps: its operations in order, but for the arithmetic on shapes.
    """

    model: str
    width: int
    height: int
    threads: int
    backend: str
    best_gmacs: float
    ideal_ms: float
    floor_ms: float
    model_ms: float
    steps: tuple[Step, ...]

    @property
    def over_floor(self) -> float:
        """The whole model over its convolutions: what all the rest costs."""
        return self.model_ms / self.floor_ms

    @property
    def floor_over_ideal(self) -> float:
        """The convolutions over the machine's best: how well their shapes suit it."""
        return self.floor_ms / self.ideal_ms

    @property
    def others(self) -> dict[str, float]:
        """Share of each other kind of operation in the sum of all, the largest first."""
        shares: dict[str, float] = {}
        for step in self.steps:
            if step.op not in CONVOLUTIONS:
                shares[step.op] = shares.get(step.op, 0.0) + step.share
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, ``over_floor``, ``floor_over_ideal`` and ``others``, for JSON."""
        return {
            **dataclasses.asdict(self),
            "over_floor": self.over_floor,
            "floor_over_ideal": self.floor_over_ideal,
            "others": self.others,
        }


def convolution(of: Convolution) -> bytes:
    """Make an int8 model of one convolution, as edgecae's files have them.

    Weights are by channel and random (zeros might be left out), the result is kept within ReLU6.

    Returns:
        A TFLite file with one input and one output, int8, 1×S×S×C.

    Raises:
        ModelFileError: flatbuffers is not installed (it comes with ai-edge-litert).
    """
    try:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise ModelFileError(
            "a convolution is made with the schema of ai-edge-litert, which is not installed"
        ) from error
    n, rng = of.channels, np.random.default_rng(0)
    weights = rng.integers(-127, 128, (n, of.window, of.window, n), np.int8)
    activation, weight = 6 / 255, 1 / (127 * math.sqrt(n * of.window**2))

    def tensor(
        name: str, kind: str, shape: Sequence[int], buffer: int, scales: Sequence[float], zero: int
    ) -> Any:
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(scales, np.float32)
        quantization.zeroPoint = np.full(len(scales), zero, np.int64)
        made = schema.TensorT()
        made.name, made.type = name.encode(), getattr(schema.TensorType, kind)
        made.shape, made.buffer = np.array(shape, np.int32), buffer
        made.quantization = quantization
        return made

    frame = (1, of.side, of.side, n)
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("input", "INT8", frame, 0, [activation], -128),
        tensor("weights", "INT8", weights.shape, 1, [weight] * n, 0),
        tensor("bias", "INT32", (n,), 2, [activation * weight] * n, 0),
        tensor("output", "INT8", frame, 0, [activation], -128),
    ]
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = schema.Padding.SAME
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = np.array([0, 1, 2], np.int32), np.array([3], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = options
    graph.operators, graph.inputs, graph.outputs = [operator], np.array([0]), np.array([3])
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [
        schema.BufferT(),
        schema.BufferT(data=weights.view(np.uint8).ravel()),
        schema.BufferT(data=np.zeros(4 * n, np.uint8)),
    ]
    builder = flatbuffers.Builder(weights.nbytes + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def best_rate(
    threads: int, backend: interpreter.Backend, of: Sequence[Convolution] = LARGE
) -> float:
    """10⁹ int8 multiply-accumulates a second, the best of large convolutions, each a median.

    Raises:
        BackendError: the interpreter does not take one.
    """
    runs = [load(convolution(each), [None], threads, backend) for each in of]
    return max(each.macs / ms / 1e6 for each, ms in zip(of, medians_ms(runs), strict=True))


def measure_roofline(
    model: str,
    size: tuple[int, int] | None = None,
    threads: int = 1,
    backend: str = "auto",
    best_gmacs: float | None = None,
) -> Roofline:
    """Measure a model's convolutions, each by itself, the whole model, and the machine's best.

    Args:
        model: name of a shipped model, or an int8 file.
        size: width and height of a frame; None: see :func:`edgecae.tflite.inspect.inspect`.
        threads: of the interpreter.
        backend: see :func:`edgecae.tflite.interpreter.find`.
        best_gmacs: of :func:`best_rate`, where it is known already; several models are held against
            the same.

    Raises:
        ModelFileError: there is no such model, or it is not int8 throughout.
        SettingError: the model can't take frames of this size.
        BackendError: no interpreter is installed, or it does not take an operation.
    """
    report = inspect.inspect(model, size)
    report.file.require_int8()
    profile = inspect.profile(report, threads, backend)
    if best_gmacs is None:
        best_gmacs = best_rate(threads, interpreter.find(backend))
    return roofline_of_profile(model, report, profile, best_gmacs)


def roofline_of_profile(
    model: str, report: inspect.Report, profile: inspect.Profile, best_gmacs: float
) -> Roofline:
    """Compare a profile with the machine's best rate."""
    known = report.graph.infer(profile.height, profile.width)
    stored = math.prod(report.file.frame_size)
    scale = profile.width * profile.height / stored
    steps = []
    for op, operator, ms in zip(report.file.ops, report.graph.operators, profile.ops, strict=True):
        if ms is not None:
            macs = round(op.macs * scale)
            shape = known[operator.output.index].shape
            steps.append(Step(op.op, shape, macs, ms, ms / profile.sum, macs / ms / 1e6))
    convolutions = [step for step in steps if step.op in CONVOLUTIONS]
    return Roofline(
        model=model,
        width=profile.width,
        height=profile.height,
        threads=profile.threads,
        backend=profile.backend,
        best_gmacs=best_gmacs,
        ideal_ms=sum(step.macs for step in convolutions) / best_gmacs / 1e6,
        floor_ms=sum(step.ms for step in convolutions),
        model_ms=profile.model,
        steps=tuple(steps),
    )
