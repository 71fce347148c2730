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

from edgecae.tflite import inspect, interpreter, writer
from edgecae.tflite.inspect.profiling import load, medians_ms
from edgecae.tflite.macs import CONVOLUTIONS
from edgecae.tflite.operators import RELU6, SAME, infer

__all__ = [
    "Convolution",
    "Roofline",
    "Step",
    "best_rate",
    "convolution",
    "measure_roofline",
    "roofline_of_profile",
]


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
    n, rng = of.channels, np.random.default_rng(0)
    weights = rng.integers(-127, 128, (n, of.window, of.window, n), np.int8)
    activation, weight = 6 / 255, 1 / (127 * math.sqrt(n * of.window**2))
    frame = (1, of.side, of.side, n)
    bias = np.zeros(n, np.int32)
    model = writer.new_model()
    tensors = [
        writer.add_tensor(model, "input", "int8", frame, scale=[activation], zero=-128),
        writer.add_tensor(
            model, "weights", "int8", weights.shape, data=weights, scale=[weight] * n
        ),
        writer.add_tensor(model, "bias", "int32", (n,), data=bias, scale=[activation * weight] * n),
    ]
    output = writer.add_tensor(model, "output", "int8", frame, scale=[activation], zero=-128)
    writer.add_operator(
        model,
        "CONV_2D",
        tensors,
        output,
        "Conv2DOptions",
        version=3,
        padding=SAME,
        stride_w=1,
        stride_h=1,
        activation=RELU6,
    )
    writer.set_ends(model, tensors[:1], [output])
    return writer.encode(model)


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
        backend: see :func:`edgecae.tflite.interpreter.find_backend`.
        best_gmacs: of :func:`best_rate`, where it is known already; several models are held against
            the same.

    Raises:
        ModelFileError: there is no such model, or it is not int8 throughout.
        SettingError: the model can't take frames of this size.
        BackendError: no interpreter is installed, or it does not take an operation.
    """
    inspection = inspect.inspect(model, size)
    inspection.file.require_int8()
    profile = inspect.profile(inspection, threads, backend)
    if best_gmacs is None:
        best_gmacs = best_rate(threads, interpreter.find_backend(backend))
    return roofline_of_profile(model, inspection, profile, best_gmacs)


def roofline_of_profile(
    model: str, inspection: inspect.Inspection, profile: inspect.Profile, best_gmacs: float
) -> Roofline:
    """Compare a profile with the machine's best rate."""
    inferred = infer(inspection.graph, profile.height, profile.width)
    stored = math.prod(inspection.file.frame_size)
    scale = profile.width * profile.height / stored
    steps = []
    for op, operator, ms in zip(
        inspection.file.ops, inspection.graph.operators, profile.ops, strict=True
    ):
        if ms is not None:
            macs = round(op.macs * scale)
            shape = inferred[operator.output.index].shape
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
